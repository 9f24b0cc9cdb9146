#include "ctl/jobs/jobs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <utility>

#include "ctl/daemon/control_client.hpp"
#include "ctl/jobs/own_journal.hpp"
#include "ctl/jobs/reason_file.hpp"
#include "culld/core/base/did_you_mean.hpp"
#include "culld/core/base/time.hpp"
#include "culld/core/job/job_document.hpp"
#include "culld/core/text/json_writer.hpp"
#include "culld/core/text/percent_escape.hpp"
#include "culld/io/spool/spool.hpp"

namespace culld::ctl {

namespace {

namespace json = boost::json;

std::string text_of(const json::object& o, std::string_view key) {
    const json::value* v = o.if_contains(key);
    return v != nullptr && v->is_string() ? std::string(v->as_string()) : std::string();
}

std::uint64_t count_in(const json::object& o, std::string_view key) {
    const json::value* v = o.if_contains(key);
    if (v == nullptr) return 0;
    if (v->is_uint64()) return v->as_uint64();
    return v->is_int64() && v->as_int64() > 0 ? static_cast<std::uint64_t>(v->as_int64()) : 0;
}

std::optional<double> number_in(const json::object& o, std::string_view key) {
    const json::value* v = o.if_contains(key);
    if (v == nullptr || !v->is_number()) return std::nullopt;
    return v->to_number<double>();
}

job_facts facts_of(const json::object& o) {
    job_facts out;
    out.job_id = text_of(o, "job_id");
    out.file = text_of(o, "file");
    out.state = job_state_named(text_of(o, "state")).value_or(job_state::waiting);
    out.status = text_of(o, "status");
    if (const json::value* t = o.if_contains("totals"); t != nullptr && t->is_object()) {
        const json::object& totals = t->as_object();
        out.totals = {.ids = count_in(totals, "ids"),
                      .deleted = count_in(totals, "deleted"),
                      .absent = count_in(totals, "absent"),
                      .failed = count_in(totals, "failed"),
                      .skipped = count_in(totals, "skipped"),
                      .duplicates = count_in(totals, "duplicates"),
                      .requests = count_in(totals, "requests"),
                      .retries = count_in(totals, "retries"),
                      .throttled = count_in(totals, "throttled")};
    }
    out.in_flight = count_in(o, "in_flight");
    out.rate = number_in(o, "rate").value_or(0);
    if (number_in(o, "eta_seconds")) out.eta_seconds = count_in(o, "eta_seconds");
    out.reason = text_of(o, "reason");
    out.help = text_of(o, "help");
    out.accepted_at = text_of(o, "accepted_at");
    out.finished_at = text_of(o, "finished_at");
    out.waits_for = standstill_named(text_of(o, "waits_for")).value_or(standstill::none);
    out.since = text_of(o, "since");
    out.until = text_of(o, "until");
    if (const json::value* by = o.if_contains("paused_by"); by != nullptr && by->is_object())
        out.paused_by = person{static_cast<std::uint32_t>(count_in(by->as_object(), "uid")),
                               static_cast<std::int32_t>(count_in(by->as_object(), "pid"))};
    if (number_in(o, "uid")) out.uid = static_cast<std::uint32_t>(count_in(o, "uid"));
    out.from_daemon = true;
    out.json = json::serialize(o);
    return out;
}

void write_json(job_facts& job) {
    job.json.clear();
    append_job(job.json, job);
}

job_facts rejected_facts(const rejected_file& rejected) {
    job_facts out;
    out.job_id = rejected.job_id;
    out.file = rejected.file;
    out.state = job_state::finished;
    out.status = "rejected";
    out.reason = rejected.error;
    out.finished_at = rejected.at;
    write_json(out);
    return out;
}

job_facts finished_facts(const folder& dir, const ledger_entry& entry) {
    job_facts out;
    out.job_id = entry.job_id;
    out.file = entry.file;
    out.state = job_state::finished;
    out.status = entry.status;
    out.totals = entry.totals;
    // A journal that is gone or damaged is verify's to report; the ledger's word stands here.
    if (auto first = read_first_record(dir, entry.job_id); first && *first) {
        out.accepted_at = (*first)->accepted_at;
        out.uid = (*first)->uid;
    }
    out.finished_at = entry.ts;
    write_json(out);
    return out;
}

// What an open job waits for where no daemon was asked, or none answered.
job_facts open_facts(const folder& dir, const std::string& job_id, bool asked) {
    job_facts out;
    out.job_id = job_id;
    auto read = read_journal(dir, job_id, expected_end::open);
    if (!read || !read->findings.empty()) {
        out.state = job_state::blocked;
        out.waits_for = standstill::repair;
        out.reason = read ? read->findings.front().text() : read.error().text();
        out.help = read ? "nothing more of it is sent: cullctl verify names all that is wrong" : read.error().hint;
        if (!read) {
            write_json(out);
            return out;
        }
    } else {
        out.state = job_state_named(read->summary.state).value_or(job_state::waiting);
        out.reason = read->summary.reason;
        out.help = read->summary.help;
        if (out.state == job_state::paused) {
            out.waits_for = standstill::person;
            out.paused_by = read->summary.paused_by;
        }
        if (out.state == job_state::blocked) out.waits_for = standstill::repair;
    }
    out.file = read->summary.file;
    out.status = read->summary.status;
    out.totals = read->summary.totals;
    out.accepted_at = read->summary.accepted_at;
    out.finished_at = read->summary.finished_at;
    if (auto first = read_first_record(dir, job_id); first && *first) out.uid = (*first)->uid;
    out.stand_still(out.state == job_state::running || out.state == job_state::waiting
                        ? standing{standstill::daemon,
                                   asked ? "no daemon answers: this is what its journal says, and nothing moves"
                                         : "this is what its journal says; no daemon was asked",
                                   {},
                                   {}}
                        : standing{});
    write_json(out);
    return out;
}

// One page of the daemon's list; where the next one begins, if there is one.
outcome<std::string> from_daemon(const control_answer& answer, std::vector<job_facts>& out) {
    boost::system::error_code ec;
    const json::value parsed = json::parse(answer.body, ec);
    const json::value* jobs = !ec && parsed.is_object() ? parsed.as_object().if_contains("jobs") : nullptr;
    if (jobs == nullptr || !jobs->is_array())
        return give_up(io_error, {.what = "the daemon's answer is not a list of jobs",
                                  .hint = "is the socket culld's, and of the same version?"});
    for (const json::value& job : jobs->as_array())
        if (job.is_object()) out.push_back(facts_of(job.as_object()));
    return text_of(parsed.as_object(), "next");
}

// Once: who follows a job asks twice a second. In JSON the jobs say it themselves.
void say_that_nobody_answers(const context& with, const problem& why) {
    static bool said = false;
    if (with.json || std::exchange(said, true)) return;
    with.out.info(fmt::format("no daemon answers ({}): this is what the journals say", printable(why.text())));
}

// The daemon's word on one job; nothing where it has none, or does not answer.
std::optional<job_facts> ask_for_one(const context& with, std::string_view id) {
    if (!with.ask_daemon || !is_job_id(id)) return std::nullopt;
    const auto answer = ask(with.settings.http.socket, "GET", fmt::format("/v1/jobs/{}", percent_encoded(id)));
    if (!answer || answer->status != 200) return std::nullopt;
    boost::system::error_code ec;
    const json::value parsed = json::parse(answer->body, ec);
    if (ec || !parsed.is_object()) return std::nullopt;
    return facts_of(parsed.as_object());
}

// Nothing: the daemon does not answer, and the journals must.
outcome<std::optional<std::vector<job_facts>>> ask_daemon(const context& with) {
    if (!with.ask_daemon) return std::nullopt;
    std::vector<job_facts> out;
    std::string target = "/v1/jobs";
    for (;;) {
        const auto answer = ask(with.settings.http.socket, "GET", target);
        if (!answer) {
            say_that_nobody_answers(with, answer.error().about);
            return std::nullopt;
        }
        if (answer->status != 200) return give_up(static_cast<exit_code>(exit_code_of(*answer)), problem_of(*answer));
        auto next = from_daemon(*answer, out);
        if (!next) return tl::unexpected(std::move(next.error()));
        if (next->empty()) return std::optional(std::move(out));
        target = "/v1/jobs?after=" + percent_encoded(*next);
    }
}

// NAME.reason.json of each: for those who may not read the ledger.
std::vector<rejected_file> rejected_in_spool(const context& with, std::size_t most) {
    std::vector<rejected_file> out;
    auto dir = folder::open(with.settings.spool.dir + "/rejected");
    auto scan = dir ? folder_scan::open(*dir) : result<folder_scan>(fail(dir.error()));
    while (scan) {
        auto found = scan->next();
        if (!found || !*found) break;
        if (!std::string_view(**found).ends_with(reason_suffix)) continue;
        const auto text = read_reason(*dir, std::string(**found));
        boost::system::error_code ec;
        const json::value parsed = text ? json::parse(*text, ec) : json::value();
        if (ec || !parsed.is_object()) continue;
        const json::object& o = parsed.as_object();
        // Named like the file that was rejected; what stands in it may be about a list of its.
        const std::string name((**found).substr(0, (**found).size() - reason_suffix.size()));
        const problem why{.what = text_of(o, "error"),
                          .hint = text_of(o, "hint"),
                          .file = count_in(o, "line") > 0 || text_of(o, "file") != name ? text_of(o, "file") : "",
                          .line = count_in(o, "line"),
                          .column = count_in(o, "column")};
        out.push_back({name, "", why.text(), text_of(o, "at")});
    }
    std::sort(out.begin(), out.end(), [](const rejected_file& a, const rejected_file& b) { return a.at > b.at; });
    if (out.size() > most) out.resize(most);
    return out;
}

void sort_by_age(std::vector<job_facts>& jobs) {
    std::stable_sort(jobs.begin(), jobs.end(), [](const job_facts& a, const job_facts& b) {
        return std::tie(a.accepted_at, a.job_id) < std::tie(b.accepted_at, b.job_id);
    });
}

}  // namespace

outcome<folder> open_journals(const context& with) {
    auto dir = folder::open(with.settings.journal.dir);
    if (dir) return std::move(*dir);
    if (dir.error().hint.empty())
        dir.error().hint = errno == EACCES
                               ? "only root, culld's user and its group may read all journals; status, result "
                                 "and report of a job of yours ask the daemon"
                               : "--journal-dir DIR names another";
    return give_up_on(with.settings.journal.dir, std::move(dir.error()));
}

std::size_t match(std::string_view name, const std::vector<job_facts>& jobs, problem& why) {
    constexpr std::size_t named_max = 3;
    std::size_t by_file = jobs.size(), begin_so = 0;
    std::string beginning;  // ids that begin so, for whoever meant one of them
    std::vector<std::string_view> known;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        if (jobs[i].job_id == name) return i;
        // An open job before the newest that ended: whoever drops another file of that name, to be rejected, hides
        // nothing.
        if (jobs[i].file == name &&
            (by_file == jobs.size() || std::tuple(!jobs[i].finished(), jobs[i].accepted_at) >=
                                           std::tuple(!jobs[by_file].finished(), jobs[by_file].accepted_at)))
            by_file = i;
        if (!name.empty() && jobs[i].job_id.starts_with(name) && ++begin_so <= named_max)
            beginning += fmt::format("{}\"{}\"", beginning.empty() ? "" : " or ", printable(jobs[i].job_id));
        known.push_back(jobs[i].job_id);
        known.push_back(jobs[i].file);
    }
    if (by_file != jobs.size()) return by_file;
    why.what = fmt::format("no job \"{}\"", printable(name));
    if (beginning.empty())
        why.hint = did_you_mean(name, known);
    else if (begin_so > named_max)
        why.hint = fmt::format("did you mean {}, or another of {} that begin so?", beginning, begin_so);
    else
        why.hint = fmt::format("did you mean {}?", beginning);
    if (why.hint.empty()) why.hint = "cullctl list shows them";
    return jobs.size();
}

outcome<std::vector<job_facts>> jobs_from_journals(const context& with) {
    auto dir = open_journals(with);
    if (!dir) return tl::unexpected(std::move(dir.error()));
    auto ids = journals_in(*dir);
    if (!ids) return give_up(io_error, std::move(ids.error()));
    auto ledger = read_ledger(*dir);
    if (!ledger) return give_up_on(with.settings.journal.dir + "/" + ledger_name, std::move(ledger.error()));
    for (const problem& p : ledger->checked.findings()) with.out.error(p);
    std::map<std::string, const ledger_entry*> finished;
    for (const ledger_entry& e : ledger->checked.entries())
        if (!e.rejected) finished[e.job_id] = &e;
    std::vector<job_facts> out;
    out.reserve(finished.size() + ids->size());
    for (const auto& [id, entry] : finished) out.push_back(finished_facts(*dir, *entry));
    // An open job whose journal was removed is shown too, with what became of it.
    for (const auto& [id, job] : ledger->checked.accepted())
        if (!finished.contains(id) && !dir->exists(journal_name(id))) ids->push_back(id);
    for (const std::string& id : *ids)
        if (!finished.contains(id)) out.push_back(open_facts(*dir, id, with.ask_daemon));
    sort_by_age(out);
    return out;
}

outcome<std::vector<job_facts>> all_jobs(const context& with) {
    auto told = ask_daemon(with);
    if (!told) return tl::unexpected(std::move(told.error()));
    if (!*told) return jobs_from_journals(with);
    sort_by_age(**told);
    return std::move(**told);
}

outcome<std::vector<job_facts>> all_jobs_ever(const context& with) {
    auto told = ask_daemon(with);
    if (!told) return tl::unexpected(std::move(told.error()));
    auto jobs = jobs_from_journals(with);
    if (!jobs || !*told) return jobs;
    std::map<std::string, job_facts> by_id;
    std::vector<job_facts> out;
    for (job_facts& job : *jobs) by_id[job.job_id] = std::move(job);
    for (job_facts& job : **told) {
        if (job.is_file())
            out.push_back(std::move(job));
        else
            by_id[job.job_id] = std::move(job);
    }
    out.reserve(out.size() + by_id.size());
    for (auto& [id, job] : by_id) out.push_back(std::move(job));
    sort_by_age(out);
    return out;
}

std::vector<rejected_file> rejected_files(const context& with, std::size_t most) {
    std::vector<rejected_file> out;
    if (auto dir = folder::open(with.settings.journal.dir))
        if (auto ledger = read_ledger(*dir); ledger && ledger->there) {
            const auto& entries = ledger->checked.entries();
            for (auto e = entries.rbegin(); e != entries.rend() && out.size() < most; ++e)
                if (e->rejected) out.push_back({e->file, e->job_id, e->error, e->ts});
            return out;
        }
    return rejected_in_spool(with, most);
}

outcome<job_facts> find_job(const context& with, std::string_view name) {
    if (auto one = ask_for_one(with, name); one && one->job_id == name) return std::move(*one);
    problem why;
    std::optional<job_facts> found;
    auto told = ask_daemon(with);
    if (!told) return tl::unexpected(std::move(told.error()));
    if (*told) {
        std::vector<job_facts>& jobs = **told;
        if (const std::size_t at = match(name, jobs, why); at != jobs.size()) found = std::move(jobs[at]);
    }
    // The daemon remembers the last finished jobs only; the journals hold them all.
    std::optional<failure> unread;
    if (!found) {
        if (auto jobs = jobs_from_journals(with); !jobs)
            unread = std::move(jobs.error());
        else if (const std::size_t at = match(name, *jobs, why); at != jobs->size())
            found = std::move((*jobs)[at]);
    }
    // Whoever may not look into the journals may into that of their own job.
    if (!found && unread && unread->code == not_allowed && is_job_id(name))
        if (auto own = open_journal_of(with, std::string(name)))
            found = open_facts(own->dir(), own->job_id, with.ask_daemon);
    // A file's name means its open job, else the newest of that name, also where that one was no job.
    if (!found || found->job_id != name) {
        const auto rejected = rejected_files(with, SIZE_MAX);
        const auto newest = std::find_if(rejected.begin(), rejected.end(), [&](const rejected_file& r) {
            return r.file == name || (!found && r.job_id == name);
        });
        if (newest != rejected.end() &&
            (!found || found->file != name || (found->finished() && newest->at > found->accepted_at))) {
            if (found && found->file == name && !with.json)
                with.out.info(fmt::format("an earlier file of that name is job {}", printable(found->job_id)));
            return rejected_facts(*newest);
        }
    }
    if (found) return std::move(*found);
    if (unread && !*told) return tl::unexpected(std::move(*unread));
    return give_up(not_there, std::move(why));
}

outcome<std::string> find_journal(const context& with, const folder& dir, std::string_view name) {
    auto ids = journals_in(dir);
    if (!ids) return give_up(io_error, std::move(ids.error()));
    if (std::binary_search(ids->begin(), ids->end(), name)) return std::string(name);
    std::vector<job_facts> known;
    for (const std::string& id : *ids) {
        job_facts job;
        job.job_id = id;
        // A damaged first line hides the file's name, no more.
        if (auto first = read_first_record(dir, id); first && *first) {
            job.file = (*first)->file;
            job.accepted_at = (*first)->accepted_at;
        }
        known.push_back(std::move(job));
    }
    // A job whose journal was removed is still in the ledger: verify must be able to name it.
    const auto removed = [&](const std::string& id, const std::string& file) {
        if (std::binary_search(ids->begin(), ids->end(), id)) return;
        job_facts job;
        job.job_id = id;
        job.file = file;
        known.push_back(std::move(job));
    };
    if (auto ledger = read_ledger(dir)) {
        for (const ledger_entry& e : ledger->checked.entries())
            if (!e.rejected) removed(e.job_id, e.file);
        for (const auto& [id, job] : ledger->checked.accepted())
            if (ledger->checked.of_job(id) == nullptr) removed(id, job.file);
    }
    problem why;
    const std::size_t at = match(name, known, why);
    if (at == known.size()) {
        why.hint +=
            fmt::format("{}journals are looked for in {}", why.hint.empty() ? "" : "; ", with.settings.journal.dir);
        return give_up(not_there, std::move(why));
    }
    return known[at].job_id;
}

}  // namespace culld::ctl
