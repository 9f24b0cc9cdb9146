// The ground moves under a daemon that deletes: its folders, journals, ledger and locks are moved, removed, replaced,
// cut or mounted over. What is written to them then nobody will find, so nothing more may be deleted, and it is told;
// when path and folder are one again it goes on by itself.
#include <fcntl.h>
#include <sys/mount.h>

#include <cstdio>

#include "faults.hpp"
#include "own_disk.hpp"

namespace culld::programs {
namespace {

class Ground : public WithFaults {
  protected:
    static constexpr int all = 1500;

    // A job in the middle of its work, some 300 requests a second of 5 ids.
    child in_the_middle(const std::string& job = "j") {
        configure({.scenario = "seed: 1\nlatency: {fixed: 5ms}\n",
                   .limits = "requests_per_second: 60, concurrency: 2",
                   .batch_size = 5});
        child out = started();
        drop_job(job, all);
        EXPECT_TRUE(settles_some(job, 20)) << log();
        return out;
    }
    [[nodiscard]] std::string ready() const {
        return emulator_test::get_from_socket(here_.path("control.sock"), "/readyz");
    }
    // Nothing is sent any more, and both say why.
    void expect_stands_still(const std::string& words, bool everything, const std::string& job = "j") const {
        expect_blocked(job, words);
        const auto unready = [&] {
            const std::string told = ready();
            return told.find(" 503 ") != std::string::npos && told.find(words) != std::string::npos;
        };
        EXPECT_TRUE(!everything || eventually(unready)) << ready();
        // What was in flight lands.
        std::this_thread::sleep_for(300ms);
        const int before = truth("delete_requests");
        std::this_thread::sleep_for(700ms);
        EXPECT_EQ(truth("delete_requests"), before) << "deleted, and nobody will find the record of it: " << words;
    }
    void expect_goes_on(const std::string& job = "j") const {
        ASSERT_TRUE(eventually([&] { return in("done", job + ".yaml"); }, patience)) << log();
        EXPECT_NE(ready().find(" 200 "), std::string::npos) << ready();
        expect_true_verdicts(job, all);
        expect_verified();
    }
};

TEST_F(Ground, AFolderThatIsMovedStopsItAllUntilItIsBack) {
    child daemon = in_the_middle();
    for (const std::string& name :
         {std::string("journal"), std::string("spool"), std::string("spool/active"), std::string("journal/.plan")}) {
        fs::rename(at(name), at("away"));
        expect_stands_still(at(name) + ": is gone", true);
        if (HasFailure()) FAIL() << name;
        // Another one in its place is not what culld wrote to, whatever is in it.
        if (name == "journal")
            fs::copy(at("away"), at(name), fs::copy_options::recursive);
        else
            fs::create_directory(at(name));
        EXPECT_TRUE(eventually([&] { return ready().find(at(name) + ": is another folder") != std::string::npos; }))
            << ready();
        fs::remove_all(at(name));
        const std::size_t back = count(log(), "ground.back");
        const int before = truth("delete_requests");
        fs::rename(at("away"), at(name));
        ASSERT_TRUE(eventually([&] { return count(log(), "ground.back") > back; })) << log();
        ASSERT_TRUE(eventually([&] { return truth("delete_requests") > before; }, patience)) << name << log();
    }
    EXPECT_TRUE(daemon.runs());
    expect_goes_on();
}

TEST_F(Ground, AFolderThatIsMountedOverStopsItAllUntilItIsUnmounted) {
    if (!own_mounts()) GTEST_SKIP() << "NOT TESTED: no mount namespace to be had here";
    child daemon = in_the_middle();
    const std::string other = here_.path("other");
    fs::create_directories(other);
    for (const std::string& name : {std::string("journal"), std::string("spool"), std::string("spool/active")}) {
        for (const bool tmpfs : {true, false}) {
            const int done = tmpfs ? ::mount("over", at(name).c_str(), "tmpfs", 0, "size=1m")
                                   : ::mount(other.c_str(), at(name).c_str(), nullptr, MS_BIND, nullptr);
            ASSERT_EQ(done, 0);
            expect_stands_still(at(name) + ": is another folder now", true);
            const int before = truth("delete_requests");
            ASSERT_EQ(::umount2(at(name).c_str(), MNT_DETACH), 0);
            ASSERT_TRUE(eventually([&] { return truth("delete_requests") > before; }, patience)) << name << log();
            if (HasFailure()) FAIL() << name;
        }
    }
    expect_goes_on();
}

TEST_F(Ground, AJournalThatIsMovedStopsItsJobUntilItIsBack) {
    child daemon = in_the_middle();
    drop_job("other", 20);
    const std::string file = at("journal/j.jsonl");
    fs::rename(file, file + ".away");
    expect_stands_still(file + ": is gone", false);
    EXPECT_EQ(ctl({"verify"}), 4) << told();
    EXPECT_NE(told().find("the journal of an open job is missing"), std::string::npos) << told();
    ASSERT_TRUE(eventually([&] { return in("done", "other.yaml"); }, patience)) << "others go on" << log();
    EXPECT_NE(ready().find(" 200 "), std::string::npos);
    fs::rename(file + ".away", file);
    expect_goes_on();
}

TEST_F(Ground, AJournalThatIsRemovedCanBeSavedAsLongAsCulldRuns) {
    if (::geteuid() != 0) GTEST_SKIP() << "NOT TESTED: only root may look at another's descriptors";
    child daemon = in_the_middle();
    const std::string file = at("journal/j.jsonl");
    fs::remove(file);
    expect_stands_still(file + ": was removed", false);
    const std::string help(status("j").at("help").as_string());
    const std::size_t begin = help.find("/proc/");
    ASSERT_NE(begin, std::string::npos) << help;
    const std::string content = read_small_file(help.substr(begin, help.find(' ', begin) - begin), 1U << 26U).value();
    // As cp writes it, piece by piece; and what is not the journal is not taken for it.
    here_.write(data_ + "journal/j.jsonl", content.substr(0, content.size() / 2));
    expect_stands_still("was removed", false);
    std::string changed = content;
    changed[changed.find("j-1")] = 'k';
    here_.write(data_ + "journal/j.jsonl", changed);
    expect_stands_still("was removed", false);
    here_.write(data_ + "journal/j.jsonl", content);
    expect_goes_on();
}

// After a restart nothing but the note tells that there was one: without it the job would begin anew.
TEST_F(Ground, AJournalThatWasGoneWhenCulldEndedIsWaitedFor) {
    const std::string file = at("journal/j.jsonl");
    {
        child daemon = in_the_middle();
        fs::rename(file, file + ".away");
        expect_stands_still(file + ": is gone", false);
    }
    child daemon = started();
    const int before = truth("delete_requests");
    expect_stands_still(file + ": is gone", false);
    EXPECT_EQ(truth("delete_requests"), before);
    fs::rename(file + ".away", file);
    expect_goes_on();
    EXPECT_FALSE(fs::exists(at("journal/.plan/j.evidence")));
}

TEST_F(Ground, AJournalThatIsReplacedOrCutIsEvidence) {
    for (const std::string& what :
         {std::string("replaced"), std::string("cut"), std::string("emptied"), std::string("added")}) {
        child daemon = in_the_middle("j-" + what);
        const std::string file = at("journal/j-" + what + ".jsonl");
        std::string words;
        if (what == "replaced") {
            fs::copy_file(file, file + ".copy");
            fs::rename(file + ".copy", file);
            words = "was replaced";
        } else if (what == "added") {
            std::ofstream(file, std::ios::app) << "{}\n";
            words = "was written to by somebody else";
        } else {
            const std::string text = read_small_file(file, 1U << 26U).value();
            fs::resize_file(file, what == "cut" ? text.find('\n', text.size() / 2) + 1 : 0);
            words = "was cut";
        }
        expect_stands_still(words, false, "j-" + what);
        const std::string left = read_small_file(file, 1U << 26U).value();
        // It is not tried again, and a person who asks for that is refused.
        daemon.signal(SIGHUP);
        EXPECT_NE(ctl({"resume", "j-" + what}), 0);
        expect_stands_still(words, false, "j-" + what);
        EXPECT_EQ(read_small_file(file, 1U << 26U).value(), left) << "the evidence stays";
        EXPECT_EQ(ctl({"verify"}), 4) << what << told();
        daemon.kill();
        // Read again it may look sound.
        {
            child again = started();
            expect_stands_still(words, false, "j-" + what);
        }
        for (const char* folder : {"spool", "journal"}) fs::remove_all(at(folder));
        if (HasFailure()) FAIL() << what << log();
    }
}

TEST_F(Ground, ALedgerThatIsNotTheOneThatWasWrittenStopsItAll) {
    child daemon = in_the_middle();
    drop_job("first", 20);
    ASSERT_TRUE(eventually([&] { return in("done", "first.yaml"); }, patience)) << log();
    const std::string file = at("journal/ledger.jsonl");
    const std::string good = read_small_file(file, 1U << 20U).value();
    const auto goes_on = [&](int before) {
        ASSERT_TRUE(eventually([&] { return truth("delete_requests") > before; }, patience)) << log();
    };
    fs::rename(file, file + ".away");
    expect_stands_still("ledger.jsonl: is gone", true);
    int before = truth("delete_requests");
    fs::rename(file + ".away", file);
    goes_on(before);
    fs::resize_file(file, 0);
    expect_stands_still("ledger.jsonl: was cut to 0 lines", true);
    before = truth("delete_requests");
    here_.write(data_ + "journal/restored", good);
    fs::rename(at("journal/restored"), file);
    goes_on(before);
    // The head that lies beside it, too.
    const std::string head = at("journal/ledger.head");
    here_.write(data_ + "journal/head", "{\"seq\":7,\"sha256\":\"" + std::string(64, 'a') + "\"}\n");
    fs::copy_file(head, head + ".good");
    fs::rename(at("journal/head"), head);
    expect_stands_still("ledger.head: names line 8", true);
    fs::rename(head + ".good", head);
    expect_goes_on();
}

// Both lock files removed: no second daemon comes in, and the first one makes them anew.
TEST_F(Ground, WithoutItsLockFilesAFolderStillHasOneOwner) {
    child daemon = in_the_middle();
    const std::string folders[] = {"journal", "spool"};
    for (const std::string& folder : folders) fs::remove(at(folder + "/.lock"));
    child second(command(), here_.path("second.log"));
    EXPECT_EQ(second.ends_within(patience), 75) << read("second.log");
    EXPECT_NE(read("second.log").find(fmt::format("pid {}", daemon.pid())), std::string::npos) << read("second.log");
    for (const std::string& folder : folders)
        EXPECT_TRUE(eventually([&] { return fs::exists(at(folder + "/.lock")); })) << log();
    EXPECT_TRUE(eventually([&] { return log().find("lock.made") != std::string::npos; })) << log();
    child third(command(), here_.path("third.log"));
    EXPECT_EQ(third.ends_within(patience), 75);
    EXPECT_NE(read("third.log").find(fmt::format("in use by culld, pid {}", daemon.pid())), std::string::npos);
    expect_goes_on();
}

// A whole copy in its place, at once: the journals are what they were as soon as the folder is back.
TEST_F(Ground, AFolderReplacedByACopyIsNoEvidence) {
    child daemon = in_the_middle();
    fs::copy(at("journal"), at("copy"), fs::copy_options::recursive);
    ASSERT_EQ(::renameat2(AT_FDCWD, at("copy").c_str(), AT_FDCWD, at("journal").c_str(), RENAME_EXCHANGE), 0);
    expect_stands_still(at("journal") + ": is another folder now", true);
    ASSERT_EQ(::renameat2(AT_FDCWD, at("copy").c_str(), AT_FDCWD, at("journal").c_str(), RENAME_EXCHANGE), 0);
    expect_goes_on();
}

// A symbolic link on the way to the journals is switched: what is behind it now is another folder.
TEST_F(Ground, ALinkOnTheWayThatIsSwitchedStopsItAll) {
    fs::create_directories(here_.path("one/journal"));
    fs::create_directories(here_.path("two"));
    fs::create_directories(here_.path("one/spool"));
    fs::create_directory_symlink(here_.path("one"), here_.path("current"));
    data_ = "current/";
    child daemon = in_the_middle();
    const auto lead_to = [&](const char* where) {
        fs::create_directory_symlink(here_.path(where), here_.path("next"));
        fs::rename(here_.path("next"), here_.path("current"));
    };
    lead_to("two");
    expect_stands_still(at("journal") + ": is gone", true);
    const int before = truth("delete_requests");
    lead_to("one");
    ASSERT_TRUE(eventually([&] { return truth("delete_requests") > before; }, patience)) << log();
    expect_goes_on();
}

// A journal that nothing was written to for long is looked at before anything is sent.
TEST_F(Ground, NothingIsSentBeforeALook) {
    configure({});
    child daemon = started();
    drop_job("later", 10, fmt::format("not_before: {}\n", from_now(4s)));
    ASSERT_TRUE(reaches("later", "waiting")) << log();
    ASSERT_TRUE(eventually([&] { return !records("later", "intent").empty(); }));
    fs::rename(at("journal/later.jsonl"), at("journal/away"));
    expect_blocked("later", "is gone");
    EXPECT_EQ(truth("delete_requests"), 0);
    fs::rename(at("journal/away"), at("journal/later.jsonl"));
    ASSERT_TRUE(eventually([&] { return in("done", "later.yaml"); }, patience)) << log();
    expect_true_verdicts("later", 10);
    expect_verified();
}

// With nothing to do it is seen as well: whoever watches /readyz knows before the next job comes.
TEST_F(Ground, IsWatchedWhileNothingIsToBeDone) {
    configure({});
    child daemon = started();
    EXPECT_TRUE(eventually([&] { return ready().find(" 200 ") != std::string::npos; }));
    fs::rename(at("journal"), at("away"));
    EXPECT_TRUE(eventually([&] { return ready().find(" 503 ") != std::string::npos; })) << ready();
    // What is dropped meanwhile waits where it is.
    drop_job("late", 10);
    std::this_thread::sleep_for(300ms);
    EXPECT_TRUE(in("incoming", "late.yaml"));
    EXPECT_EQ(truth("delete_requests"), 0);
    fs::rename(at("away"), at("journal"));
    ASSERT_TRUE(eventually([&] { return in("done", "late.yaml"); }, patience)) << log();
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.ends_within(patience), 0);
}

}  // namespace
}  // namespace culld::programs
