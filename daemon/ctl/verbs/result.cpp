// cullctl result JOB: one row an id, streamed from the job's journal.
#include <fmt/format.h>

#include <iterator>
#include <memory>
#include <optional>

#include "ctl/jobs/jobs.hpp"
#include "ctl/jobs/own_journal.hpp"
#include "ctl/journal/job_check.hpp"
#include "ctl/journal/result_rows.hpp"
#include "ctl/ui/verb.hpp"
#include "culld/core/ids/id_sink.hpp"
#include "culld/core/text/json_writer.hpp"

namespace culld::ctl {

namespace {

enum class row_form { table, csv, json, ids };

struct result_options {
    std::string job, only;
    bool csv = false, ids = false;
};

// Hands bare ids on, and keeps the reason why that had to stop.
class each_id final : public id_sink {
  public:
    explicit each_id(const std::function<result<void>(std::string_view)>& each) : each_(each) {}
    bool take(std::string_view id) override {
        auto done = each_(id);
        if (done) return true;
        why_ = std::move(done.error());
        return false;
    }
    reason refusal() override { return {why_, false}; }

  private:
    const std::function<result<void>(std::string_view)>& each_;
    problem why_;
};

class printer {
  public:
    printer(const context& with, row_form form) : with_(with), form_(form) {
        if (form_ == row_form::csv) with_.out.data("id,verdict,reason,attempts,http_status,request_id,at\n");
        if (form_ == row_form::table)
            with_.out.data(with_.out.on_stdout(
                               colour::bold, fmt::format("{:36}  {:9}  {:12}  {:>8}  {:>4}  {:27}  {}", "ID", "VERDICT",
                                                         "REASON", "ATTEMPTS", "HTTP", "AT", "REQUEST")) +
                           "\n");
    }

    void row(const result_row& r) {
        std::string& out = with_.out.begin_data();
        switch (form_) {
            case row_form::ids:
                if (with_.json)
                    append_json_string(out, r.id);
                else
                    out.append(r.id);
                out.push_back('\n');
                break;
            case row_form::csv:
                append_csv_field(out, r.id);
                append_rest(out, r, [&] {
                    out.append(",").append(r.verdict) += ',';
                    append_csv_field(out, r.reason);
                    append_number(out += ',', r.attempts);
                    out += ',';
                    if (r.http_status != 0) append_number(out, r.http_status);
                    out += ',';
                    append_csv_field(out, r.request_id);
                    out.append(",").append(r.at) += '\n';
                });
                break;
            case row_form::json: {
                json_object o(out);
                o.member("id", r.id);
                append_rest(out, r, [&] {
                    o.member("verdict", r.verdict);
                    text_or_null(o, "reason", r.reason);
                    o.member("attempts", r.attempts);
                    if (r.http_status == 0)
                        o.raw("http_status", "null");
                    else
                        o.member("http_status", r.http_status);
                    text_or_null(o, "request_id", r.request_id);
                    text_or_null(o, "at", r.at);
                    o.close();
                    out += '\n';
                });
                break;
            }
            case row_form::table:
                append_cell(out, r.id, 36);
                append_rest(out, r, [&] {
                    fmt::format_to(std::back_inserter(out), "  {:9}  {:12}  {:>8}  {:>4}  {:27}  {}\n", r.verdict,
                                   r.reason, r.attempts, r.http_status == 0 ? "-" : std::to_string(r.http_status), r.at,
                                   printable(r.request_id));
                });
        }
        with_.out.end_data();
    }

  private:
    // What stands behind the id, which all ids of a batch share: made once for them.
    template <class F>
    void append_rest(std::string& out, const result_row& r, F&& make) {
        if (!r.as_before) {
            const std::size_t begin = out.size();
            make();
            rest_.assign(out, begin);
        } else {
            out += rest_;
        }
    }
    static void text_or_null(json_object& o, std::string_view key, std::string_view text) {
        if (text.empty())
            o.raw(key, "null");
        else
            o.member(key, text);
    }

    const context& with_;
    row_form form_;
    std::string rest_;  // of the row before
};

// One run of the verb: its state is what the record callbacks share.
class result_run {
  public:
    result_run(const context& with, const folder& dir, std::string job, const result_options& options, row_form form)
        : with_(with), dir_(dir), job_(std::move(job)), only_(options.only), print_(with, form) {}

    int run() {
        result_rows rows(
            only_,
            [this](const result_row& r) -> result<void> {
                print_.row(r);
                return success();
            },
            [this](const spans& at, const std::function<result<void>(std::string_view)>& each) {
                return look_up(at, each);
            });
        auto read =
            read_journal(dir_, job_, expected_end::open, [&](const record_view& record, std::uint64_t) -> result<void> {
                if (record.type == record_type::job_accepted && !sources_) {
                    auto sources = sources_of(record);
                    if (sources) sources_ = std::move(*sources);
                }
                return rows.feed(record);
            });
        if (!read) {
            if (quarantined_) return report(with_, *quarantined_);
            return report(with_, give_up_on(dir_.path() + "/" + journal_name(job_), std::move(read.error())).value());
        }
        if (!read->findings.empty()) {
            for (const problem& p : read->findings) with_.out.error(p);
            with_.out.error("cullctl: the journal cannot be trusted; cullctl verify says more");
            return not_verified;
        }
        return remaining(*read);
    }

  private:
    // Ids without a verdict, where they were asked for or no verdict was.
    int remaining(const journal_report& read) {
        const bool asked = only_ == "remaining";
        if (read.summary.remaining() == 0 || !(asked || only_.empty())) return all_well;
        const spans rest = read.settled.missing({0, read.summary.totals.ids});
        const auto shown = look_up(rest, [this](std::string_view id) -> result<void> {
            print_.row({.id = id, .verdict = "remaining"});
            return success();
        });
        if (shown) return all_well;
        if (!quarantined_) return report(with_, {io_error, shown.error()});
        if (asked) return report(with_, *quarantined_);
        with_.out.error(quarantined_->about);
        with_.out.error(
            fmt::format("cullctl: {} ids have no verdict yet; their names cannot be shown", grouped(count_of(rest))));
        return quarantined_->code;
    }

    result<void> look_up(const spans& at, const std::function<result<void>(std::string_view)>& each) {
        if (!store_) {
            if (auto opened = open_store(); !opened) {
                quarantined_ = std::move(opened.error());
                return fail(quarantined_->about);
            }
        }
        each_id sink(each);
        for (const span& s : at) {
            // A journal may claim anything; the store has what it has.
            if (s.end() > store_->count()) return fail("a position is beyond the list's end");
            if (auto done = store_->append_ids(s.first, s.count, sink); !done) return done;
        }
        return {};
    }

    outcome<void> open_store() {
        if (!sources_) return give_up(not_there, {.what = "the journal does not say where its ids came from"});
        auto scratch = scratch_folder::make();
        if (!scratch) return tl::unexpected(std::move(scratch.error()));
        scratch_.emplace(std::move(*scratch));
        auto store = ids_of_job(with_, *sources_, scratch_->here());
        if (!store) return tl::unexpected(std::move(store.error()));
        store_.emplace(std::move(*store));
        return {};
    }

    const context& with_;
    const folder& dir_;
    std::string job_;
    std::string only_;
    printer print_;
    std::optional<accepted_sources> sources_;
    std::optional<scratch_folder> scratch_;
    std::optional<id_store> store_;
    std::optional<failure> quarantined_;  // why the ids cannot be looked up
};

}  // namespace

verb result_verb(CLI::App& app) {
    auto* command = app.add_subcommand("result", "what happened to every id of a job, one row each");
    auto options = std::make_shared<result_options>();
    command->add_option("JOB", options->job, "a job's id, or its file")->required();
    auto* csv = command->add_flag("--csv", options->csv, "comma-separated, with a header");
    command->add_option("--only", options->only, "only ids with this verdict; remaining: those without one yet")
        ->check(CLI::IsMember({"failed", "deleted", "absent", "skipped", "remaining"}));
    command->add_flag("--ids", options->ids, "bare ids, one a line: a list that can be submitted again")->excludes(csv);
    return {command, [options](const context& with) -> int {
                auto journal = open_journal_of(with, options->job);
                if (!journal) return report(with, journal.error());
                row_form form = row_form::table;
                if (options->ids)
                    form = row_form::ids;
                else if (options->csv)
                    form = row_form::csv;
                else if (with.json)
                    form = row_form::json;
                return result_run(with, journal->dir(), journal->job_id, *options, form).run();
            }};
}

}  // namespace culld::ctl
