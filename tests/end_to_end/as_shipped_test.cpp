// culld as its unit runs it, and the drop box as tmpfiles.conf makes it: what only shows among other users' files.
#include "as_shipped.hpp"

namespace culld::programs {
namespace {

TEST_F(AsShipped, JobsOfAllMembersOfTheGroupAreTakenAndNoOthersGetIn) {
    configure({});
    child daemon = started();
    drop_job("hers", 5);
    drop_as(bob, "his.txt", list("his", 5));
    here_.write("sent.yaml", "version: 1\nid: sent\nids: [sent-0, sent-1]\n");
    EXPECT_EQ(ctl_as(bob, {"submit", "--wait", here_.path("sent.yaml")}), 0) << told() << log();
    ASSERT_TRUE(eventually([&] { return in("done", "hers.yaml") && in("done", "his.txt"); })) << log();
    EXPECT_EQ(records("sent", "job.accepted").front().at("owner").at("uid").to_number<uid_t>(), bob.uid);
    EXPECT_EQ(records("hers", "job.accepted").front().at("owner").at("uid").to_number<uid_t>(), alice.uid);
    EXPECT_NE(ctl_as(stranger, {"submit", here_.path("sent.yaml")}), 0) << told();
    const std::string inside = at("spool/incoming/x.txt");
    EXPECT_EQ(
        as(stranger, [&] { return ::open(inside.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 ? errno : 0; }),
        EACCES);
    expect_true_verdicts("hers", 5);
    expect_verified();
}

// A file in incoming/ that somebody has open for writing. Whoever that is: the kernel asks for no names.
class being_written {
  public:
    being_written(std::string path, const person& owner)
        : path_(std::move(path)), fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640)) {
        give(owner);
    }
    void write(std::string_view text) const { ASSERT_TRUE(write_all(fd_.get(), text, path_)); }
    void close() { fd_.reset(); }

  private:
    void give(const person& who) const { ASSERT_EQ(::chown(path_.c_str(), who.uid, submit_group), 0); }
    std::string path_;
    unique_fd fd_;
};

class HalfWritten : public AsShipped {
  protected:
    // Longer than a file has to be quiet.
    void expect_not_taken(const std::string& name, std::chrono::nanoseconds time = 4s) const {
        EXPECT_FALSE(eventually([&] { return !in("incoming", name); }, time)) << name << log();
        EXPECT_EQ(truth("api_requests"), 0);
    }
};

TEST_F(HalfWritten, IsNotTakenWhereItStoodStillAtTheStart) {
    configure({});
    being_written slow(at("spool/incoming/slow.txt"), alice);
    slow.write("slow-0\nslow-1\nslow-2-and-the-re");
    child daemon = started();
    expect_not_taken("slow.txt");
    slow.write("st\n");
    slow.close();
    ASSERT_TRUE(eventually([&] { return in("done", "slow.txt"); })) << log();
    EXPECT_TRUE(server_->truth().at("deleted").as_object().contains("slow-2-and-the-rest"));
    EXPECT_EQ(server_->truth().at("deleted").as_object().size(), 3U);
}

TEST_F(HalfWritten, IsNotTakenWhenItWasRenamedInWithItsWriterStillThere) {
    configure({});
    child daemon = started();
    being_written slow(at("spool/tmp/moved.txt"), alice);
    slow.write("moved-0\nmo");
    fs::rename(at("spool/tmp/moved.txt"), at("spool/incoming/moved.txt"));
    expect_not_taken("moved.txt");
    slow.write("ved-1\n");
    slow.close();
    ASSERT_TRUE(eventually([&] { return in("done", "moved.txt"); })) << log();
    EXPECT_EQ(server_->truth().at("deleted").as_object().size(), 2U);
}

TEST_F(HalfWritten, IsNotTakenWhenItWasOpenedAgain) {
    configure({});
    being_written slow(at("spool/incoming/again.txt"), alice);
    slow.write("again-0\n");
    slow.close();
    being_written more(at("spool/incoming/again.txt"), alice);
    child daemon = started();
    expect_not_taken("again.txt");
    more.write("again-1\n");
    more.close();
    ASSERT_TRUE(eventually([&] { return in("done", "again.txt"); })) << log();
    EXPECT_EQ(server_->truth().at("deleted").as_object().size(), 2U);
}

TEST_F(HalfWritten, AListIsWaitedForAsItsJobIs) {
    configure({});
    being_written list_file(at("spool/incoming/job.ids"), alice);
    list_file.write("job-0\njob-");
    child daemon = started();
    drop("job.yaml", "version: 1\nid: job\nids_file: job.ids\n");
    ASSERT_TRUE(eventually([&] { return in("rejected", "job.yaml"); })) << log();
    EXPECT_NE(reason("job.yaml").at("error").as_string().find("being written"), std::string::npos);
    EXPECT_TRUE(in("incoming", "job.ids")) << "not anybody's but its writer's";
    EXPECT_EQ(truth("api_requests"), 0);
}

// Where the kernel does not tell who writes, a file has to be quiet for 10 s, and what changes all the same is put
// back.
TEST_F(HalfWritten, IsWaitedForLongerWhereTheKernelDoesNotTell) {
    capabilities_ = {};
    configure({});
    being_written slow(at("spool/incoming/slow.txt"), alice);
    slow.write("slow-0\nsl");
    child daemon = started();
    expect_not_taken("slow.txt", 6s);
    slow.write("ow-1\n");
    expect_not_taken("slow.txt", 6s);
    slow.close();
    ASSERT_TRUE(eventually([&] { return in("done", "slow.txt"); })) << log();
    EXPECT_EQ(server_->truth().at("deleted").as_object().size(), 2U);
    EXPECT_EQ(count(log(), "the kernel does not tell"), 1U) << log();
}

// What waits is told with what it waits for.
TEST_F(HalfWritten, WhatIsWaitedForIsListed) {
    configure({});
    std::string text = read("culld.yaml");
    text.replace(text.find("700ms"), 5, "60s");
    here_.write("culld.yaml", text);
    being_written slow(at("spool/incoming/slow.txt"), alice);
    slow.write("slow-0\n");
    child daemon = started();
    drop("job.yaml", "version: 1\nid: job\nids_file: late.ids\n");
    const auto waits = [&](std::string_view file, std::string_view reason) {
        return eventually([&] {
            const std::string answer = emulator_test::get_from_socket(here_.path("control.sock"), "/v1/jobs");
            const auto jobs = emulator_test::json(answer.substr(answer.find("\r\n\r\n") + 4));
            for (const json::value& job : jobs.at("jobs").as_array())
                if (job.at("file").as_string() == file && job.at("state").as_string() == "waiting")
                    return job.at("reason").as_string().find(reason) != std::string::npos;
            return false;
        });
    };
    EXPECT_TRUE(waits("slow.txt", "open for writing")) << log();
    EXPECT_TRUE(waits("job.yaml", "late.ids")) << log();
    slow.close();
    drop("late.ids", "late-0\n");
    ASSERT_TRUE(eventually([&] { return in("done", "slow.txt") && in("done", "job.yaml"); })) << log();
}

class Owners : public AsShipped {
  protected:
    [[nodiscard]] uid_t owner_of(const std::string& name) const {
        struct stat facts {};
        return ::lstat(at("spool/" + name).c_str(), &facts) == 0 ? facts.st_uid : uid_t(-1);
    }
};

TEST_F(Owners, AnotherUsersListIsNoneOfOnes) {
    configure({});
    child daemon = started();
    drop_as(bob, "x.ids", "bobs-0\n");
    drop("x.yaml", "version: 1\nid: x\nids_file: x.ids\n");
    ASSERT_TRUE(eventually([&] { return in("rejected", "x.yaml"); })) << log();
    EXPECT_NE(reason("x.yaml").at("error").as_string().find(std::to_string(bob.uid)), std::string::npos);
    EXPECT_EQ(reason("x.yaml").at("field").as_string(), "ids_file");
    EXPECT_EQ(owner_of("incoming/x.ids"), bob.uid);
    EXPECT_EQ(truth("api_requests"), 0);
    // It is there for bob's own, whose record names its owner. Root's may have anybody's.
    drop_as(bob, "y.yaml", "version: 1\nid: y\nids_file: x.ids\n");
    ASSERT_TRUE(eventually([&] { return in("done", "y.yaml") && in("done", "x.ids"); })) << log();
    EXPECT_EQ(records("y", "job.accepted").front().at("list").at("owner").at("uid").to_number<uid_t>(), bob.uid);
    drop("z.ids", "alices-0\n");
    drop_as({0, 0, {}}, "z.yaml", "version: 1\nid: z\nids_file: z.ids\n", 0644);
    ASSERT_TRUE(eventually([&] { return in("done", "z.yaml"); })) << log();
    EXPECT_EQ(records("z", "job.accepted").front().at("list").at("owner").at("uid").to_number<uid_t>(), alice.uid);
}

TEST_F(Owners, ARejectedJobTakesNobodyElsesListAlong) {
    configure({});
    child daemon = started();
    drop("used.yaml", "version: 1\nid: used\nids: [a]\n");
    ASSERT_TRUE(eventually([&] { return in("done", "used.yaml"); })) << log();
    drop_as(bob, "bobs.ids", "bobs-0\n");
    drop("again.yaml", "version: 1\nid: used\nids_file: bobs.ids\n");
    ASSERT_TRUE(eventually([&] { return in("rejected", "again.yaml"); })) << log();
    drop("hers.ids", "hers-0\n");
    drop("third.yaml", "version: 1\nid: used\nids_file: hers.ids\n");
    ASSERT_TRUE(eventually([&] { return in("rejected", "third.yaml") && in("rejected", "hers.ids"); })) << log();
    EXPECT_EQ(owner_of("incoming/bobs.ids"), bob.uid);
}

TEST_F(Owners, AFileThatItsGroupMayWriteIsNobodys) {
    configure({});
    child daemon = started();
    drop_as(alice, "open.txt", "open-0\n", 0660);
    ASSERT_TRUE(eventually([&] { return in("rejected", "open.txt"); })) << log();
    EXPECT_NE(reason("open.txt").at("hint").as_string().find("chmod go-w"), std::string::npos);
    drop_as(alice, "open.ids", "open-0\n", 0666);
    drop("open.yaml", "version: 1\nid: open\nids_file: open.ids\n");
    ASSERT_TRUE(eventually([&] { return in("rejected", "open.yaml"); })) << log();
    drop_as(alice, "roots.ids", "open-0\n", 0666);
    drop_as({0, 0, {}}, "roots.yaml", "version: 1\nid: roots\nids_file: roots.ids\n", 0644);
    ASSERT_TRUE(eventually([&] { return in("rejected", "roots.yaml"); })) << log();
    EXPECT_EQ(truth("api_requests"), 0);
}

// Whoever kept a file open that was accepted has nothing of what lies in active/, done/ and failed/.
TEST_F(Owners, AKeptDescriptorWritesIntoNothingOfOurs) {
    configure({.limits = "requests_per_second: 10, concurrency: 1", .batch_size = 5});
    drop("kept.ids", list("kept", 100));
    drop("kept.yaml", "version: 1\nid: kept\nids_file: kept.ids\n");
    const unique_fd ids(::open(at("spool/incoming/kept.ids").c_str(), O_RDONLY | O_CLOEXEC));
    const unique_fd job(::open(at("spool/incoming/kept.yaml").c_str(), O_RDONLY | O_CLOEXEC));
    // Read only, so that it is taken; through /proc its owner may open it for writing at any time.
    const auto scribble = [](const unique_fd& fd) {
        const unique_fd writing(::open(fmt::format("/proc/self/fd/{}", fd.get()).c_str(), O_WRONLY | O_CLOEXEC));
        ASSERT_TRUE(writing);
        ASSERT_TRUE(write_all(writing.get(), "other-0\nother-1\n", "kept"));
    };
    child daemon = started();
    ASSERT_TRUE(settles_some("kept", 10)) << log();
    ASSERT_TRUE(eventually([&] {
        return owner_of("active/kept.ids") == daemon_user.uid && owner_of("active/kept.yaml") == daemon_user.uid;
    })) << log();
    scribble(ids);
    scribble(job);
    EXPECT_EQ(read("spool/active/kept.ids"), list("kept", 100));
    // Also where it has to be read again.
    daemon.kill();
    fs::remove(at("journal/.plan/kept.ids"));
    write_config({});
    child next = started();
    ASSERT_TRUE(eventually([&] { return in("done", "kept.yaml") && in("done", "kept.ids"); }, patience)) << log();
    scribble(ids);
    EXPECT_EQ(read("spool/done/kept.ids"), list("kept", 100));
    EXPECT_EQ(owner_of("done/kept.ids"), daemon_user.uid);
    const json::value told = server_->truth();
    for (const auto& id : told.at("deleted").as_object()) EXPECT_TRUE(id.key().starts_with("kept-")) << id.key();
    expect_true_verdicts("kept", 100);
    for (const auto& entry : fs::directory_iterator(at("spool/active"))) ADD_FAILURE() << entry.path();
}

TEST_F(Owners, NamesThatAnothersOpenJobHasHoldNobodyUp) {
    configure({.limits = "requests_per_second: 500, concurrency: 2"});
    child daemon = started();
    drop("same.ids", list("hers", 20));
    drop("same.yaml", "version: 1\nid: hers\nids_file: same.ids\nnot_before: " + from_now(10s) + "\n");
    ASSERT_TRUE(reaches("hers", "waiting")) << log();
    drop_as(bob, "same.ids", list("his", 20));
    drop_as(bob, "same.yaml", "version: 1\nid: his\nids_file: same.ids\n");
    ASSERT_TRUE(reaches("his", "finished")) << log();
    EXPECT_EQ(records("his", "job.accepted").front().at("file").as_string(), "same.yaml");
    EXPECT_EQ(read("spool/done/same.ids"), list("his", 20));
    expect_true_verdicts("his", 20);
    // A third is open with them over a restart.
    drop_as(bob, "same.ids", list("third", 20));
    drop_as(bob, "same.yaml", "version: 1\nid: third\nids_file: same.ids\nnot_before: " + from_now(10s) + "\n");
    ASSERT_TRUE(reaches("third", "waiting")) << log();
    daemon.kill();
    fs::remove(at("journal/.plan/third.ids"));
    child next = started();
    ASSERT_TRUE(reaches("hers", "finished", patience)) << log();
    ASSERT_TRUE(reaches("third", "finished", patience)) << log();
    expect_true_verdicts("hers", 20);
    expect_true_verdicts("third", 20);
    expect_verified();
    ASSERT_TRUE(eventually([&] { return fs::is_empty(at("spool/active")); })) << log();
}

// The kernel lets nobody move another's folder who may not write in it: it stays, is told once, and holds up nothing.
TEST_F(Owners, AFolderThatCannotBeMovedHoldsUpNothing) {
    configure({});
    ASSERT_EQ(as(alice, [&] { return ::mkdir(at("spool/incoming/folder.txt").c_str(), 0700); }), 0);
    drop("good.txt", "good-0\n");
    EXPECT_EQ(once(), 65) << log();
    EXPECT_TRUE(in("done", "good.txt") && in("incoming", "folder.txt"));
    EXPECT_EQ(ledger().size(), 2U);
    child daemon = started();
    daemon.signal(SIGHUP);
    drop("more.txt", "more-0\n");
    ASSERT_TRUE(eventually([&] { return in("done", "more.txt"); })) << log();
    EXPECT_EQ(ledger().size(), 3U) << "its line is there already";
}

// The id of a job whose list never comes is nobody's.
TEST_F(Owners, AnIdCannotBeSquattedByAJobThatIsNone) {
    configure({});
    child daemon = started();
    drop_as(bob, "squat.yaml", "version: 1\nid: wanted\nids_file: never.ids\n");
    ASSERT_TRUE(eventually([&] { return !in("incoming", "squat.yaml"); })) << log();
    drop("wanted.yaml", "version: 1\nid: wanted\nids: [a, b]\n");
    ASSERT_TRUE(eventually([&] { return in("done", "wanted.yaml") && in("rejected", "squat.yaml"); })) << log();
}

}  // namespace
}  // namespace culld::programs
