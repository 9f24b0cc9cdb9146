// A list that is being read, or waited for: it shows, and cancel ends it. The reading stands still where a test wants
// it to, so that nothing here hangs on how fast this machine reads.
#include "faults.hpp"

namespace culld::programs {
namespace {

class Reading : public WithFaults {
  protected:
    // The first 1 MiB of it is read.
    void hang_in(const std::string& file) const { fault("read " + file + " hang 0 4\n"); }
    // What `list` says of a file that is no job yet; empty: nothing.
    [[nodiscard]] std::string waits(const std::string& file) const {
        if (ctl({"list", "--json"}, "list.json") != 0) return {};
        const json::value told = json::parse(read("list.json"));
        fs::remove(here_.path("list.json"));
        for (const json::value& w : told.at("waiting").as_array())
            if (w.at("file").as_string() == file) return std::string(w.at("reason").as_string());
        return {};
    }
    [[nodiscard]] child cancelling(const std::string& name) const {
        return {{CULLCTL, "--config", here_.path("culld.yaml"), "cancel", name, "--reason", "the wrong list"},
                here_.path("ctl.log")};
    }
    void expect_cancelled(const std::string& file) const {
        ASSERT_TRUE(in("rejected", file)) << log();
        const json::value why = reason(file);
        EXPECT_NE(why.at("error").as_string().find("cancelled by uid"), std::string::npos) << json::serialize(why);
        EXPECT_NE(why.at("error").as_string().find("the wrong list"), std::string::npos) << json::serialize(why);
        ASSERT_EQ(ledger().size(), 1U);
        EXPECT_EQ(ledger()[0].at("type"), "job.rejected");
        EXPECT_EQ(ledger()[0].at("file").as_string(), file);
        EXPECT_EQ(truth("api_requests"), 0);
        expect_verified();
    }
};

TEST_F(Reading, ABareListShowsHowFarItIsAndIsCancelledByItsName) {
    if (!arm()) GTEST_SKIP() << "NOT TESTED: calls are not made to hang under a sanitizer";
    configure({});
    hang_in("list.txt");
    {
        child daemon = started();
        drop("a list.txt", list("big", 200'000));
        ASSERT_TRUE(eventually([&] { return waits("a list.txt").find(" ids, 1.0 MB of 2.") != std::string::npos; }))
            << waits("a list.txt");
        EXPECT_EQ(ctl({"pause", "a list.txt"}), 75) << told();
        EXPECT_NE(told().find("it is no job yet"), std::string::npos) << told();
        child cancel = cancelling("a list.txt");
        ASSERT_TRUE(eventually([&] { return log().find("it is taken no further") != std::string::npos; })) << log();
        no_faults();
        EXPECT_EQ(cancel.ends_within(patience), 0) << told();
        // Whoever was told so can rely on it.
        daemon.signal(SIGKILL);
        static_cast<void>(daemon.ends_within(10s));
    }
    child daemon = started();
    expect_cancelled("a list.txt");
    EXPECT_TRUE(fs::is_empty(at("spool/active")));
}

TEST_F(Reading, AJobShowsWhileItsListIsReadAndIsCancelledByItsId) {
    if (!arm()) GTEST_SKIP() << "NOT TESTED: calls are not made to hang under a sanitizer";
    configure({});
    hang_in("slow.ids");
    child daemon = started();
    drop_job("slow", 200'000);
    ASSERT_TRUE(eventually([&] { return state("slow") == "waiting"; })) << log();
    ASSERT_TRUE(eventually([&] {
        return status("slow").at("reason").as_string().find(" ids, 1.0 MB of 2.") != std::string::npos;
    })) << json::serialize(status("slow"));
    EXPECT_EQ(status("slow").at("waits_for"), "reading");
    EXPECT_EQ(status("slow").at("file"), "slow.yaml");
    EXPECT_EQ(ctl({"rate", "3"}), 0) << told();
    EXPECT_NE(told().find("no job is open"), std::string::npos) << told();
    child cancel = cancelling("slow");
    ASSERT_TRUE(eventually([&] { return log().find("it is taken no further") != std::string::npos; })) << log();
    no_faults();
    EXPECT_EQ(cancel.ends_within(patience), 0) << told();
    expect_cancelled("slow.yaml");
    EXPECT_EQ(ledger()[0].at("job_id"), "slow");
    EXPECT_TRUE(in("rejected", "slow.ids"));
    EXPECT_FALSE(fs::exists(at("journal/slow.jsonl")));
    // It was no job, so that its id is free.
    drop_job("slow", 10);
    ASSERT_TRUE(eventually([&] { return ledger().size() == 2; }, patience)) << log();
    EXPECT_EQ(finish_of("slow").at("status"), "completed");
}

TEST_F(Reading, AJobThatWaitsForItsListIsCancelledAtOnce) {
    configure({});
    std::string text = read("culld.yaml");
    text.replace(text.find("700ms"), 5, "10m");
    here_.write("culld.yaml", text);
    child daemon = started();
    drop("late.yaml", "version: 1\nid: late\nids_file: late.ids\n");
    ASSERT_TRUE(reaches("late", "waiting")) << log();
    EXPECT_NE(status("late").at("reason").as_string().find("late.ids"), std::string::npos);
    EXPECT_EQ(cancelling("late").ends_within(patience), 0) << told();
    expect_cancelled("late.yaml");
}

// The other way round: it is a job by the time the order reaches it.
TEST_F(Reading, AJobThatBeganMeanwhileIsCancelledLikeAnyOther) {
    if (!arm()) GTEST_SKIP() << "NOT TESTED: calls are not made to hang under a sanitizer";
    configure({});
    fault("open soon.jsonl hang\n");  // the list is read, its journal is being made
    child daemon = started();
    drop_job("soon", 200'000);
    ASSERT_TRUE(reaches("soon", "waiting")) << log();
    ASSERT_TRUE(eventually([&] { return fs::exists(at("journal/.plan/soon.ids")); })) << log();
    child cancel = cancelling("soon");
    ASSERT_TRUE(eventually([&] { return log().find("it is taken no further") != std::string::npos; }))
        << log() << told();
    no_faults();
    EXPECT_EQ(cancel.ends_within(patience), 0) << told();
    ASSERT_TRUE(eventually([&] { return ledger().size() == 1; }, patience)) << log();
    EXPECT_EQ(finish_of("soon").at("status"), "cancelled");
    EXPECT_EQ(truth("api_requests"), 0);
    expect_verified();
}

}  // namespace
}  // namespace culld::programs
