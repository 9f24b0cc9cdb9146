// Every kind of line as the contract (section 3) has it, byte for byte: what a reader of another house relies
// on.
#include "culld/core/journal/journal_write.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "culld/core/journal/chain.hpp"
#include "culld/core/journal/journal_read.hpp"

namespace culld {
namespace {

constexpr wall_time ts{std::chrono::microseconds(1'795'568'523'123'456)};
constexpr wall_time earlier{std::chrono::microseconds(1'795'568'500'000'000)};
const std::string zeros(64, '0');

class JournalWrite : public testing::Test {
  protected:
    // The line that `write` appends as a journal's first: it has exactly these fields, can be read, and is
    // chained.
    template <class Write>
    void expect(std::string_view type, const std::string& fields, Write&& write) {
        chain_writer chain;
        std::string out = "kept";
        write(chain, out);
        const std::string line = fmt::format(
            R"({{"seq":0,"ts":"2026-11-25T01:02:03.123456Z","type":"{}",{},"prev":"{}"}})", type, fields, zeros);
        EXPECT_EQ(out, "kept" + line + "\n");
        record_view r;
        const auto read = read_record(line, r);
        ASSERT_TRUE(read) << read.error().text();
        EXPECT_EQ(name_of(r.type), type);
        sha256 hash;
        hash.update(line);
        EXPECT_EQ(hex(chain.head().prev), hex(hash.finish()));
        EXPECT_EQ(chain.head().seq, 1U);
    }

    static batch of(const spans& at) {
        batch b;
        b.number = 7;
        b.attempt = 2;
        b.at = at;
        return b;
    }
    const std::vector<std::string> request_ids_{"r-1", "r\"2"};
};

TEST_F(JournalWrite, JobAcceptedWithEverything) {
    job_intake in;
    in.spec = {.id = "job-1",
               .resource = "incidents",
               .project_id = "p",
               .workspace_id = "w",
               .batch_size = 100,
               .max_attempts = 5};
    in.spec.priority = 3;
    in.spec.not_before = earlier;
    in.spec.deadline = ts;
    in.spec.dry_run = true;
    in.spec.verify = verify_mode::all;
    in.spec.expect_count = 12;
    in.spec.abort_when = abort_rule{.failed_ratio = 0.5, .after = 1000};
    in.spec.labels = {{"ticket", "SEC-1"}, {"by", "a\"b"}};
    in.source = {"job.yaml", "aa", 10};
    in.list = source_facts{"l.ids", "bb", 20};
    in.ids = 12;
    in.duplicates = 3;
    expect(
        "job.accepted",
        R"("job_id":"job-1","file":"job.yaml","sha256":"aa","bytes":10,"list":{"file":"l.ids","sha256":"bb","bytes":20},)"
        R"("owner":{"uid":1000,"gid":100},"resource":"incidents","project_id":"p","workspace_id":"w","ids":12,"duplicates":3,)"
        R"("options":{"batch_size":100,"max_attempts":5,"priority":3,"not_before":"2026-11-25T01:01:40.000000Z",)"
        R"("deadline":"2026-11-25T01:02:03.123456Z","dry_run":true,"verify":"all","expect_count":12,)"
        R"("abort_when":{"failed_ratio":0.5,"after":1000}},"labels":{"ticket":"SEC-1","by":"a\"b"},)"
        R"("culld":")" CULLD_VERSION R"(","config_sha256":"cc","modified_at":"2026-11-25T01:01:40.000000Z")",
        [&](chain_writer& c, std::string& out) {
            write_accepted(c, out, ts,
                           {.intake = &in, .uid = 1000, .gid = 100, .modified_at = earlier, .config_sha256 = "cc"});
        });
}

TEST_F(JournalWrite, JobAcceptedWithTheLeast) {
    job_intake in;
    in.spec = {
        .id = "j", .resource = "incidents", .project_id = "p", .workspace_id = "w", .batch_size = 1, .max_attempts = 1};
    in.source = {"j.txt", "aa", 1};
    in.ids = 1;
    expect("job.accepted",
           R"("job_id":"j","file":"j.txt","sha256":"aa","bytes":1,"owner":{"uid":0,"gid":0},"resource":"incidents",)"
           R"("project_id":"p","workspace_id":"w","ids":1,"duplicates":0,)"
           R"("options":{"batch_size":1,"max_attempts":1,"priority":5,"dry_run":false,"verify":"failed"},"labels":{},)"
           R"("culld":")" CULLD_VERSION R"(","config_sha256":"","modified_at":"1970-01-01T00:00:00.000000Z")",
           [&](chain_writer& c, std::string& out) { write_accepted(c, out, ts, {.intake = &in}); });
}

TEST_F(JournalWrite, Intent) {
    expect("intent", R"("first":100,"count":800)", [](chain_writer& c, std::string& out) {
        write_intent(c, out, ts, {100, 800});
    });
}

TEST_F(JournalWrite, BatchResult) {
    const batch b = of({{0, 2}, {9, 2}});
    expect(
        "batch.result",
        R"("batch":7,"attempt":2,"http_status":200,"code":"00000000","request_ids":["r-1","r\"2"],"ms":35,)"
        R"("deleted":["a","d"],"failed":["b"],"unknown":["c"],"at":[[0,2],[9,2]],"failed_at":[[1,1]],"unknown_at":[[9,1]])",
        [&](chain_writer& c, std::string& out) {
            write_result(c, out, ts,
                         {.of = &b,
                          .http_status = 200,
                          .code = "00000000",
                          .request_ids = &request_ids_,
                          .ms = 35,
                          .deleted = R"("a","d")",
                          .failed = R"("b")",
                          .unknown = R"("c")",
                          .failed_at = {{1, 1}},
                          .unknown_at = {{9, 1}}});
        });
}

TEST_F(JournalWrite, BatchResultWithoutAVerdict) {
    const batch b = of({{0, 1}});
    const std::vector<std::string> none;
    expect("batch.result",
           R"("batch":7,"attempt":2,"http_status":200,"code":"","request_ids":[],"ms":0,)"
           R"("reported":["a"],"failed":[],"unknown":[],"at":[[0,1]])",
           [&](chain_writer& c, std::string& out) {
               write_result(c, out, ts,
                            {.of = &b,
                             .http_status = 200,
                             .request_ids = &none,
                             .verdict = false,
                             .deleted = R"("a")",
                             .failed_at = {},
                             .unknown_at = {}});
           });
}

TEST_F(JournalWrite, BatchErrorOfOneRun) {
    const batch b = of({{5, 4}});
    expect(
        "batch.error",
        R"("batch":7,"attempt":2,"class":"throttled","http_status":429,"code":"APIGW.0308","detail":"x","retry_in_ms":1500,)"
        R"("first":5,"count":4,"at":[[5,4]])",
        [&](chain_writer& c, std::string& out) {
            write_error(c, out, ts,
                        {.of = &b,
                         .error_class = "throttled",
                         .http_status = 429,
                         .code = "APIGW.0308",
                         .detail = "x",
                         .retry_in_ms = 1500,
                         .ids = "unused"});
        });
}

TEST_F(JournalWrite, BatchErrorOfSeveralRunsNamesItsIds) {
    const batch b = of({{5, 1}, {7, 1}});
    expect("batch.error",
           R"("batch":7,"attempt":2,"class":"connect","detail":"refused","ids":["a","b"],"at":[[5,1],[7,1]])",
           [&](chain_writer& c, std::string& out) {
               write_error(c, out, ts,
                           {.of = &b,
                            .error_class = "connect",
                            .code = "",
                            .detail = "refused",
                            .retry_in_ms = std::nullopt,
                            .ids = R"("a","b")"});
           });
}

TEST_F(JournalWrite, Verdicts) {
    const auto verdict_line = [&](std::string_view type, const std::string& fields, const verdict& v,
                                  std::string_view ids) {
        expect(type, fields, [&](chain_writer& c, std::string& out) { write_verdict(c, out, ts, v, ids); });
    };
    verdict_line("ids.deleted", R"("ids":["a"],"how":"get","at":[[3,1]])",
                 {.kind = verdict_kind::deleted, .reason = "get", .attempts = 0, .at = {{3, 1}}}, R"("a")");
    verdict_line("ids.absent", R"("ids":["a"],"how":"get","at":[[3,1]])",
                 {.kind = verdict_kind::absent, .reason = "get", .attempts = 0, .at = {{3, 1}}}, R"("a")");
    verdict_line("ids.failed", R"("ids":["a","b"],"reason":"refused","attempts":5,"at":[[3,1],[5,1]])",
                 {.kind = verdict_kind::failed, .reason = "refused", .attempts = 5, .at = {{3, 1}, {5, 1}}},
                 R"("a","b")");
    verdict_line("ids.skipped", R"("first":3,"count":900,"reason":"cancelled","at":[[3,900]])",
                 {.kind = verdict_kind::skipped, .reason = "cancelled", .attempts = 0, .at = {{3, 900}}}, "");
    verdict_line("ids.skipped", R"("ids":["a"],"reason":"protected","at":[[3,1]])",
                 {.kind = verdict_kind::skipped, .reason = "protected", .attempts = 0, .at = {{3, 1}}}, R"("a")");
}

TEST_F(JournalWrite, Commands) {
    expect("job.paused", R"("by":{"uid":0,"pid":42},"reason":"lunch")", [](chain_writer& c, std::string& out) {
        write_command(c, out, ts, "job.paused", {0, 42}, "lunch", std::nullopt);
    });
    for (const char* type : {"job.resumed", "job.cancelled"})
        expect(type, R"("by":{"uid":7,"pid":42})", [&](chain_writer& c, std::string& out) {
            write_command(c, out, ts, type, {7, 42}, "", std::nullopt);
        });
    expect("job.rate", R"("by":{"uid":7,"pid":42},"requests_per_second":0.1667)",
           [](chain_writer& c, std::string& out) {
               write_command(c, out, ts, "job.rate", {7, 42}, "", 0.1667);
           });
}

TEST_F(JournalWrite, RecoveredBlockedAndUnblocked) {
    expect("job.recovered", R"("open":[[0,4],[9,1]],"torn_bytes":17)", [](chain_writer& c, std::string& out) {
        write_recovered(c, out, ts, {{0, 4}, {9, 1}}, 17);
    });
    expect("job.recovered", R"("open":[],"torn_bytes":0)",
           [](chain_writer& c, std::string& out) { write_recovered(c, out, ts, {}, 0); });
    expect("job.blocked", R"("class":"auth","code":"APIGW.0302","detail":"no","help":"ask")",
           [](chain_writer& c, std::string& out) { write_blocked(c, out, ts, "auth", "APIGW.0302", "no", "ask"); });
    expect("job.unblocked", R"("why":"resume")",
           [](chain_writer& c, std::string& out) { write_unblocked(c, out, ts, "resume"); });
}

const char* const totals_text =
    R"("totals":{"ids":9,"deleted":1,"absent":2,"failed":3,"skipped":3,"duplicates":4,"requests":5,"retries":6,"throttled":7})";
constexpr job_totals totals{.ids = 9,
                            .deleted = 1,
                            .absent = 2,
                            .failed = 3,
                            .skipped = 3,
                            .duplicates = 4,
                            .requests = 5,
                            .retries = 6,
                            .throttled = 7};

TEST_F(JournalWrite, Checkpoint) {
    const plan_state state{
        .ids = 100,
        .intended = 40,
        .next_batch = 8,
        .open = {{1, last_outcome::refused, {{3, 1}, {5, 2}}}, {0, last_outcome::unsent, {{30, 10}}}},
        .presettled = {{50, 1}},
        .counts = {},
        .first_good = 11,
        .first_bad = 12};
    expect(
        "checkpoint",
        std::string(R"("intended":40,"next_batch":8,"open":[{"attempts":1,"word":"refused","at":[[3,1],[5,2]]},)"
                    R"({"attempts":0,"word":"unsent","at":[[30,10]]}],"holes":[[50,1]],"first_good":11,"first_bad":12,)"
                    R"("paused":true,"requests_per_second":2.5,"stopped":"deadline","reason":"lunch",)"
                    R"("paused_by":{"uid":1000,"pid":7},"at_rest":true,)") +
            totals_text,
        [&](chain_writer& c, std::string& out) {
            write_checkpoint(c, out, ts,
                             {.state = &state,
                              .totals = totals,
                              .paused = true,
                              .rate = 2.5,
                              .stopped = skip_reason::deadline,
                              .reason = "lunch",
                              .paused_by = person{1000, 7},
                              .at_rest = true});
        });
    const plan_state bare{.ids = 1};
    expect("checkpoint",
           std::string(
               R"("intended":0,"next_batch":0,"open":[],"holes":[],"first_good":0,"first_bad":0,"paused":false,)") +
               totals_text,
           [&](chain_writer& c, std::string& out) {
               write_checkpoint(
                   c, out, ts,
                   {.state = &bare, .totals = totals, .rate = std::nullopt, .stopped = std::nullopt, .reason = {}});
           });
}

TEST_F(JournalWrite, JobFinished) {
    expect("job.finished",
           std::string(R"("status":"completed_with_failures",)") + totals_text +
               R"(,"started_at":"2026-11-25T01:01:40.000000Z","finished_at":"2026-11-25T01:02:03.123456Z")",
           [](chain_writer& c, std::string& out) {
               write_finished(c, out, ts, "completed_with_failures", totals, earlier);
           });
}

TEST_F(JournalWrite, LedgerLines) {
    expect("job.finished",
           std::string(R"("job_id":"j","file":"j.txt","status":"completed",)") + totals_text +
               R"(,"journal":"j.jsonl","head":"ff","records":6,"sig":"c2ln")",
           [](chain_writer& c, std::string& out) {
               write_ledger_line(c, out, ts,
                                 {.job_id = "j",
                                  .file = "j.txt",
                                  .status = "completed",
                                  .totals = &totals,
                                  .journal = "j.jsonl",
                                  .head = "ff",
                                  .records = 6,
                                  .error = "",
                                  .sig = "c2ln"});
           });
    expect(
        "job.rejected",
        R"("job_id":null,"file":"bad\n.json","status":"rejected","totals":null,"journal":null,"head":null,"records":0,"error":"line 1: no")",
        [](chain_writer& c, std::string& out) {
            write_ledger_line(c, out, ts,
                              {.job_id = "",
                               .file = "bad\n.json",
                               .status = "rejected",
                               .journal = "",
                               .head = "",
                               .error = "line 1: no",
                               .sig = ""});
        });
}

TEST_F(JournalWrite, TheLedgersHeadNamesItsLastLine) {
    chain_writer chain;
    std::string out;
    write_intent(chain, out, ts, {0, 1});
    EXPECT_EQ(ledger_head_text(chain.head(), ""),
              fmt::format("{{\"seq\":0,\"sha256\":\"{}\"}}\n", hex(chain.head().prev)));
    EXPECT_EQ(ledger_head_text(chain.head(), "s"),
              fmt::format("{{\"seq\":0,\"sha256\":\"{}\",\"sig\":\"s\"}}\n", hex(chain.head().prev)));
}

TEST_F(JournalWrite, ALineCarriesTheHashOfTheOneBeforeAndAWriterGoesOnBehindAKnownHead) {
    chain_writer chain;
    std::string out;
    write_intent(chain, out, ts, {0, 5});
    chain_writer later(chain.head());
    write_intent(later, out, ts, {5, 5});
    write_unblocked(later, out, ts, "x");
    chain_checker checker;
    record_view r;
    for (std::size_t at = 0, end = 0; at < out.size(); at = end + 1) {
        end = out.find('\n', at);
        const auto fed = checker.feed(std::string_view(out).substr(at, end - at), true, r);
        ASSERT_TRUE(fed) << fed.error().text();
    }
    EXPECT_EQ(checker.records(), 3U);
    EXPECT_EQ(checker.head(), later.head().prev);
}

TEST_F(JournalWrite, AnyByteChangedOrLineMovedIsFound) {
    chain_writer chain;
    std::string out;
    for (position p = 0; p < 3; ++p) write_intent(chain, out, ts, {p, 1});
    const auto holds = [&](const std::string& text) {
        chain_checker checker;
        record_view r;
        std::size_t at = 0;
        for (std::size_t end = 0; at < text.size(); at = end + 1) {
            end = text.find('\n', at);
            if (!checker.feed(std::string_view(text).substr(at, end - at), end != std::string::npos, r)) return false;
            if (end == std::string::npos) return false;
        }
        return checker.head() == chain.head().prev;
    };
    ASSERT_TRUE(holds(out));
    for (std::size_t i = 0; i < out.size(); ++i) {
        std::string bent = out;
        bent[i] = static_cast<char>(bent[i] ^ 1);
        EXPECT_FALSE(holds(bent)) << i;
    }
    const std::size_t second = out.find('\n') + 1, third = out.find('\n', second) + 1;
    EXPECT_FALSE(holds(out.substr(second))) << "the first line removed";
    EXPECT_FALSE(holds(out.substr(0, third))) << "the last line removed";
    EXPECT_FALSE(holds(out.substr(0, second) + out.substr(third))) << "one in the middle removed";
    EXPECT_FALSE(holds(out.substr(0, second) + out.substr(third) + out.substr(second, third - second)))
        << "two swapped";
    EXPECT_FALSE(holds(out.substr(0, out.size() - 1))) << "cut";
}

}  // namespace
}  // namespace culld
