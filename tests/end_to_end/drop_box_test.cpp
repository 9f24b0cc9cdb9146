// What becomes of files in the drop box: lists that come late or never, jobs that come again, names that are taken.
#include "programs.hpp"

namespace culld::programs {
namespace {

using DropBox = Programs;

TEST_F(DropBox, AListMayComeAfterItsJob) {
    configure({});
    child daemon = started();
    drop("late.yaml", "version: 1\nid: late\nids_file: late.ids\n");
    ASSERT_TRUE(eventually([&] { return in("active", "late.yaml"); })) << log();
    drop("late.ids", list("late", 25));
    ASSERT_TRUE(eventually([&] { return in("done", "late.yaml") && in("done", "late.ids"); })) << log();
    expect_true_verdicts("late", 25);
}

TEST_F(DropBox, AListThatNeverComesRejectsItsJobAndNoOther) {
    configure({});
    child daemon = started();
    drop("never.yaml", "version: 1\nid: never\nids_file: never.ids\n");
    drop("other.txt", list("other", 5));
    ASSERT_TRUE(eventually([&] { return in("rejected", "never.yaml") && in("done", "other.txt"); })) << log();
    EXPECT_EQ(reason("never.yaml").at("field").as_string(), "ids_file");
    // Its id was never accepted: the same job may come again, with its list.
    drop_job("never", 5);
    ASSERT_TRUE(eventually([&] { return in("done", "never.yaml"); })) << log();
}

TEST_F(DropBox, AJobDroppedAgainIsRejectedAndDeletesNothing) {
    configure({});
    drop_job("again", 40);
    ASSERT_EQ(once(), 0) << log();
    const int before = truth("api_requests");
    drop_job("again", 40);
    EXPECT_EQ(once(), 65) << log();
    EXPECT_EQ(truth("api_requests"), before);
    EXPECT_TRUE(in("rejected", "again.yaml"));
    EXPECT_EQ(reason("again.yaml").at("field").as_string(), "id");
    // Its list must not lie in wait for another job.
    EXPECT_FALSE(in("incoming", "again.ids"));
    expect_verified();
    EXPECT_EQ(verdicts("again").size(), 40U);
}

TEST_F(DropBox, AJobDroppedAgainWhileItRunsIsRejectedAndTheFirstGoesOn) {
    configure({.limits = "requests_per_second: 20, concurrency: 2"});
    child daemon = started();
    drop_job("twice", 600);
    ASSERT_TRUE(settles_some("twice", 40)) << log();
    drop("copy.yaml", "version: 1\nid: twice\nids: [x, y]\n");
    ASSERT_TRUE(eventually([&] { return in("rejected", "copy.yaml"); })) << log();
    ASSERT_TRUE(eventually([&] { return in("done", "twice.yaml"); }, patience)) << log();
    expect_true_verdicts("twice", 600);
    expect_verified();
}

TEST_F(DropBox, ANameThatIsTakenGetsASuffixAndNothingIsOverwritten) {
    configure({});
    for (int i = 0; i < 3; ++i) {
        drop("list.txt", list(fmt::format("r{}", i), 3));
        ASSERT_EQ(once(), 0) << log();
        drop("bad.txt", fmt::format("no id {}\n", i));
        ASSERT_EQ(once(), 65) << log();
    }
    for (const char* name : {"list.txt", "list.1.txt", "list.2.txt"}) EXPECT_TRUE(in("done", name)) << name;
    for (const char* name : {"bad.txt", "bad.1.txt", "bad.2.txt"}) {
        EXPECT_TRUE(in("rejected", name)) << name;
        EXPECT_TRUE(in("rejected", std::string(name) + ".reason.json")) << name;
    }
    EXPECT_EQ(read("spool/done/list.txt"), list("r0", 3));
    EXPECT_EQ(read("spool/done/list.2.txt"), list("r2", 3));
    EXPECT_EQ(ledger().size(), 6U);
    expect_verified();
}

TEST_F(DropBox, WhatIsNoPlainFileIsRejectedUnopened) {
    configure({});
    const std::string box = here_.path("spool/incoming/");
    const std::string outside = here_.write("secret.txt", "secret-id\n");
    fs::create_symlink(outside, box + "link.txt");
    ASSERT_EQ(::mkfifo((box + "pipe.txt").c_str(), 0600), 0);
    fs::create_directory(box + "folder.txt");
    if (as_shipped_) give_to(daemon_user, box + "folder.txt", 0700);
    fs::create_hard_link(outside, box + "hard.txt");
    drop("what.doc", "a\n");
    drop(".hidden.txt", "a\n");
    drop("part.txt.part", "a\n");
    EXPECT_EQ(once(), 65) << log();
    for (const char* name : {"link.txt", "pipe.txt", "folder.txt", "hard.txt", "what.doc"}) {
        EXPECT_TRUE(fs::exists(fs::symlink_status(here_.path(std::string("spool/rejected/") + name)))) << name;
        EXPECT_TRUE(in("rejected", std::string(name) + ".reason.json")) << name;
    }
    EXPECT_TRUE(in("incoming", ".hidden.txt"));
    EXPECT_TRUE(in("incoming", "part.txt.part"));
    EXPECT_EQ(truth("api_requests"), 0);
    EXPECT_EQ(read("secret.txt"), "secret-id\n");
}

// More than are looked at or taken at a time; their lists come last.
TEST_F(DropBox, ManyJobsGetTheListsThatComeAfterThem) {
    configure({});
    std::string text = read("culld.yaml");
    text.replace(text.find("700ms"), 5, "30s");
    here_.write("culld.yaml", text);
    child daemon = started();
    constexpr int many = 1300;
    for (int i = 0; i < many; ++i) drop(fmt::format("j{}.yaml", i), fmt::format("version: 1\nids_file: l{}.ids\n", i));
    for (int i = 0; i < many; ++i) drop(fmt::format("l{}.ids", i), fmt::format("id-{}\n", i));
    ASSERT_TRUE(eventually([&] { return ledger().size() == many; }, patience)) << ledger().size();
    EXPECT_EQ(count(log(), "event=job.rejected"), 0U) << log().substr(0, 4000);
}

// Their ids are made of the first 60 characters, the second and 16 random bits, and drawn again where one is taken.
TEST_F(DropBox, ListsWhoseNamesAreAlikeGetIdsOfTheirOwn) {
    configure({});
    for (int i = 0; i < 800; ++i)
        fs::rename(here_.write("spool/tmp/x", fmt::format("id-{}\n", i)),
                   at(fmt::format("spool/incoming/{}{}.txt", std::string(60, 'a'), i)));
    child daemon = started();
    ASSERT_TRUE(eventually([&] { return ledger().size() == 800; }, patience)) << ledger().size();
    EXPECT_EQ(count(log(), "event=job.rejected"), 0U);
    EXPECT_EQ(server_->truth().at("deleted").as_object().size(), 800U);
}

}  // namespace
}  // namespace culld::programs
