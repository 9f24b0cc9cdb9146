// What a restart makes of each kind of record, and of sequences that no honest journal holds.
#include "culld/core/journal/replay.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <tuple>

#include "support/journal_builder.hpp"

namespace culld {
namespace {

using test::journal_builder;
using testing::HasSubstr;
using testing::IsEmpty;

// Everything that job.accepted must have.
std::string facts(std::uint64_t ids,
                  std::string_view options = R"("batch_size":4,"max_attempts":3,"verify":"failed")") {
    return fmt::format(
        R"("job_id":"j","file":"f","sha256":"a","bytes":1,"owner":{{"uid":0,"gid":0}},"resource":"incidents",)"
        R"("project_id":"p","workspace_id":"w","ids":{},"duplicates":0,"options":{{{}}},"labels":{{}})",
        ids, options);
}

// The job that the journal tells of, or the complaint.
result<recovered_job> recover(const journal_builder& j) {
    replay job;
    record_view r;
    for (std::string_view rest = j.text; !rest.empty(); rest.remove_prefix(rest.find('\n') + 1)) {
        if (auto read = read_record(rest.substr(0, rest.find('\n')), r); !read) return fail(read.error());
        if (auto fed = job.feed(r); !fed) return fail(fed.error());
    }
    return job.finish();
}

recovered_job recovered(const journal_builder& j) {
    auto job = recover(j);
    EXPECT_TRUE(job) << job.error().text();
    return job ? std::move(*job) : recovered_job{};
}

void expect_refused(const journal_builder& j, const char* why) {
    const auto job = recover(j);
    ASSERT_FALSE(job) << "should say: " << why;
    EXPECT_THAT(job.error().what, HasSubstr(why));
}

journal_builder begun(std::uint64_t ids = 20) {
    journal_builder j;
    j.add("job.accepted", facts(ids));
    return j;
}

// (attempts, word, positions) of all that is open.
std::vector<std::tuple<std::uint32_t, last_outcome, spans>> open_of(const recovered_job& job) {
    std::vector<std::tuple<std::uint32_t, last_outcome, spans>> out;
    for (const auto& o : job.state.open) out.emplace_back(o.attempts, o.last, o.at);
    return out;
}
using open_list = std::vector<std::tuple<std::uint32_t, last_outcome, spans>>;

std::string error_fields(std::string_view error_class, unsigned status, span at, std::uint64_t attempt = 1,
                         bool retried = true) {
    return fmt::format(
        R"("batch":9,"attempt":{},"class":"{}","http_status":{},"detail":"x",{}"first":{},"count":{},"at":[[{},{}]])",
        attempt, error_class, status, retried ? R"("retry_in_ms":5,)" : "", at.first, at.count, at.first, at.count);
}

// ---- each record ----

TEST(Replay, NothingIsAJobThatWasNeverAccepted) {
    EXPECT_FALSE(replay().finish().accepted);
}

TEST(Replay, JobAcceptedIsReadBackWhole) {
    journal_builder j;
    j.add(
        "job.accepted",
        R"("job_id":"j-1","file":"a.yaml","sha256":"aa","bytes":7,"list":{"file":"l.ids","sha256":"bb","bytes":9},)"
        R"("owner":{"uid":1000,"gid":100},"resource":"alerts","project_id":"p","workspace_id":"w","ids":20,"duplicates":2,)"
        R"("options":{"batch_size":50,"max_attempts":4,"priority":1,"not_before":"2026-11-25T00:00:00.000000Z",)"
        R"("deadline":"2026-11-26T00:00:00.000000Z","dry_run":true,"verify":"all","expect_count":20,)"
        R"("abort_when":{"failed_ratio":0.25,"after":10}},"labels":{"t\u0061g":"v\n"},"culld":"1","config_sha256":"cc",)"
        R"("modified_at":"2026-11-24T00:00:00.000000Z")");
    const recovered_job job = recovered(j);
    EXPECT_TRUE(job.accepted);
    const job_spec& s = job.intake.spec;
    EXPECT_EQ(std::tie(s.id, s.resource, s.project_id, s.workspace_id, s.ids_file),
              std::make_tuple(std::string("j-1"), "alerts", "p", "w", "l.ids"));
    EXPECT_EQ(s.batch_size, 50U);
    EXPECT_EQ(s.max_attempts, 4U);
    EXPECT_EQ(s.priority, 1U);
    EXPECT_EQ(s.not_before, parse_rfc3339("2026-11-25T00:00:00Z").value());
    EXPECT_EQ(s.deadline, parse_rfc3339("2026-11-26T00:00:00Z").value());
    EXPECT_TRUE(s.dry_run);
    EXPECT_EQ(s.verify, verify_mode::all);
    EXPECT_EQ(s.expect_count, 20U);
    EXPECT_EQ(s.abort_when, (abort_rule{.failed_ratio = 0.25, .after = 10}));
    EXPECT_EQ(s.labels, (std::vector<std::pair<std::string, std::string>>{{"tag", "v\n"}}));
    EXPECT_EQ(job.intake.source.bytes, 7U);
    ASSERT_TRUE(job.intake.list);
    EXPECT_EQ(job.intake.list->sha256, "bb");
    EXPECT_EQ(job.uid, 1000U);
    EXPECT_EQ(job.gid, 100U);
    EXPECT_EQ(job.intake.duplicates, 2U);
    EXPECT_EQ(job.state.ids, 20U);
    EXPECT_EQ(job.modified_at, parse_rfc3339("2026-11-24T00:00:00Z").value());
    EXPECT_EQ(job.accepted_at, parse_rfc3339("2026-11-25T01:02:00Z").value());
}

TEST(Replay, WhatTheWriterWritesOfAJobReadsBack) {
    job_intake in;
    in.spec = {
        .id = "j", .resource = "incidents", .project_id = "p", .workspace_id = "w", .batch_size = 9, .max_attempts = 2};
    in.spec.abort_when = abort_rule{.failed_ratio = 0.1, .after = 3};
    in.spec.labels = {{"k", "v"}};
    in.source = {"j.txt", "aa", 1};
    in.ids = 3;
    chain_writer chain;
    journal_builder j;
    write_accepted(chain, j.text, wall_time{}, {.intake = &in, .uid = 1, .gid = 2, .config_sha256 = "c"});
    const recovered_job job = recovered(j);
    EXPECT_EQ(job.intake.spec.batch_size, 9U);
    EXPECT_EQ(job.intake.spec.abort_when, in.spec.abort_when);
    EXPECT_EQ(job.intake.spec.labels, in.spec.labels);
    EXPECT_FALSE(job.intake.list);
}

TEST(Replay, AnIntentPutsItsIdsInDoubt) {
    const recovered_job job = recovered(begun().intent(0, 8).intent(8, 4));
    EXPECT_EQ(job.state.intended, 12U);
    EXPECT_EQ(open_of(job), (open_list{{0, last_outcome::unsent, {{0, 12}}}}));
    EXPECT_EQ(job.in_doubt, (spans{{0, 12}}));
}

TEST(Replay, ABatchResultSettlesWhatItDeletedAndKeepsTheRestOpen) {
    const recovered_job job = recovered(begun()
                                            .intent(0, 8)
                                            .result(1, {{0, 4}}, {{0, 1}, {3, 1}}, {{1, 1}}, {{2, 1}})
                                            .result(2, {{1, 2}}, {{1, 1}}, {{2, 1}}));
    EXPECT_EQ(open_of(job), (open_list{{0, last_outcome::unsent, {{4, 4}}}, {2, last_outcome::refused, {{2, 1}}}}));
    EXPECT_EQ(job.state.counts.deleted, 3U);
    EXPECT_EQ(job.state.first_good, 2U);
    EXPECT_EQ(job.state.first_bad, 2U) << "of first attempts only";
    EXPECT_EQ(job.requests, 2U);
    EXPECT_EQ(job.retries, 1U);
    EXPECT_GT(job.state.next_batch, 3U);
    EXPECT_EQ(job.in_doubt, (spans{{4, 4}}));
}

TEST(Replay, WhatWasReportedWithVerifyAllIsNoVerdict) {
    const recovered_job job =
        recovered(begun().intent(0, 4).result(1, {{0, 4}}, {{0, 2}}, {{2, 1}}, {{3, 1}}, "reported").deleted({{0, 1}}));
    EXPECT_EQ(job.state.counts, (verdict_counts{.deleted = 1}));
    EXPECT_EQ(open_of(job), (open_list{{1, last_outcome::refused, {{2, 1}}},
                                       {1, last_outcome::unaccounted, {{3, 1}}},
                                       {1, last_outcome::reported, {{1, 1}}}}));
    EXPECT_THAT(job.in_doubt, IsEmpty());
}

TEST(Replay, ABatchErrorTellsWhetherItsIdsAreInDoubt) {
    for (const char* error_class : {"connect", "tls"}) {
        const recovered_job job = recovered(begun().intent(0, 4).error(error_class, 0, {0, 4}));
        EXPECT_EQ(open_of(job), (open_list{{0, last_outcome::unsent, {{0, 4}}}})) << error_class;
        EXPECT_EQ(job.requests, 0U) << "nothing was sent";
    }
    for (const char* error_class : {"throttled", "auth", "rejected"}) {
        const recovered_job job = recovered(begun().intent(0, 4).error(error_class, 403, {0, 4}));
        EXPECT_EQ(open_of(job), (open_list{{0, last_outcome::unsent, {{0, 4}}}}))
            << error_class << ": surely not carried out";
        EXPECT_EQ(job.requests, 1U);
        EXPECT_EQ(job.throttled, error_class == std::string_view("throttled") ? 1U : 0U);
    }
    for (const char* error_class : {"timeout", "transport", "server", "protocol"}) {
        const recovered_job job = recovered(begun().intent(0, 8).error(error_class, 0, {0, 4}));
        EXPECT_EQ(open_of(job),
                  (open_list{{0, last_outcome::unsent, {{4, 4}}}, {0, last_outcome::unanswered, {{0, 4}}}}))
            << error_class;
        EXPECT_EQ(job.in_doubt, (spans{{0, 8}}));
    }
}

TEST(Replay, ASecondRequestForTheSameIdsIsARetry) {
    const recovered_job job =
        recovered(begun().intent(0, 4).error("throttled", 429, {0, 4}).result(1, {{0, 4}}, {{0, 4}}));
    EXPECT_EQ(job.requests, 2U);
    EXPECT_EQ(job.retries, 1U);
    EXPECT_EQ(job.throttled, 1U);
}

TEST(Replay, AnIdRefusedAloneForItsContentHadItsLastWord) {
    for (const unsigned status : {400U, 413U}) {
        const recovered_job job =
            recovered(begun().intent(0, 4).add("batch.error", error_fields("rejected", status, {2, 1}, 1, false)));
        EXPECT_EQ(open_of(job),
                  (open_list{{0, last_outcome::unsent, {{0, 2}, {3, 1}}}, {1, last_outcome::rejected, {{2, 1}}}}));
    }
}

// A 400 that names the project blocks the job; its batch, of one id though it be, is to go again, and the
// record says so.
TEST(Replay, AnIdAloneInABatchThatBlockedItsJobIsNotRejected) {
    const recovered_job job = recovered(begun(1)
                                            .intent(0, 1)
                                            .add("batch.error", error_fields("rejected", 400, {0, 1}))
                                            .add("job.blocked", R"("class":"rejected")"));
    EXPECT_EQ(open_of(job), (open_list{{0, last_outcome::unsent, {{0, 1}}}}));
}

TEST(Replay, VerdictsSettleOpenIdsAndThoseAhead) {
    const recovered_job job = recovered(begun()
                                            .skipped({10, 5}, "protected")
                                            .intent(0, 8)
                                            .result(1, {{0, 4}}, {{0, 1}}, {{1, 3}})
                                            .absent({{1, 1}})
                                            .failed({{2, 1}}));
    EXPECT_EQ(job.state.counts, (verdict_counts{.deleted = 1, .absent = 1, .failed = 1, .skipped = 5}));
    EXPECT_EQ(job.state.presettled, (spans{{10, 5}}));
    EXPECT_EQ(open_of(job), (open_list{{0, last_outcome::unsent, {{4, 4}}}, {1, last_outcome::refused, {{3, 1}}}}));
    EXPECT_FALSE(job.stopped) << "protected is no stop";
}

TEST(Replay, HolesAtTheEndMeanThatNothingFreshIsLeft) {
    const recovered_job job = recovered(begun().skipped({12, 8}, "protected").intent(0, 12));
    EXPECT_EQ(job.state.intended, 20U);
    EXPECT_THAT(job.state.presettled, IsEmpty());
}

TEST(Replay, AStopIsKept) {
    for (const auto& [name, why] : {std::pair{"cancelled", skip_reason::cancelled},
                                    {"aborted", skip_reason::aborted},
                                    {"deadline", skip_reason::deadline},
                                    {"dry_run", skip_reason::dry_run}})
        EXPECT_EQ(recovered(begun().skipped({0, 20}, name)).stopped, why);
    EXPECT_EQ(recovered(begun().add("job.cancelled", R"("by":{"uid":0,"pid":1})")).stopped, skip_reason::cancelled);
}

TEST(Replay, PausesRatesAndTheEndAreKept) {
    EXPECT_TRUE(recovered(begun().add("job.paused", "")).paused);
    EXPECT_FALSE(recovered(begun().add("job.paused", "").add("job.resumed", "")).paused);
    // Whoever cancels a paused job wants it to end, and not to wait for a resume.
    EXPECT_FALSE(recovered(begun().add("job.paused", "").add("job.cancelled", "")).paused);
    EXPECT_FALSE(recovered(begun().add("job.paused", "").skipped({0, 2}, "deadline")).paused);
    EXPECT_TRUE(recovered(begun().add("job.cancelled", "").add("job.paused", "")).paused);
    EXPECT_EQ(recovered(begun().add("job.rate", R"("requests_per_second":0.5)")).rate, 0.5);
    const recovered_job job =
        recovered(begun().skipped({0, 20}, "cancelled").finished("cancelled", {.ids = 20, .skipped = 20}));
    EXPECT_EQ(job.status, "cancelled");
    EXPECT_EQ(job.finished_at, parse_rfc3339("2026-11-25T01:02:59Z").value());
    // As it says, whatever the other records add up to: the ledger must say the same.
    ASSERT_TRUE(job.totals);
    EXPECT_EQ(job.totals->skipped, 20U);
}

TEST(Replay, RecordsThatSayNothingAboutIdsChangeNothing) {
    const recovered_job job = recovered(begun()
                                            .intent(0, 4)
                                            .add("job.recovered", R"("open":[[0,4]],"torn_bytes":3)")
                                            .add("job.blocked", R"("class":"auth")")
                                            .add("job.unblocked", R"("why":"x")")
                                            .add("job.of_a_later_version", R"("x":1)"));
    EXPECT_EQ(open_of(job), (open_list{{0, last_outcome::unanswered, {{0, 4}}}}))
        << "the run that recovered took it for lost";
}

// ---- checkpoints ----

std::string checkpoint_text(
    std::string_view open =
        R"([{"attempts":1,"word":"refused","at":[[3,1]]},{"attempts":0,"word":"unsent","at":[[8,2]]}])",
    std::string_view rest = R"("paused":true,"requests_per_second":2,"stopped":"deadline","reason":"lunch")") {
    return fmt::format(
        R"("intended":10,"next_batch":6,"open":{},"holes":[[15,2]],"first_good":4,"first_bad":1,{},)"
        R"("totals":{{"ids":20,"deleted":7,"absent":0,"failed":0,"skipped":2,"duplicates":0,"requests":5,"retries":2,"throttled":1}})",
        open, rest);
}

TEST(Replay, ACheckpointBehindTheFirstRecordIsWhereItBegins) {
    const recovered_job job = recovered(begun().add("checkpoint", checkpoint_text()).result(2, {{3, 1}}, {{3, 1}}));
    EXPECT_EQ(job.state.counts, (verdict_counts{.deleted = 8, .skipped = 2}));
    EXPECT_EQ(job.state.intended, 10U);
    EXPECT_EQ(job.state.first_good, 4U);
    EXPECT_EQ(job.state.first_bad, 1U);
    EXPECT_EQ(job.state.presettled, (spans{{15, 2}}));
    EXPECT_EQ(open_of(job), (open_list{{0, last_outcome::unsent, {{8, 2}}}}));
    EXPECT_EQ(job.requests, 6U);
    EXPECT_EQ(job.retries, 3U);
    EXPECT_EQ(job.throttled, 1U);
    EXPECT_TRUE(job.paused);
    EXPECT_EQ(job.said, "lunch");
    EXPECT_EQ(job.rate, 2.0);
    EXPECT_EQ(job.stopped, skip_reason::deadline);
}

TEST(Replay, ACheckpointTellsWhoPaused) {
    const auto paused_by = [](const char* more) {
        const std::string open =
            R"([{"attempts":1,"word":"refused","at":[[3,1]]},{"attempts":0,"word":"unsent","at":[[8,2]]}])";
        return recovered(begun().add("checkpoint", checkpoint_text(open, more))).paused_by;
    };
    const auto by = paused_by(R"("paused":true,"reason":"lunch","paused_by":{"uid":1000,"pid":7})");
    ASSERT_TRUE(by);
    EXPECT_EQ(by->uid, 1000U);
    EXPECT_EQ(by->pid, 7);
    EXPECT_FALSE(paused_by(R"("paused":true,"reason":"lunch")")) << "as written before there was such a member";
}

// A request that was declined (401, 404, 429) had no effect on its ids, but it was one: the next is a retry.
TEST(Replay, ACheckpointTellsWhatWasOnlyEverDeclinedFromWhatWasNeverSent) {
    const auto retries = [](const char* sent) {
        const std::string open = fmt::format(
            R"([{{"attempts":1,"word":"refused","at":[[3,1]]}},{{"attempts":0,"word":"unsent"{},"at":[[8,2]]}}])",
            sent);
        return recovered(begun().add("checkpoint", checkpoint_text(open)).result(1, {{8, 2}}, {})).retries;
    };
    EXPECT_EQ(retries(""), 2U);
    EXPECT_EQ(retries(R"(,"sent":true)"), 3U);
}

// As after a stop in good order.
TEST(Replay, AtRestWhatWasIntendedAndNothingMoreWasNeverSent) {
    const std::string rest = R"("paused":false,"at_rest":true)";
    const auto read_from_it = recovered(begun().add(
        "checkpoint",
        checkpoint_text(R"([{"attempts":0,"word":"lost","at":[[3,1]]},{"attempts":0,"word":"unsent","at":[[8,2]]}])",
                        rest)));
    EXPECT_TRUE(read_from_it.rested);
    EXPECT_EQ(read_from_it.in_doubt, (spans{{3, 1}})) << "that one was sent";
    for (const auto& open : read_from_it.state.open) EXPECT_EQ(open.never_sent, open.last == last_outcome::unsent);
    const auto read_whole = [&rest](const std::function<void(journal_builder&)>& more) {
        journal_builder j = begun();
        j.intent(0, 8).result(1, {{0, 4}}, {{0, 4}}).add("checkpoint", checkpoint_text("[]", rest));
        more(j);
        return recovered(j);
    };
    const auto rested = read_whole([](journal_builder&) {});
    EXPECT_TRUE(rested.rested);
    EXPECT_EQ(rested.in_doubt, spans{});
    EXPECT_EQ(read_whole([](journal_builder& j) { j.result(1, {{4, 4}}, {{4, 4}}); }).retries, 0U);
    // The next run began, and whatever it wrote or did not write, it may have sent some.
    const auto begun_again =
        read_whole([](journal_builder& j) { j.add("job.recovered", R"("open":[],"torn_bytes":0)"); });
    EXPECT_FALSE(begun_again.rested);
    EXPECT_EQ(begun_again.in_doubt, (spans{{4, 4}}));
    const auto crashed = read_whole([](journal_builder& j) {
        j.add("job.recovered", R"("open":[],"torn_bytes":0)")
            .add("job.recovered", R"("open":[[4,4]],"torn_bytes":0)")
            .result(1, {{4, 4}}, {{4, 4}});
    });
    EXPECT_EQ(crashed.retries, 1U);
}

TEST(Replay, ACheckpointInTheMiddleOfAReadingIsPassedOver) {
    const recovered_job job = recovered(begun().intent(0, 4).add("checkpoint", checkpoint_text()));
    EXPECT_EQ(job.state.intended, 4U);
}

TEST(Replay, AnIncompleteOrImpossibleCheckpointIsRefused) {
    for (const char* key : {"intended", "next_batch", "open", "first_good", "first_bad", "paused", "totals"}) {
        std::string text = checkpoint_text();
        text.replace(text.find(fmt::format("\"{}\":", key)) + 1, 1, "X");
        expect_refused(begun().add("checkpoint", text), "the checkpoint is incomplete");
    }
    expect_refused(begun(9).add("checkpoint", checkpoint_text()), "the checkpoint is incomplete");
    expect_refused(begun().add("checkpoint", checkpoint_text(R"([{"attempts":1,"word":"guessed","at":[[3,1]]}])")),
                   "nobody knows");
    expect_refused(begun().add("checkpoint", checkpoint_text(R"([{"attempts":1,"word":"lost","at":[[30,1]]}])")),
                   "not in a list");
    expect_refused(begun().add("checkpoint", checkpoint_text("[7]")), "");
    expect_refused(begun().add("checkpoint", checkpoint_text("{}")), "account");
    expect_refused(begun().add("checkpoint", checkpoint_text("[]")), "account");
    expect_refused(
        begun().add("checkpoint",
                    checkpoint_text(
                        R"([{"attempts":1,"word":"lost","at":[[3,3]]},{"attempts":0,"word":"lost","at":[[5,1]]}])")),
        "twice");
    expect_refused(begun().add("checkpoint", checkpoint_text(R"([{"attempts":1,"word":"lost","at":[[8,3]]}])")),
                   "not intended");
    expect_refused(
        begun().add("checkpoint",
                    checkpoint_text(
                        R"([{"attempts":1,"word":"refused","at":[[3,1]]},{"attempts":0,"word":"unsent","at":[[8,2]]}])",
                        R"("paused":false,"stopped":"whim")")),
        "stopped");
}

// ---- sequences no honest journal holds ----

TEST(Replay, TheFirstRecordMustBeJobAcceptedAndTheOnlyOne) {
    journal_builder j;
    j.intent(0, 1);
    expect_refused(j, "the first record is not job.accepted");
    expect_refused(begun().add("job.accepted", facts(20)), "a second job.accepted");
}

TEST(Replay, AJobWithoutItsFactsIsRefused) {
    journal_builder bare;
    bare.add("job.accepted", R"("job_id":"j")");
    expect_refused(bare, "lacks options or owner");
    std::string text = facts(1);
    text.replace(text.find("\"resource\""), 10, "\"resort\"");
    expect_refused(journal_builder().add("job.accepted", text), "\"resource\" is missing");
    for (const char* bad :
         {R"("batch_size":0,"max_attempts":3)", R"("batch_size":1000,"max_attempts":3)",
          R"("batch_size":4,"max_attempts":0)", R"("batch_size":4294967297,"max_attempts":3)", R"("dry_run":false)",
          R"("batch_size":4,"max_attempts":3,"verify":"some")", R"("batch_size":4,"max_attempts":3,"verify":7)",
          R"("batch_size":4,"max_attempts":3,"deadline":"soon")",
          R"("batch_size":4,"max_attempts":3,"abort_when":{"failed_ratio":"x"})"}) {
        journal_builder j;
        j.add("job.accepted", facts(1, bad));
        EXPECT_FALSE(recover(j)) << bad;
    }
}

TEST(Replay, ASecondVerdictIsRefused) {
    expect_refused(begun().intent(0, 4).result(1, {{0, 4}}, {{0, 4}}).failed({{1, 1}}), "second verdict");
    expect_refused(begun().intent(0, 4).absent({{1, 1}}).absent({{1, 1}}), "second verdict");
    expect_refused(begun().skipped({10, 5}, "protected").skipped({14, 1}, "cancelled"), "second verdict");
    expect_refused(begun().intent(0, 4).result(1, {{0, 4}}, {{0, 4}}).skipped({3, 10}, "cancelled"), "second verdict");
}

TEST(Replay, AnIntentForIdsThatHaveTheirVerdictIsRefused) {
    expect_refused(begun().skipped({10, 5}, "protected").intent(0, 20), "after its verdict");
    expect_refused(begun().skipped({10, 5}, "protected").intent(14, 1), "after its verdict");
}

TEST(Replay, AnIntentThatPassesOverIdsWithoutAVerdictIsRefused) {
    expect_refused(begun().intent(2, 4), "passes over");
    expect_refused(begun().skipped({1, 1}, "protected").intent(2, 4), "passes over");
    const recovered_job job = recovered(begun().skipped({0, 2}, "protected").intent(2, 4));
    EXPECT_EQ(open_of(job), (open_list{{0, last_outcome::unsent, {{2, 4}}}}));
}

TEST(Replay, ACheckpointWhoseHolesAreNoFreshPartOfTheListIsRefused) {
    for (const char* presettled : {"[[2,2]]", "[[9,2]]", "[[19,2]]", "[[30,2]]"}) {
        std::string text = checkpoint_text();
        text.replace(text.find("[[15,2]]"), 8, presettled);
        expect_refused(begun().add("checkpoint", text), "no fresh part");
    }
}

TEST(Replay, AnAnswerForIdsThatAreNotOpenIsRefused) {
    expect_refused(begun().result(1, {{0, 4}}, {{0, 4}}), "not open");
    expect_refused(begun().intent(0, 4).result(1, {{2, 4}}, {{2, 4}}), "not open");
    expect_refused(begun().intent(0, 4).result(1, {{0, 4}}, {{0, 4}}).result(2, {{0, 1}}, {{0, 1}}), "not open");
    expect_refused(begun()
                       .intent(0, 4)
                       .result(1, {{0, 4}}, {{0, 4}})
                       .add("batch.error", error_fields("rejected", 400, {0, 1}, 1, false)),
                   "not open");
    expect_refused(begun().error("timeout", 0, {0, 4}), "not open");
}

TEST(Replay, AnAnswerWhosePartsAreNotItsOwnIsRefused) {
    expect_refused(begun().intent(0, 8).result(1, {{0, 4}}, {{0, 4}}, {{5, 1}}), "not among its own");
    expect_refused(begun().intent(0, 8).result(1, {{0, 4}}, {{0, 2}}, {{2, 1}}, {{2, 1}}), "not among its own");
}

TEST(Replay, ARecordThatNamesNoPositionsIsRefused) {
    expect_refused(begun().intent(0, 4).add("ids.failed", R"("ids":["i1"],"reason":"refused","attempts":1)"),
                   "names no positions");
    expect_refused(
        begun().intent(0, 4).add("batch.result", R"("batch":1,"attempt":1,"deleted":["i1"],"failed":[],"unknown":[])"),
        "names no positions");
    expect_refused(begun().intent(0, 4).add("batch.error", R"("batch":1,"attempt":1,"class":"timeout","ids":["i1"])"),
                   "names no positions");
    expect_refused(begun().add("intent", R"("ids":["i1"])"), "names no positions");
}

TEST(Replay, PositionsOutsideOfTheListAreRefused) {
    expect_refused(begun().intent(0, 21), "not in a list of 20 ids");
    expect_refused(begun().intent(0, 20).result(1, {{19, 2}}, {{19, 2}}), "not in a list");
    expect_refused(begun().skipped({20, 1}, "protected"), "not in a list");
    expect_refused(begun().add("intent", R"("first":18446744073709551615,"count":2)"), "");
}

TEST(Replay, AnIntentTwiceIsRefused) {
    expect_refused(begun().intent(0, 8).intent(4, 8), "intended a second time");
}

TEST(Replay, NothingFollowsTheEnd) {
    expect_refused(
        begun().skipped({0, 20}, "cancelled").finished("cancelled", {.ids = 20, .skipped = 20}).add("job.paused", ""),
        "follows job.finished");
}

TEST(Replay, ALedgersRecordIsRefused) {
    expect_refused(begun().add("job.rejected", R"("error":"x")"), "belongs in the ledger");
}

TEST(Replay, NumbersThatDoNotFitAreRefusedNotCut) {
    expect_refused(begun().intent(0, 4).add("batch.error", error_fields("timeout", 504, {0, 4}, 4'294'967'297U)),
                   "attempt");
    expect_refused(begun().intent(0, 4).result(4'294'967'297U, {{0, 4}}, {{0, 4}}), "attempt");
    std::string owner = facts(1);
    owner.replace(owner.find("\"uid\":0"), 7, "\"uid\":4294967296");
    expect_refused(journal_builder().add("job.accepted", owner), "out of range");
    expect_refused(
        begun().add("checkpoint", checkpoint_text(R"([{"attempts":4294967297,"word":"refused","at":[[3,3]]}])")),
        "out of range");
}

TEST(Replay, FieldsOfTheWrongKindAreRefused) {
    expect_refused(begun().add("job.rate", R"("requests_per_second":"fast")"), "no number");
    expect_refused(begun().add("job.rate", ""), "no number");
    expect_refused(begun().intent(0, 4).add("batch.result", R"("attempt":1,"at":[[0,4]])"), "lacks");
    expect_refused(begun().intent(0, 4).add("batch.error", R"("batch":1,"attempt":1,"first":0,"count":4)"), "lacks");
    expect_refused(begun().add("ids.skipped", R"("first":0,"count":4)"), "reason");
    expect_refused(begun().skipped({0, 20}, "cancelled").add("job.finished", R"("status":"completed")"), "finished_at");
}

}  // namespace
}  // namespace culld
