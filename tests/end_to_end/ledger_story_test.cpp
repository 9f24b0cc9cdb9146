// The ledger tells of every job that was accepted before anything of it is sent, of what people ordered, and of reloads
// that changed what may be deleted.
#include <gmock/gmock.h>

#include "faults.hpp"

namespace culld::programs {
namespace {

using testing::ElementsAre;

class LedgerTells : public WithFaults {
  protected:
    [[nodiscard]] std::vector<std::string> story() const {
        std::vector<std::string> out;
        for (const json::object& line : whole_ledger()) {
            std::string what(line.at("type").as_string());
            if (const auto* job = line.if_contains("job_id")) what += " " + std::string(job->as_string());
            out.push_back(std::move(what));
        }
        return out;
    }
    [[nodiscard]] std::size_t lines_of(const std::string& what) const {
        const auto all = story();
        return static_cast<std::size_t>(std::count(all.begin(), all.end(), what));
    }
};

TEST_F(LedgerTells, WhatBecameOfAJob) {
    configure({.limits = "requests_per_second: 20, concurrency: 1"});
    child daemon = started();
    drop_job("one", 1000);
    ASSERT_TRUE(settles_some("one", 20)) << log();
    ASSERT_EQ(ctl({"pause", "one"}), 0) << told();
    ASSERT_EQ(ctl({"resume", "one"}), 0);
    ASSERT_EQ(ctl({"rate", "one", "15"}), 0);
    ASSERT_EQ(ctl({"cancel", "one"}), 0);
    ASSERT_TRUE(eventually([&] { return lines_of("job.finished one") == 1; })) << log();
    EXPECT_THAT(story(), ElementsAre("job.accepted one", "job.paused one", "job.resumed one", "job.rate one",
                                     "job.cancelled one", "job.finished one"));
    const auto lines = whole_ledger();
    EXPECT_EQ(lines.at(0).at("ids").to_number<int>(), 1000);
    EXPECT_EQ(lines.at(0).at("owner").at("uid").to_number<unsigned>(), ::getuid());
    EXPECT_EQ(lines.at(0).at("sha256"), records("one", "job.accepted").front().at("sha256"));
    EXPECT_EQ(lines.at(1).at("record"), records("one", "job.paused").front().at("seq"));
    EXPECT_EQ(ctl({"verify"}), 0) << told();
}

TEST_F(LedgerTells, AReloadThatChangedWhatMayBeDeleted) {
    configure({});
    child daemon = started();
    daemon.signal(SIGHUP);
    ASSERT_TRUE(eventually([&] { return count(log(), "the configuration was read again") == 1; })) << log();
    write_config({.more = "ids: {protected_file: " + here_.write("keep.txt", "keep-1\nkeep-2\n") + "}\n"});
    daemon.signal(SIGHUP);
    ASSERT_TRUE(eventually([&] { return lines_of("config.reloaded") == 1; })) << log();
    const json::object line = whole_ledger().front();
    EXPECT_EQ(line.at("protected").at("count").to_number<int>(), 2);
    EXPECT_NE(line.at("config_sha256"), line.at("before").at("config_sha256"));
    EXPECT_FALSE(line.at("before").as_object().contains("protected"));
    drop_job("one", 3);
    ASSERT_TRUE(reaches("one", "finished")) << log();
    EXPECT_EQ(ctl({"verify"}), 0) << told();
}

// Nothing is sent while the ledger cannot tell of the job; a crash between the two, and the restart makes up for it.
TEST_F(LedgerTells, BeforeAnythingIsSent) {
    configure({});
    if (!arm()) GTEST_SKIP() << "NOT TESTED: no failing calls under a sanitizer";
    {
        child daemon = started();
        fault("fsync ledger.jsonl 5\n");
        drop_job("one", 30);
        ASSERT_TRUE(reaches("one", "blocked")) << log();
        EXPECT_EQ(records("one", "intent").size(), 1U);
        EXPECT_EQ(truth("delete_requests"), 0);
        EXPECT_EQ(ctl({"pause", "one", "--reason", "lunch"}), 0);
        EXPECT_TRUE(eventually([&] { return records("one", "job.paused").size() == 1; })) << log();
        daemon.signal(SIGKILL);
        static_cast<void>(daemon.ends_within(patience));
    }
    no_faults();
    child again = started();
    ASSERT_TRUE(eventually([&] { return lines_of("job.paused one") == 1; })) << log();
    EXPECT_EQ(lines_of("job.accepted one"), 1U);
    EXPECT_EQ(truth("delete_requests"), 0) << "it is paused";
    EXPECT_EQ(ctl({"resume", "one"}), 0);
    ASSERT_TRUE(reaches("one", "finished")) << log();
    EXPECT_EQ(lines_of("job.accepted one"), 1U);
    EXPECT_EQ(ctl({"verify"}), 0) << told();
}

}  // namespace
}  // namespace culld::programs
