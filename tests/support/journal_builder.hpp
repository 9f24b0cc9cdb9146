// Small journals and ledgers for tests, correctly chained, written field by field so that a test can also
// write what the daemon never would.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "culld/core/journal/journal_write.hpp"

namespace culld::test {

class journal_builder {
  public:
    // `fields`: the record's members as JSON text, without braces: "\"first\":0,\"count\":4". May be empty.
    journal_builder& add(std::string_view type, std::string_view fields) {
        const std::size_t start = text.size();
        text += fmt::format("{{\"seq\":{},\"ts\":\"{}:{:02}.000000Z\",\"type\":\"{}\",", seq, minute, seq % 60, type);
        if (!fields.empty()) text.append(fields) += ',';
        text += fmt::format("\"prev\":\"{}\"}}", hex(head));
        hash_.update(std::string_view(text).substr(start));
        head = hash_.finish();
        text += '\n';
        ++seq;
        return *this;
    }

    journal_builder& accepted(std::uint64_t ids, std::string_view options = R"("dry_run":false,"verify":"failed")",
                              std::string_view job = "job-1", std::string_view file = "job.json",
                              std::string_view source = R"("sha256":"00","bytes":1)") {
        return add("job.accepted",
                   fmt::format(R"("job_id":"{}","file":"{}",{},"ids":{},"duplicates":0,"options":{{{}}},"labels":{{}})",
                               job, file, source, ids, options));
    }
    journal_builder& intent(std::uint64_t first, std::uint64_t count) {
        return add("intent", fmt::format(R"("first":{},"count":{})", first, count));
    }
    // ids are "i<position>".
    static std::string names(const spans& at) {
        std::string out;
        for (const span& s : at)
            for (position p = s.first; p < s.end(); ++p) out += fmt::format("{}\"i{}\"", out.empty() ? "" : ",", p);
        return out;
    }
    static std::string runs(const spans& at) {
        std::string out;
        append_spans(out, at);
        return out;
    }
    // `good`, `failed`, `unknown` together are the batch, in ascending order each.
    journal_builder& result(std::uint64_t attempt, const spans& all, const spans& good, const spans& failed = {},
                            const spans& unknown = {}, std::string_view key = "deleted") {
        std::string fields = fmt::format(
            R"("batch":{},"attempt":{},"http_status":200,"code":"0","request_ids":["r-{}"],"ms":5,"{}":[{}],"failed":[{}],"unknown":[{}],"at":{})",
            seq, attempt, seq, key, names(good), names(failed), names(unknown), runs(all));
        if (!failed.empty()) fields += fmt::format(R"(,"failed_at":{})", runs(failed));
        if (!unknown.empty()) fields += fmt::format(R"(,"unknown_at":{})", runs(unknown));
        return add("batch.result", fields);
    }
    journal_builder& error(std::string_view error_class, int http_status, span at) {
        return add(
            "batch.error",
            fmt::format(R"("batch":{},"attempt":1,"class":"{}",{}"detail":"x","first":{},"count":{},"at":[[{},{}]])",
                        seq, error_class, http_status == 0 ? "" : fmt::format("\"http_status\":{},", http_status),
                        at.first, at.count, at.first, at.count));
    }
    journal_builder& absent(const spans& at) {
        return add("ids.absent", fmt::format(R"("ids":[{}],"how":"get","at":{})", names(at), runs(at)));
    }
    journal_builder& deleted(const spans& at) {
        return add("ids.deleted", fmt::format(R"("ids":[{}],"how":"get","at":{})", names(at), runs(at)));
    }
    journal_builder& failed(const spans& at, std::string_view reason = "refused") {
        return add("ids.failed",
                   fmt::format(R"("ids":[{}],"reason":"{}","attempts":2,"at":{})", names(at), reason, runs(at)));
    }
    journal_builder& skipped(span at, std::string_view reason) {
        return add("ids.skipped", fmt::format(R"("first":{},"count":{},"reason":"{}","at":[[{},{}]])", at.first,
                                              at.count, reason, at.first, at.count));
    }
    journal_builder& finished(std::string_view status, const job_totals& totals) {
        std::string text_of;
        append_totals(text_of, totals);
        return add(
            "job.finished",
            fmt::format(
                R"("status":"{}","totals":{},"started_at":"2026-11-25T01:02:00.000000Z","finished_at":"2026-11-25T01:02:59.000000Z")",
                status, text_of));
    }
    // A ledger line about `journal`.
    journal_builder& ledger(const journal_builder& journal, const job_totals& totals, std::string_view status,
                            std::string_view job = "job-1", std::string_view file = "job.json") {
        std::string text_of;
        append_totals(text_of, totals);
        return add(
            "job.finished",
            fmt::format(
                R"("job_id":"{}","file":"{}","status":"{}","totals":{},"journal":"{}.jsonl","head":"{}","records":{})",
                job, file, status, text_of, job, hex(journal.head), journal.seq));
    }
    // That `journal` was accepted.
    journal_builder& ledger_accepted(const journal_builder& journal, std::uint64_t ids, std::string_view job = "job-1",
                                     std::string_view file = "job.json") {
        sha256 hash;
        hash.update(std::string_view(journal.text).substr(0, journal.text.find('\n')));
        return add(
            "job.accepted",
            fmt::format(
                R"("job_id":"{}","file":"{}","owner":{{"uid":1,"gid":2}},"ids":{},"sha256":"00","journal":"{}.jsonl","first":"{}")",
                job, file, ids, job, hex(hash.finish())));
    }
    journal_builder& ledger_order(std::string_view type, std::string_view job, std::uint64_t record, int uid, int pid) {
        return add(type, fmt::format(R"("job_id":"{}","record":{},"by":{{"uid":{},"pid":{}}})", job, record, uid, pid));
    }
    journal_builder& ledger_rejected(std::string_view file, std::string_view error) {
        return add(
            "job.rejected",
            fmt::format(
                R"("job_id":null,"file":"{}","status":"rejected","totals":null,"journal":null,"head":null,"records":0,"error":"{}")",
                file, error));
    }
    [[nodiscard]] std::string ledger_head() const {
        return fmt::format("{{\"seq\":{},\"sha256\":\"{}\"}}\n", seq - 1, hex(head));
    }

    std::string minute = "2026-11-25T01:02";  // of every record; seq gives the second
    std::string text;
    std::uint64_t seq = 0;
    digest head{};

  private:
    sha256 hash_;
};

// A finished job of eight ids with something of everything; its totals.
inline job_totals story(journal_builder& j, std::string_view job = "job-1", std::string_view file = "job.json",
                        std::string_view source = R"("sha256":"00","bytes":1)") {
    j.accepted(8, R"("dry_run":false,"verify":"failed")", job, file, source)
        .skipped({7, 1}, "protected")
        .intent(0, 7)
        .error("throttled", 429, {0, 4})
        .result(1, {{4, 3}}, {{4, 2}}, {}, {{6, 1}})
        .result(1, {{0, 4}}, {{0, 1}, {2, 1}}, {{1, 1}, {3, 1}})
        .result(2, {{1, 1}, {3, 1}, {6, 1}}, {{6, 1}}, {{1, 1}, {3, 1}})
        .absent({{1, 1}})
        .failed({{3, 1}});
    const job_totals totals{
        .ids = 8, .deleted = 5, .absent = 1, .failed = 1, .skipped = 1, .requests = 4, .retries = 2, .throttled = 1};
    j.finished("completed_with_failures", totals);
    return totals;
}

}  // namespace culld::test
