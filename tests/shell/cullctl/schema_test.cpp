// The JSON Schemas in config/ and the programs say the same, in both directions (tests/schema/agree.py).
#include <boost/json.hpp>

#include "support/cullctl_runner.hpp"

namespace culld::test {
namespace {

constexpr int no_validator = 77;

class Schema : public CullctlTest {
  protected:
    static std::string source(const std::string& path) { return std::string(CULLD_SOURCE) + "/" + path; }
    // agree.py with these words, a schema's file name among them as @NAME.
    void agree(std::string words, const std::string& input = "/dev/null") const {
        for (std::size_t at = words.find('@'); at != std::string::npos; at = words.find('@'))
            words.replace(at, 1, source("config/"));
        const int status = std::system(  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
            fmt::format("python3 {} {} >{}/said 2>&1 <{}", source("tests/schema/agree.py"), words, root, input)
                .c_str());
        if (WEXITSTATUS(status) == no_validator) GTEST_SKIP() << "python3-jsonschema is not installed";
        EXPECT_EQ(WEXITSTATUS(status), 0) << read(root + "/said");
    }
    void valid(const std::string& what, const std::string& arguments) const {
        const ran r = here(arguments);
        write(root + "/lines", r.out);
        agree("valid @output.schema.json " + what, root + "/lines");
    }
};

TEST_F(Schema, JobsAgreeWithTheLoader) {
    agree(fmt::format("job {} @job.schema.json", CULLCTL));
}

TEST_F(Schema, ConfigurationsAgreeWithTheLoader) {
    agree(fmt::format("config {} @culld.schema.json", CULLCTL));
}

// Every record that can be written, by what writes it.
TEST_F(Schema, JournalsAreWhatTheirSchemaSays) {
    std::string out;
    chain_writer chain;
    const wall_time now{std::chrono::seconds(1'764'000'000)};
    job_intake intake;
    intake.spec = {.id = "job-1",
                   .resource = "incidents",
                   .project_id = "p",
                   .workspace_id = "w",
                   .ids_file = "x.ids",
                   .batch_size = 5,
                   .max_attempts = 3,
                   .not_before = now,
                   .deadline = now,
                   .expect_count = 7,
                   .abort_when = abort_rule{0.5, 10},
                   .labels = {{"ticket", "SEC-1"}}};
    intake.source = {"job.yaml", std::string(64, 'a'), 10, {}, "job.7.yaml"};
    intake.list = source_facts{"x.ids", std::string(64, 'b'), 20, file_owner{1, 2}, "x.8.ids"};
    intake.ids = 10;
    intake.protect = protected_facts{std::string(64, 'd'), 3};
    write_accepted(chain, out, now,
                   {.intake = &intake, .uid = 1, .gid = 2, .modified_at = now, .config_sha256 = std::string(64, 'c')});
    write_intent(chain, out, now, {0, 10});
    batch b;
    b.number = 3;
    b.attempt = 1;
    b.at = {{0, 5}};
    const std::vector<std::string> requests{"r-1", "r-2"};
    result_facts result{.of = &b,
                        .http_status = 200,
                        .code = "0",
                        .request_ids = &requests,
                        .ms = 4,
                        .deleted = R"("i0","i1","i2")",
                        .failed = R"("i3")",
                        .unknown = R"("i4")",
                        .failed_at = {{3, 1}},
                        .unknown_at = {{4, 1}}};
    write_result(chain, out, now, result);
    result.verdict = false;
    write_result(chain, out, now, result);
    error_facts error{.of = &b,
                      .error_class = "throttled",
                      .http_status = 429,
                      .code = "APIGW.0308",
                      .detail = "The throttling threshold has been reached",
                      .retry_in_ms = 100,
                      .request_ids = &requests};
    write_error(chain, out, now, error);
    b.at = {{0, 1}, {2, 1}};
    error = {.of = &b, .error_class = "connect", .detail = "refused", .ids = R"("i0","i2")"};
    write_error(chain, out, now, error);
    for (const verdict_kind kind :
         {verdict_kind::deleted, verdict_kind::absent, verdict_kind::failed, verdict_kind::skipped})
        write_verdict(chain, out, now,
                      {.kind = kind,
                       .reason = kind == verdict_kind::skipped ? "cancelled" : "get",
                       .attempts = 2,
                       .at = {{0, 1}}},
                      R"("i0")");
    write_verdict(chain, out, now, {.kind = verdict_kind::skipped, .reason = "deadline", .at = {{5, 5}}}, "");
    write_verdict(chain, out, now, {.kind = verdict_kind::failed, .reason = "unknown", .attempts = 1, .at = {{4, 1}}},
                  "");
    for (const char* type : {"job.paused", "job.resumed", "job.cancelled"})
        write_command(chain, out, now, type, {1000, 42}, "lunch", std::nullopt);
    write_command(chain, out, now, "job.rate", {1000, 42}, "", 2.5);
    write_recovered(chain, out, now, {{0, 3}}, 17);
    plan_state state;
    state.ids = 10;
    state.intended = 10;
    state.open.resize(1);
    state.open[0].at = {{0, 1}};
    state.open[0].declined = true;
    state.presettled = {{1, 2}};
    state.answered = true;
    write_checkpoint(chain, out, now,
                     {.state = &state,
                      .totals = {.ids = 10},
                      .paused = true,
                      .rate = 1.5,
                      .stopped = skip_reason::cancelled,
                      .reason = "lunch",
                      .paused_by = person{1000, 42},
                      .at_rest = true});
    write_blocked(chain, out, now, "auth", "APIGW.0301", "Incorrect", "renew");
    write_unblocked(chain, out, now, "the credentials changed");
    write_finished(chain, out, now, "completed", {.ids = 10}, now);
    write(root + "/all.jsonl", out);
    agree("lines @journal.schema.json " + root + "/all.jsonl");

    out.clear();
    const job_totals totals{.ids = 10};
    write_ledger_line(chain, out, now,
                      {.job_id = "job-1",
                       .file = "job.yaml",
                       .status = "completed",
                       .totals = &totals,
                       .journal = "job-1.jsonl",
                       .head = std::string(64, 'd'),
                       .records = 3,
                       .error = {},
                       .sig = std::string(86, 'A') + "=="});
    write_ledger_line(chain, out, now,
                      {.file = "bad.json", .status = "rejected", .error = "line 3", .node = {{17, now}}});
    write_signed_from(chain, out, now, {.from = 2, .key = std::string(64, 'e'), .sig = std::string(86, 'A') + "=="});
    write_ledger_accepted(chain, out, now,
                          {.job_id = "job-1",
                           .file = "job.yaml",
                           .uid = 1,
                           .gid = 2,
                           .ids = 10,
                           .sha256 = intake.source.sha256,
                           .list_sha256 = intake.list->sha256,
                           .journal = "job-1.jsonl",
                           .first = std::string(64, 'd')});
    for (const char* type : {"job.paused", "job.resumed", "job.cancelled"})
        write_ledger_order(chain, out, now, "job-1", {.type = type, .record = 3, .by = {1000, 42}});
    write_ledger_order(chain, out, now, "job-1", {.type = "job.rate", .record = 4, .by = {1000, 42}, .rate = 2.5});
    write_reloaded(chain, out, now, {std::string(64, 'a'), intake.protect}, {std::string(64, 'b'), intake.protect});
    write(root + "/ledger.jsonl", out);
    agree("lines @ledger.schema.json " + root + "/ledger.jsonl");
}

TEST_F(Schema, WhatCullctlPrintsIsWhatItsSchemaSays) {
    prepare();
    valid("list", "list --json");
    valid("status", "status job-1 --json");
    valid("status", "status bad.json --json");
    valid("watch", "watch job-1 --json");
    valid("result", "result job-1 --json");
    valid("result", "result job-2 --json");
    valid("verify", "verify --json");
    valid("report", "report job-1 --json");
    valid("report", "report job-2 --json");
    write(root + "/good.txt", "a\nb\n");
    write(root + "/bad.txt", "a b\n");
    valid("lint", "lint --json good.txt bad.txt");
    valid("submit", "submit --json good.txt");
    write(root + "/c.yaml", "api: {region: cn-north-4}\nauth: {token_file: /t}\n");
    valid("config", "config show --json --config c.yaml");
    write(journals + "/job-1.jsonl", finished.text.substr(0, 700));
    valid("verify", "verify --json");
    valid("report", "report job-1 --json");
}

}  // namespace
}  // namespace culld::test
