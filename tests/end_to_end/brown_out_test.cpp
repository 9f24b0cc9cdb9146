// A server in trouble gets no storm: what is sent over what is needed, when answers fail and when nobody answers.
#include "programs.hpp"

namespace culld::programs {
namespace {

class BrownOut : public Programs {
  protected:
    int jobs_ = 0;
    static setup troubled(const std::string& scenario) {
        return {.scenario = "seed: 3\n" + scenario,
                .limits = "requests_per_second: 400, concurrency: 4",
                .api = ", connect_timeout: 1s, request_timeout: 1s",
                .more = "breaker: {failures: 10, probe: 100ms}\n"};
    }
};

// Each failure costs one request more and no other: 1 / (1 - p) of them are needed, here and there a batch of luck.
TEST_F(BrownOut, ServerErrorsCostTheRequestsThatTheyAnswerAndNoMore) {
    for (const std::string fault : {"status_ratio: {{500: {}, apply: never}}", "lost_before_ratio: {}"})
        for (const double p : {0.1, 0.3, 0.5}) {
            const std::string scenario = fmt::format(fmt::runtime(fault), p);
            SCOPED_TRACE(scenario);
            server_.reset();
            port_ = 0;
            configure(troubled(scenario + "\n"));
            const std::string job = fmt::format("j{}", ++jobs_);
            drop_job(job, 4000);
            ASSERT_EQ(once(), 0) << log();
            const double amplification = truth("api_requests") / 200.0;
            EXPECT_EQ(truth("deleted_distinct"), 4000);
            EXPECT_EQ(truth("get_requests"), 0);
            EXPECT_LE(amplification, 1.25 / (1 - p));
            RecordProperty(scenario, std::to_string(amplification));
        }
}

// Deleted, and the answer lost: the ids come back as errors, and each is asked for once its tries are over.
TEST_F(BrownOut, ALostAnswerCostsOneGetForEachIdAndItsTries) {
    configure(troubled("lost_ratio: 0.1\n"));
    drop_job("lost", 2000);
    ASSERT_EQ(once(), 0) << log();
    EXPECT_EQ(truth("deleted_distinct"), 2000);
    const auto verdicts_by_id = verdicts("lost");
    const auto absent =
        std::count_if(verdicts_by_id.begin(), verdicts_by_id.end(), [](const auto& v) { return v.second == "absent"; });
    EXPECT_GT(absent, 0);
    EXPECT_LE(truth("get_requests"), 1.3 * static_cast<double>(absent));
    EXPECT_LE(truth("delete_requests"), 100 * 1.3 / 0.9 + 3.0 * static_cast<double>(absent) / 20);
    expect_verified();
}

TEST_F(BrownOut, ADeadServerCostsOneProbeForEachInterval) {
    setup s = troubled("outages: [{after_requests: 0, for_requests: 1000000, kind: \"503\"}]\n");
    s.more = "breaker: {failures: 5, probe: 300ms}\n";
    configure(s);
    drop_job("dead", 4000, "deadline: " + from_now(2s) + "\nverify: none\n");
    ASSERT_EQ(once(), 2) << log();
    // Five to open it, at most three more in flight then, and seven probes; the last is cut by the deadline.
    EXPECT_LE(truth("api_requests"), 5 + 3 + 8);
    EXPECT_GE(truth("api_requests"), 5 + 4);
    EXPECT_EQ(count(log(), "breaker.open"), 1U);
}

TEST_F(BrownOut, AnEndpointThatNobodyServesCostsNoMore) {
    setup s = troubled("");
    s.more = "breaker: {failures: 5, probe: 300ms}\n";
    configure(s);
    server_.reset();
    drop_job("gone", 4000, "deadline: " + from_now(2s) + "\n");
    ASSERT_EQ(once(), 2) << log();
    const auto errors = records("gone", "batch.error");
    EXPECT_LE(errors.size(), 5U + 3 + 8);
    EXPECT_GE(errors.size(), 5U + 4);
    for (const json::object& e : errors) EXPECT_EQ(e.at("class").as_string(), "connect");
    EXPECT_EQ(finish_of("gone").at("totals").at("requests").to_number<int>(), 0);
}

// Our own limit is twice the account's.
TEST_F(BrownOut, ThrottlingCostsLittleWhetherTheAnswerNamesTheLimitOrNot) {
    for (const std::string message : {"", ", message: slow down"}) {
        SCOPED_TRACE(message);
        server_.reset();
        port_ = 0;
        setup s = troubled(fmt::format("throttle: {{limit: 50, per: 1s{}}}\n", message));
        s.limits = "requests_per_second: 100, concurrency: 4";
        configure(s);
        const std::string job = fmt::format("j{}", ++jobs_);
        drop_job(job, 2000);
        const auto begun = std::chrono::steady_clock::now();
        ASSERT_EQ(once(), 0) << log();
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
        EXPECT_GE(truth("throttled"), 1);
        EXPECT_LE(truth("throttled"), message.empty() ? 4 : 25);
        EXPECT_LE(took.count(), 4.5) << "100 requests at 50 a second";
        RecordProperty("throttled" + message, std::to_string(truth("throttled")));
    }
}

}  // namespace
}  // namespace culld::programs
