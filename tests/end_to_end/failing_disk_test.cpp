// A disk that fails: errors of write, fsync, rename, open and close on command, descriptors and file size that run out,
// no inodes, a real ext4 whose device gives up, files that may only grow. (Full disks are in promises_test.cpp, disks
// that hang in hanging_disk_test.cpp.)
//
// Each time: nothing goes out that is not durably intended, nothing counts that is not durable, the job is `blocked`
// and says why, others go on, and so does it, by itself, once it can.
#include "faults.hpp"
#include "own_disk.hpp"

namespace culld::programs {
namespace {

class FailingDisk : public WithFaults {
  protected:
    // A blocked job is looked at every five seconds, and at once after a SIGHUP: what waits in most tests here. That it
    // goes on without one, some of them see.
    static void hurry(const child& daemon) { daemon.signal(SIGHUP); }
};

constexpr const char* no_preload = "NOT TESTED: calls are not made to fail under a sanitizer";

TEST_F(FailingDisk, BlocksTheJobsWhoseJournalsFailAndNoOther) {
    configure({.scenario = "seed: 1\nlatency: {fixed: 2ms}\n", .limits = "requests_per_second: 200, concurrency: 4"});
    if (!arm()) GTEST_SKIP() << no_preload;
    const std::string rules =
        "fsync unsynced.jsonl 5\n"        // EIO from the first one on
        "write full.jsonl 28 0 6\n"       // ENOSPC, in the middle
        "write broken.jsonl 5 0 6\n"      // EIO
        "fsync readonly.jsonl 30 0 6\n";  // EROFS
    fault(rules);
    child daemon = started();
    const std::map<std::string, std::string> words{{"unsynced", "Input/output error"},
                                                   {"full", "No space left on device"},
                                                   {"broken", "Input/output error"},
                                                   {"readonly", "Read-only file system"}};
    for (const auto& [job, why] : words) drop_job(job, 600);
    drop_job("fine", 300);
    for (const auto& [job, why] : words) {
        expect_blocked(job, why);
        if (HasFatalFailure()) return;
    }
    ASSERT_TRUE(eventually([&] { return in("done", "fine.yaml"); })) << log();
    expect_metric("culld_jobs_blocked{class=\"journal\"} 4");
    // Its intents were never durable. The others' were, as far as they got.
    const json::value told = server_->truth();
    for (const auto& id : told.at("deleted").as_object()) EXPECT_FALSE(id.key().starts_with("unsynced-")) << id.key();
    for (const auto& [job, why] : words) expect_deleted_only_what_was_intended(job);

    const int before = truth("delete_requests");
    const std::size_t failed = hits("jsonl");
    hurry(daemon);
    ASSERT_TRUE(eventually([&] { return hits("jsonl") >= failed + 4; })) << log();
    EXPECT_EQ(truth("delete_requests"), before) << "sent, though nothing can be written";
    for (const auto& [job, why] : words) {
        expect_blocked(job, why);
        EXPECT_FALSE(in("done", job + ".yaml"));
    }
    // A person may ask for another try, too.
    EXPECT_EQ(ctl({"resume", "full"}), 0) << this->told();
    EXPECT_EQ(state("full"), "blocked");

    no_faults();
    for (const auto& [job, why] : words) {
        ASSERT_TRUE(eventually([&, name = job] { return in("done", name + ".yaml"); }, patience)) << job << log();
        expect_true_verdicts(job, 600);
    }
    EXPECT_TRUE(daemon.runs());
    expect_verified();
}

// What a failed fsync did not write may be read back as if it were there, and the next fsync says that all is well: so
// a status that counts on it is wrong after a power cut. What was told before stays told.
TEST_F(FailingDisk, AFailedFsyncIsNotBelievedThoughTheNextOneSucceeds) {
    configure({.scenario = "seed: 1\nlatency: {fixed: 2ms}\n", .limits = "requests_per_second: 100, concurrency: 2"});
    if (!arm()) GTEST_SKIP() << no_preload;
    fault("fsync once.jsonl 5 1 8\n");
    child daemon = started();
    drop_job("once", 1000);
    ASSERT_TRUE(eventually([&] { return hits("fsync") == 1; })) << log();
    // The same process may not believe its own descriptor any more: from the disk, once more.
    ASSERT_TRUE(eventually([&] { return count(log(), "will be read again") == 1; }, 5s)) << log();
    fault("write once.jsonl 5\n");
    expect_blocked("once", "Input/output error");
    const auto told = status("once").at("totals").at("deleted").to_number<int>();
    EXPECT_GT(told, 0) << "what was durable before is told no more";
    EXPECT_LE(told, truth("deleted_distinct"));
    no_faults();
    hurry(daemon);
    ASSERT_TRUE(eventually([&] { return in("done", "once.yaml"); }, patience)) << log();
    EXPECT_GE(records("once", "job.recovered").size(), 1U);
    expect_true_verdicts("once", 1000);
    expect_verified();
}

TEST_F(FailingDisk, NoCounterFallsWhileAJobIsSetAside) {
    configure({.scenario = "seed: 1\nlatency: {fixed: 2ms}\nfail_pattern: {suffix: \"7\", times: 9}\n",
               .limits = "requests_per_second: 200, concurrency: 2"});
    if (!arm()) GTEST_SKIP() << no_preload;
    child daemon = started();
    drop_job("aside", 1000);
    counters_seen counters;
    const std::string deleted = "culld_incidents_total{result=\"deleted\"}";
    const std::string refused = "culld_incidents_failed_total{reason=\"refused\"}";
    ASSERT_TRUE(eventually([&] {
        counters.look(metrics());
        return counters[deleted] > 100 && counters[refused] > 10;
    })) << log();
    fault("write aside.jsonl 5\n");
    ASSERT_TRUE(eventually([&] {
        counters.look(metrics());
        return count(log(), "will be read again") == 1;
    })) << log();
    counters.look(metrics());
    EXPECT_GT(status("aside").at("accepted_at").as_string(), "2") << "known, since it ran";
    expect_metric(fmt::format("culld_incidents_pending {}", 1000 - counters[deleted] - counters[refused]));
    no_faults();
    hurry(daemon);
    ASSERT_TRUE(eventually(
        [&] {
            counters.look(metrics());
            return in("failed", "aside.yaml");
        },
        patience))
        << log();
    ASSERT_TRUE(reaches("aside", "finished"));
    counters.look(metrics());
    EXPECT_EQ(counters[deleted] + counters["culld_incidents_total{result=\"absent\"}"], 900);
    EXPECT_EQ(counters[refused], 100) << "none of them twice";
    expect_verified();
}

TEST_F(FailingDisk, AJobIsNotFiledBeforeTheLedgerHasIt) {
    configure({});
    if (!arm()) GTEST_SKIP() << no_preload;
    child daemon = started();
    std::size_t lines = 0;
    for (const char* rule : {"fsync ledger.jsonl 5\n", "write ledger.jsonl 28\n", "rename ledger.head 5\n",
                             "fsync ledger.head 5\n", "write ledger.jsonl short:3 1\nwrite ledger.jsonl 5\n"}) {
        fault(rule);
        const std::string job = fmt::format("job{}", lines);
        drop_job(job, 30);
        ASSERT_TRUE(reaches(job, "blocked")) << rule << log();
        EXPECT_NE(status(job).at("reason").as_string().find("ledger"), std::string::npos) << rule;
        EXPECT_FALSE(in("done", job + ".yaml")) << rule;
        expect_metric("culld_jobs_blocked{class=\"journal\"} 1");
        no_faults();
        hurry(daemon);
        ASSERT_TRUE(eventually([&] { return in("done", job + ".yaml"); })) << rule << log();
        EXPECT_EQ(ledger().size(), ++lines) << rule;
    }
    expect_verified();
}

TEST_F(FailingDisk, ShortWritesAndFailingClosesChangeNothing) {
    configure({.scenario = "seed: 1\nfail_ratio: 0.1\n"});
    if (!arm()) GTEST_SKIP() << no_preload;
    fault("write /journal/ short:11\nclose .jsonl 5\nclose .ids 5\nclose ledger 5\n");
    drop_job("short", 400);
    const int code = once();
    EXPECT_TRUE(code == 0 || code == 1) << code << log();
    EXPECT_GT(hits("short:11"), 500U);
    expect_true_verdicts("short", 400);
    expect_verified();
}

// In active/ a file is ours: nobody would find it there but us.
// Its journal holds nothing then: it was never accepted, and lies in active/ to be taken anew.
TEST_F(FailingDisk, AJobWhoseJournalsVeryFirstWriteFailsIsTakenAnew) {
    configure({});
    if (!arm()) GTEST_SKIP() << no_preload;
    child daemon = started();
    fault("write first.jsonl 5 1\n");
    drop_job("first", 20);
    ASSERT_TRUE(eventually([&] { return hits("first.jsonl") == 1; })) << log();
    no_faults();
    ASSERT_TRUE(eventually([&] { return in("done", "first.yaml") && in("done", "first.ids"); }, patience)) << log();
    // Its name is nobody's any more.
    drop("first.yaml", "version: 1\nid: second\nids: [a]\n");
    ASSERT_TRUE(eventually([&] { return in("done", "first.1.yaml"); })) << log();
    expect_true_verdicts("first", 20);
    expect_verified();
}

// What lies in active/ unseen would never be looked for again.
TEST_F(FailingDisk, AFolderOfTakenFilesThatCannotBeReadAtOnceIsReadAgain) {
    configure({});
    if (!arm()) GTEST_SKIP() << no_preload;
    fs::create_directories(at("spool/active"));
    here_.write("spool/active/left.txt", "left-0\n");
    fault("open spool/active/. 5 1 3\n");  // not of the lock, nor of the file by which leases are tried
    EXPECT_EQ(once(), 0) << log();
    EXPECT_EQ(hits("open"), 1U);
    EXPECT_TRUE(in("done", "left.txt")) << log();
    EXPECT_NE(log().find("recovery.failed"), std::string::npos) << log();
}

// NFS, SMB, many FUSE file systems: neither leases, whatever errno says so, nor renames that replace nothing. Nothing
// is waited for without end, nothing overwritten, and it is said once.
TEST_F(FailingDisk, AFileSystemWithoutLeasesAndCarefulRenamesServesAllTheSame) {
    configure({});
    if (!arm()) GTEST_SKIP() << no_preload;
    for (const int without : {EINVAL, EAGAIN, EOPNOTSUPP}) {
        fault(fmt::format("lease spool {}\nnoreplace spool 22\n", without));
        const std::size_t said = count(log(), "has no leases");
        child daemon = started();
        drop("moved.txt", fmt::format("moved-{}\n", without));
        here_.write("spool/incoming/copied.txt", fmt::format("copied-{}\n", without));
        drop("bad.txt", "no id\n");
        ASSERT_TRUE(eventually([&] { return ledger().size() % 3 == 0 && fs::is_empty(at("spool/incoming")); }))
            << log();
        EXPECT_EQ(count(log(), "has no leases"), said + 1) << log();
        daemon.signal(SIGTERM);
        ASSERT_EQ(daemon.ends_within(patience), 0) << log();
    }
    for (const char* name : {"moved.txt", "moved.1.txt", "moved.2.txt", "copied.txt", "copied.1.txt", "copied.2.txt"})
        EXPECT_TRUE(in("done", name)) << name;
    for (const char* name : {"bad.txt", "bad.1.txt", "bad.2.txt"})
        EXPECT_TRUE(in("rejected", name) && in("rejected", name + std::string(".reason.json"))) << name;
    EXPECT_EQ(server_->truth().at("deleted").as_object().size(), 6U);
    expect_verified();
}

TEST_F(FailingDisk, AFileThatWasMovedIsNotForgottenWhateverFailsThen) {
    configure({});
    if (!arm()) GTEST_SKIP() << no_preload;
    child daemon = started();
    fault("rename active/stays.txt 5 1\n");
    drop("stays.txt", "stays\n");
    ASSERT_TRUE(eventually([&] { return hits("stays.txt") == 1; })) << log();
    std::size_t failed = 1;
    for (const char* rule : {"fsync spool/active 5 1\n", "fsync active/LIST 5 1\n", "open active/LIST 24 1\n",
                             "fsync spool/incoming 5 1\n", "fsync spool/done 5 1\n"}) {
        const std::string name = fmt::format("list{}.txt", failed);
        std::string made = rule;
        if (const auto at = made.find("LIST"); at != std::string::npos) made.replace(at, 4, name);
        fault(made);
        drop(name, fmt::format("id{}\n", failed));
        ASSERT_TRUE(eventually([&] { return hits("\n") == failed + 1; })) << made << log();
        ++failed;
        hurry(daemon);
        ASSERT_TRUE(eventually([&] { return in("done", name); })) << made << log();
    }
    // A list on its way to its job.
    fault("fsync active/with.ids 5 1\n");
    drop_job("with", 20);
    ASSERT_TRUE(eventually([&] { return hits("\n") == failed + 1; })) << log();
    hurry(daemon);
    ASSERT_TRUE(eventually([&] { return in("done", "with.yaml") && in("done", "with.ids"); })) << log();
    ASSERT_TRUE(eventually([&] { return in("done", "stays.txt"); })) << log();
    EXPECT_EQ(ledger().size(), 7U);
    expect_verified();
}

TEST_F(FailingDisk, WithoutADescriptorLeftWhatComesWaitsAndWhatRunsGoesOn) {
    configure({.scenario = "seed: 1\nlatency: {fixed: 2ms}\n",
               .limits = "requests_per_second: 50, concurrency: 2",
               .more = "breaker: {failures: 1000}\n"});
    child daemon = started();
    drop_job("runs", 3000);
    ASSERT_TRUE(settles_some("runs", 100)) << log();
    const int before = truth("delete_requests");
    {
        // The limit is for numbers, and the lowest free one is taken next.
        rlim_t lowest_free = 0;
        while (fs::is_symlink(fmt::format("/proc/{}/fd/{}", daemon.pid(), lowest_free))) ++lowest_free;
        const lowered_limit files(daemon.pid(), RLIMIT_NOFILE, lowest_free);
        for (int i = 0; i < 8; ++i) drop(fmt::format("late{}.txt", i), list(fmt::format("late{}", i), 3));
        ASSERT_TRUE(eventually([&] { return count(log(), "Too many open files") > 0; })) << log();
        EXPECT_TRUE(eventually([&] { return truth("delete_requests") > before + 20; })) << log();
        EXPECT_TRUE(daemon.runs());
    }
    for (int i = 0; i < 8; ++i)
        ASSERT_TRUE(eventually([&] { return in("done", fmt::format("late{}.txt", i)); }, patience)) << log();
    EXPECT_EQ(log().find("was removed"), std::string::npos) << "the folder is where it was:\n" << log();
    EXPECT_EQ(log().find("make it again"), std::string::npos) << "the folder is where it was:\n" << log();
    ASSERT_TRUE(eventually([&] { return in("done", "runs.yaml"); }, patience)) << log();
    expect_verified();
}

TEST_F(FailingDisk, AFileSizeLimitBlocksAndKillsNobody) {
    configure({.scenario = "seed: 1\nlatency: {fixed: 2ms}\n", .limits = "requests_per_second: 200, concurrency: 4"});
    child daemon = started();
    drop_job("grows", 6000);
    ASSERT_TRUE(settles_some("grows", 100)) << log();
    {
        const lowered_limit size(daemon.pid(), RLIMIT_FSIZE, 65536);
        expect_blocked("grows", "File too large");
        EXPECT_TRUE(daemon.runs()) << "SIGXFSZ";
        expect_deleted_only_what_was_intended("grows");
    }
    hurry(daemon);
    ASSERT_TRUE(eventually([&] { return in("done", "grows.yaml"); }, patience)) << log();
    expect_true_verdicts("grows", 6000);
    expect_verified();
}

TEST_F(FailingDisk, WithoutAnInodeLeftAJobWaitsUntilThereIsOne) {
    const small_disk disk(here_.path("journal"), "size=2048k,nr_inodes=40");
    if (!disk.mounted()) GTEST_SKIP() << "NOT TESTED: needs root, to mount a small file system of its own";
    configure({});
    child daemon = started();
    int fillers = 0;
    while (std::ofstream(at(fmt::format("journal/.filler{}", fillers)))) ++fillers;
    ASSERT_GT(fillers, 10);
    drop_job("waits", 2000);
    ASSERT_TRUE(eventually([&] { return log().find("No space left") != std::string::npos; })) << log();
    EXPECT_EQ(truth("api_requests"), 0);
    while (fillers-- > 0) fs::remove(at(fmt::format("journal/.filler{}", fillers)));
    hurry(daemon);
    ASSERT_TRUE(eventually([&] { return in("done", "waits.yaml"); }, patience)) << log();
    expect_true_verdicts("waits", 2000);
    expect_verified();
}

// No simulation: the device under a real ext4 has no room for its blocks any more. Writes go well, fsync does not, and
// the file system gives itself up.
TEST_F(FailingDisk, ADeviceThatGivesUpBlocksAndTheNextDiskGoesOn) {
    const small_disk under(here_.path("under"), "size=24m");
    if (!under.mounted()) GTEST_SKIP() << "NOT TESTED: needs root, to mount a file system of its own";
    image_disk disk(here_.path("under/image"), here_.path("disk"), here_.path("tools.log"));
    if (const std::string why = disk.make("ext4", 128, {"-E", "lazy_itable_init=1,nodiscard"}); !why.empty())
        GTEST_SKIP() << "NOT TESTED: " << why;
    data_ = "disk/";
    configure({.scenario = "seed: 1\nlatency: {fixed: 2ms}\n", .limits = "requests_per_second: 100, concurrency: 2"});
    child daemon = started();
    drop_job("dying", 4000);
    ASSERT_TRUE(settles_some("dying", 200)) << log();
    under.fill();
    ASSERT_TRUE(reaches("dying", "blocked", 30s)) << log();
    const std::string reason(status("dying").at("reason").as_string());
    EXPECT_TRUE(reason.find("Input/output error") != std::string::npos ||
                reason.find("Read-only file system") != std::string::npos ||
                reason.find("No space left") != std::string::npos)
        << reason;
    const int before = truth("delete_requests");
    hurry(daemon);
    EXPECT_FALSE(eventually([&] { return truth("delete_requests") > before; }, 500ms)) << log();
    daemon.signal(SIGTERM);
    EXPECT_TRUE(daemon.ends_within(20s)) << log();
    under.make_room();
    disk.unmount();
    ASSERT_TRUE(disk.mount()) << disk.told();
    expect_deleted_only_what_was_intended("dying");
    EXPECT_EQ(once(), 0) << log();
    expect_true_verdicts("dying", 4000);
    expect_verified();
}

TEST_F(FailingDisk, AReadOnlyDiskIsNamedAtTheStartAndMendedByMountingItAgain) {
    image_disk disk(here_.path("image"), here_.path("disk"), here_.path("tools.log"));
    if (const std::string why = disk.make("ext4", 32); !why.empty()) GTEST_SKIP() << "NOT TESTED: " << why;
    data_ = "disk/";
    configure({});
    drop_job("later", 40);
    disk.unmount();
    ASSERT_TRUE(disk.mount(",ro")) << disk.told();
    EXPECT_EQ(once(), 74) << log();
    EXPECT_NE(log().find("Read-only file system"), std::string::npos) << log();
    EXPECT_EQ(truth("api_requests"), 0);
    disk.unmount();
    ASSERT_TRUE(disk.mount()) << disk.told();
    EXPECT_EQ(once(), 0) << log();
    expect_true_verdicts("later", 40);
}

class AppendOnly : public FailingDisk {
  protected:
    // As chattr(1) does it; false where the file system has no such thing, or we may not.
    [[nodiscard]] bool set(const std::string& name, bool on) const {
        const unique_fd fd(::open(at(name).c_str(), O_RDONLY | O_CLOEXEC));
        int flags = 0;
        if (::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) return false;
        flags = on ? flags | FS_APPEND_FL : flags & ~FS_APPEND_FL;
        if (::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags) != 0) return false;
        const_cast<std::set<std::string>&>(set_).insert(name);
        return true;
    }
    void TearDown() override {
        for (const std::string& name : std::set<std::string>(set_)) static_cast<void>(set(name, false));
    }

  private:
    std::set<std::string> set_;
};

TEST_F(AppendOnly, AJournalIsAddedToAndAtARestartTheRemedyIsNamed) {
    configure({.scenario = "seed: 1\nlatency: {fixed: 2ms}\n", .limits = "requests_per_second: 20, concurrency: 2"});
    drop_job("locked", 1000);
    {
        child daemon = started();
        ASSERT_TRUE(settles_some("locked", 100)) << log();
        if (!set("journal/locked.jsonl", true))
            GTEST_SKIP() << "NOT TESTED: chattr +a needs root, and ext4 or the like";
        ASSERT_TRUE(settles_some("locked", 400)) << log();  // appending is all it does
    }
    child daemon = started();
    expect_blocked("locked", "chattr -a");
    expect_blocked("locked", "locked.jsonl");
    drop_job("other", 40);
    ASSERT_TRUE(eventually([&] { return in("done", "other.yaml"); })) << log();
    ASSERT_TRUE(set("journal/locked.jsonl", false));
    hurry(daemon);
    ASSERT_TRUE(eventually([&] { return in("done", "locked.yaml"); }, patience)) << log();
    expect_true_verdicts("locked", 1000);
    expect_verified();
}

TEST_F(AppendOnly, ALedgerIsAddedToAndAtARestartTheRemedyIsNamed) {
    configure({});
    drop_job("first", 5);
    ASSERT_EQ(once(), 0) << log();
    if (!set("journal/ledger.jsonl", true)) GTEST_SKIP() << "NOT TESTED: chattr +a needs root, and ext4 or the like";
    EXPECT_EQ(once(), 74) << log();
    EXPECT_NE(log().find("chattr -a"), std::string::npos) << log();
    ASSERT_TRUE(set("journal/ledger.jsonl", false));
    EXPECT_EQ(once(), 0) << log();
    expect_verified();
}

}  // namespace
}  // namespace culld::programs
