// Memory that runs out, in the manner of curl and SQLite: each piece of work is done again and again, and each time
// another of its allocations fails, once alone and once with all that follow. There is the right result, or there is
// none (std::bad_alloc, or std::runtime_error where OpenSSL could not go on): never another one. A journal that could
// not be read for want of memory must not be called damaged, nor a bent one sound.
//
// A program of its own, since it replaces operator new, and OpenSSL's allocator.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <cstdlib>
#include <new>
#include <optional>
#include <stdexcept>

#include "culld/core/answer/error_answer.hpp"
#include "culld/core/answer/judge.hpp"
#include "culld/core/auth/request_signature.hpp"
#include "culld/core/config/settings.hpp"
#include "culld/core/config/settings_merge.hpp"
#include "culld/core/journal/journal_check.hpp"
#include "culld/core/journal/ledger_check.hpp"
#include "culld/core/journal/replay.hpp"
#include "culld/core/text/yaml_tree.hpp"
#include "support/journal_builder.hpp"

namespace {

// Which allocation fails, counted from when it was armed; 0: none does.
struct {
    std::size_t seen = 0, fails_at = 0;
    bool all_after = false;
    bool failed = false;

    bool now() {
        if (fails_at == 0) return false;
        ++seen;
        const bool out = seen == fails_at || (all_after && seen > fails_at);
        failed = failed || out;
        return out;
    }
} allocation;

void* allocate(std::size_t size) {
    return allocation.now() ? nullptr : std::malloc(size == 0 ? 1 : size);
}

extern "C" {
void* for_openssl(std::size_t size, const char* /*file*/, int /*line*/) {
    return allocate(size);
}
void* again_for_openssl(void* old, std::size_t size, const char* /*file*/, int /*line*/) {
    return allocation.now() ? nullptr : std::realloc(old, size);
}
void free_for_openssl(void* what, const char* /*file*/, int /*line*/) {
    std::free(what);
}
}

}  // namespace

void* operator new(std::size_t size) {
    if (void* out = allocate(size)) return out;
    throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t& /*unused*/) noexcept {
    return allocate(size);
}
void operator delete(void* what) noexcept {
    std::free(what);
}
void operator delete(void* what, std::size_t /*size*/) noexcept {
    std::free(what);
}

namespace culld {
namespace {

// `work` gives what it found out, as a text. Returns how many of its allocations were made to fail.
template <class Work>
std::size_t fail_each_allocation(const Work& work) {
    const std::string right = work();
    std::size_t n = 0;
    for (const bool all_after : {false, true}) {
        for (n = 1;; ++n) {
            allocation = {.seen = 0, .fails_at = n, .all_after = all_after, .failed = false};
            std::optional<std::string> got;
            try {
                got = work();
            } catch (const std::bad_alloc&) {
            } catch (const std::runtime_error&) {
            }
            const bool failed = std::exchange(allocation.failed, false);
            allocation.fails_at = 0;
            if (got && *got != right) {
                ADD_FAILURE() << "with allocation " << n << (all_after ? " and all after it" : "")
                              << " failing: " << *got << "\ninstead of: " << right;
                return n;
            }
            if (!failed) break;
        }
        EXPECT_EQ(work(), right) << "afterwards";
    }
    return n - 1;
}

std::string text_of(const spans& at) {
    return test::journal_builder::runs(at);
}

std::string text_of(const journal_report& r) {
    std::string out =
        fmt::format("{} records, {} settled, {} torn, {} left out, head {}, {} deleted\n", r.records, r.settled.count(),
                    r.torn_bytes, r.findings_left_out, r.head, r.summary.totals.deleted);
    for (const problem& p : r.findings) out += p.text() + "\n";
    return out;
}

std::string checked(std::string_view text, expected_end end) {
    journal_check check("job-1", end);
    while (!text.empty()) {
        const std::size_t newline = text.find('\n');
        const bool ended = newline != std::string_view::npos;
        const std::string_view line = text.substr(0, newline);
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (check.feed(line, ended) == nullptr) break;
    }
    return text_of(check.finish());
}

TEST(OutOfMemory, AJournalIsWrittenRightOrNotAtAll) {
    job_intake intake;
    intake.spec.id = "job-1";
    intake.spec.labels = {{"ticket", "SEC-1234"}, {"requested_by", "alice"}};
    intake.source.file = "job.json";
    intake.ids = 500;
    const std::size_t n = fail_each_allocation([&] {
        chain_writer chain;
        std::string out;
        write_accepted(chain, out, wall_time(), {.intake = &intake, .config_sha256 = "00"});
        write_intent(chain, out, wall_time(), {0, 500});
        const batch of{.attempt = 1, .at = {{0, 3}, {7, 2}}};
        const std::vector<std::string> requests{"a-request-id-of-some-length", "another"};
        write_result(chain, out, wall_time(),
                     {.of = &of,
                      .http_status = 200,
                      .code = "0",
                      .request_ids = &requests,
                      .deleted = R"("a","b","c")",
                      .failed = R"("d","e")",
                      .failed_at = {{7, 2}}});
        write_recovered(chain, out, wall_time(), {{0, 3}, {7, 2}}, 12);
        write_finished(chain, out, wall_time(), "completed", {.ids = 500}, wall_time());
        return out + hex(chain.head().prev);
    });
    EXPECT_GT(n, 5U);
}

TEST(OutOfMemory, ASoundJournalIsNotCalledDamaged) {
    test::journal_builder journal;
    static_cast<void>(test::story(journal));
    ASSERT_EQ(checked(journal.text, expected_end::finished).find("job-1.jsonl:"), std::string::npos);
    EXPECT_GT(fail_each_allocation([&] { return checked(journal.text, expected_end::finished); }), 20U);
}

TEST(OutOfMemory, ABentJournalIsNotCalledSound) {
    test::journal_builder journal;
    static_cast<void>(test::story(journal));
    const std::size_t at = journal.text.find("\"i1\"");
    ASSERT_NE(at, std::string::npos);
    std::string bent = journal.text, cut = journal.text.substr(0, journal.text.size() - 30);
    bent[at + 2] = '9';
    for (const std::string& text : {bent, cut}) {
        ASSERT_NE(checked(text, expected_end::finished).find("job-1.jsonl"), std::string::npos);
        EXPECT_GT(fail_each_allocation([&] { return checked(text, expected_end::finished); }), 20U);
    }
}

TEST(OutOfMemory, ARestartKnowsEachIdsPlaceOrNone) {
    test::journal_builder journal;
    journal
        .add("job.accepted",
             R"("job_id":"j","file":"f","sha256":"a","bytes":1,"owner":{"uid":0,"gid":0},"resource":"incidents",)"
             R"("project_id":"p","workspace_id":"w","ids":20,"duplicates":0,)"
             R"("options":{"batch_size":4,"max_attempts":3,"verify":"failed"},"labels":{"ticket":"SEC-1234"})")
        .skipped({19, 1}, "protected")
        .intent(0, 12)
        .error("throttled", 429, {0, 4})
        .result(1, {{4, 3}}, {{4, 2}}, {}, {{6, 1}})
        .result(1, {{0, 4}}, {{0, 1}, {2, 1}}, {{1, 1}, {3, 1}})
        .result(2, {{1, 1}, {3, 1}, {6, 1}}, {{6, 1}}, {{1, 1}, {3, 1}});
    const std::string& text = journal.text;  // a crash left it without its end
    const auto recovered = [&] {
        replay restart;
        chain_checker chain;
        record_view record;
        std::string out;
        for (std::size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
            const std::string_view line = std::string_view(text).substr(at, end - at);
            if (const auto fed = chain.feed(line, true, record); !fed) return "chain: " + fed.error().text();
            if (const auto fed = restart.feed(record); !fed) return "record: " + fed.error().text();
        }
        const recovered_job job = restart.finish();
        out = fmt::format("{} of {}, {} requests, doubt {}, holes {}\n", job.state.counts.sum(), job.state.ids,
                          job.requests, text_of(job.in_doubt), text_of(job.state.presettled));
        for (const auto& open : job.state.open)
            out += fmt::format("{} attempts {}: {}\n", open.attempts, static_cast<int>(open.last), text_of(open.at));
        return out;
    };
    ASSERT_EQ(recovered().find("chain"), std::string::npos) << recovered();
    ASSERT_EQ(recovered().find("record:"), std::string::npos) << recovered();
    EXPECT_GT(fail_each_allocation(recovered), 20U);
}

TEST(OutOfMemory, ALedgerIsCheckedRightOrNotAtAll) {
    test::journal_builder journal, ledger;
    const job_totals totals = test::story(journal);
    ledger.ledger(journal, totals, "completed_with_failures").ledger_rejected("bad.json", "no id");
    EXPECT_GT(fail_each_allocation([&] {
                  std::string out;
                  chain_checker chain;
                  record_view record;
                  const std::string& text = ledger.text;
                  for (std::size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
                      const auto fed = chain.feed(std::string_view(text).substr(at, end - at), true, record);
                      if (!fed) return fed.error().text();
                      const auto entry = read_ledger_entry(record);
                      out += entry ? entry->job_id + entry->head + entry->status + "\n" : entry.error().text();
                  }
                  return out;
              }),
              3U);
}

TEST(OutOfMemory, AnAnswerIsJudgedRightOrNotAtAll) {
    std::string sent, good, bad;
    for (int i = 0; i < 60; ++i) {
        sent += fmt::format("{}\"id-{}\"", i == 0 ? "" : ",", i);
        if (i % 3 != 0) good += fmt::format("{}\"id-{}\"", good.empty() ? "" : ",", i);
        if (i % 5 == 0) bad += fmt::format("{}\"id-{}\"", bad.empty() ? "" : ",", i);
    }
    const std::string body = fmt::format(
        R"({{"code":"909494e3-558e-46b6-a9eb-07a8e18ca621","message":"Error \u00e9 message","data":{{"success_ids":[{},"stranger"],"error_ids":[{}]}}}})",
        good, bad);
    judge kept;  // its tables are reused from answer to answer
    EXPECT_GT(fail_each_allocation([&] {
                  const auto judged = kept(sent, 60, body);
                  if (!judged) return judged.error().text();
                  sorted_ids parts;
                  sort_out(sent, *judged, parts);
                  return fmt::format("{} strangers, {} {} | {} | {} | {}", judged->unrequested_ids, judged->code,
                                     judged->message, parts.deleted, parts.refused, parts.unknown);
              }),
              3U);
}

TEST(OutOfMemory, ARefusalIsReadRightOrNotAtAll) {
    for (
        const std::string_view body :
        {R"({"error_code":"SecMaster.20030001","error_msg":"workspace is invalid or does not exist at all"})",
         R"({"error_msg":"The throttling threshold has been reached: policy user over ratelimit,limit:10,time:1 minute","error_code":"APIGW.0308","request_id":"0123456789abcdef0123456789abcdef"})",
         R"({"error_msg":"Incorrect IAM authentication information: x-auth-token not found","error_code":"APIGW.0301"})",
         R"(<html>no json</html>)"})
        for (const unsigned status : {400U, 401U, 403U, 429U})
            fail_each_allocation([&] {
                const error_answer r = read_answer(status, "12", body, wall_time(), redactor());
                return fmt::format("{} {} {} {} {} {}", static_cast<int>(r.what), r.error_class, r.code, r.message,
                                   r.help, r.pause.value_or(nanoseconds(-1)).count());
            });
}

TEST(OutOfMemory, AConfigurationIsReadRightOrNotAtAll) {
    for (
        const std::string_view text :
        {"api:\n  endpoint: https://secmaster.example.test\n  project_id: p\nlimits: {burst: 2, requests_per_second: 0.5}\n"
         "jobs:\n  require_labels: [ticket, requested_by]\n",
         "limts: {burst: 1}\nlimits: {brust: 2, burst: many}\napi: &a {region: *a}\n", "a: [1\n"})
        EXPECT_GT(fail_each_allocation([&] {
                      sourced_config out;
                      std::vector<problem> wrong;
                      const auto tree = parse_strict_yaml(text);
                      if (tree)
                          merge_yaml(out, *tree, "culld.yaml", "/etc/culld", wrong);
                      else
                          wrong = tree.error();
                      std::string told = config_json(out.values);
                      for (const problem& p : wrong) told += "\n" + p.text();
                      return told;
                  }),
                  20U);
}

TEST(OutOfMemory, ARequestIsSignedRightOrNotAtAll) {
    const std::string long_query = "/v1/p/workspaces/w/soc/incidents?offset=10&limit=100&name=" + std::string(200, 'x');
    const std::vector<header_view> headers{{"Host", "secmaster.example.test"}, {"X-Sdk-Date", "20260115T081530Z"}};
    const std::vector<std::string_view> body{"{\"batch_ids\":[", "\"a\",\"b\"", "]}"};
    request_signer kept;
    const auto sign = [&](request_signer& with) {
        with.sign({.method = "POST", .target = long_query, .headers = headers, .body = body}, "ak", "sk");
        return with.authorization();
    };
    EXPECT_GT(fail_each_allocation([&] {
                  request_signer fresh;
                  return sign(fresh);
              }),
              10U);
    fail_each_allocation([&] { return sign(kept); });
}

}  // namespace
}  // namespace culld

int main(int argc, char** argv) {
    // Before OpenSSL allocates anything.
    if (CRYPTO_set_mem_functions(for_openssl, again_for_openssl, free_for_openssl) != 1) return 1;
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
