#include "truth.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "culld/core/journal/audit.hpp"
#include "culld/core/journal/chain.hpp"
#include "culld/core/journal/ledger_check.hpp"
#include "culld/core/spool/file_kind.hpp"

namespace culld::simulation {

namespace {

constexpr std::string_view journal_folder = "/sim/journal/";

boost::json::value parse(std::string_view text) {
    boost::json::error_code ec;
    auto out = boost::json::parse(boost::json::string_view(text.data(), text.size()), ec);
    return ec ? boost::json::value() : out;
}

// The strings of a list under `key`, at the top or in `data`.
std::vector<std::string> strings(const boost::json::object& from, std::string_view key) {
    std::vector<std::string> out;
    const auto* list = from.if_contains(boost::json::string_view(key.data(), key.size()));
    if (list == nullptr || !list->is_array()) return out;
    for (const auto& v : list->get_array())
        if (v.is_string()) out.emplace_back(v.get_string());
    return out;
}

char verdict_of(std::string_view type) {
    if (type == "ids.deleted") return 'd';
    if (type == "ids.absent") return 'a';
    if (type == "ids.failed") return 'f';
    return 's';
}

}  // namespace

truth::truth(world& in, std::vector<job_plan> jobs, send_rules rules, const public_keys* keys)
    : in_(in), jobs_(std::move(jobs)), rules_(rules), keys_(keys), state_(jobs_.size()) {
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
        state_[i].intended.resize(jobs_[i].ids.size());
        state_[i].verdict.resize(jobs_[i].ids.size());
    }
}

std::uint64_t truth::ids_total() const {
    std::uint64_t out = 0;
    for (const job_plan& job : jobs_) out += job.ids.size();
    return out;
}

// ---- while it runs ----

void truth::sent(std::string_view method, std::string_view target, const std::vector<std::string_view>& ids) {
    const moment now = in_.on.now();
    times_.push_back(now);
    // What pace.hpp takes back of a late send at once above 100 a second: there the law holds up to that.
    const double grain = rules_.per_second <= 100 ? 1e-9 : std::min(250e-6, 1.0035 / rules_.per_second / 4);
    for (std::size_t i = times_.size(); i-- > 0;) {
        const double span = std::chrono::duration<double>(now - times_[i]).count();
        const double window = std::max(span + grain, 1 / rules_.per_second);
        const double most = std::ceil(rules_.per_second * window - 1e-9) + rules_.burst - 1;
        if (static_cast<double>(times_.size() - i) > most)
            fail(fmt::format("{} requests within {:.6f} s, at a rate of {} and a burst of {}", times_.size() - i, span,
                             rules_.per_second, rules_.burst));
        if (span > 600) break;
    }
    if (ids.empty()) fail(fmt::format("{} {} names no id", method, target));
    std::set<std::string_view> once;
    std::optional<std::size_t> job;
    for (const std::string_view id : ids) {
        const auto of = job_of_id(id);
        const bool some_doubt =
            std::any_of(state_.begin(), state_.end(), [](const job_state& s) { return s.doubtful; });
        if ((!of || *of >= jobs_.size()) && some_doubt) return;  // a torn list ends in a torn id
        if (!of || *of >= jobs_.size()) fail(fmt::format("{} was sent, which no job names", id));
        if (job && *job != *of) fail("ids of two jobs in one request");
        job = of;
        if (!once.insert(id).second) fail(fmt::format("{} stands twice in a request", id));
        const job_plan& plan = jobs_[*of];
        const auto at = plan.place.find(std::string(id));
        if (at == plan.place.end()) {
            if (state_[*of].doubtful) continue;
            fail(fmt::format("{} was sent, which no job names", id));
        }
        if (plan.bad && !state_[*of].doubtful) fail(fmt::format("{} was sent, and its job is to be rejected", id));
        if (plan.dry_run) fail(fmt::format("{} was sent in a dry run", id));
        if (method == "GET") continue;
        if (state_[*of].intended[at->second] == 0) fail(fmt::format("{} was sent without a durable intent", id));
        if (const char v = state_[*of].verdict[at->second]; v != 0)
            fail(fmt::format("{} was sent after its verdict ({})", id, v));
    }
    if (ids.size() > jobs_[*job].batch_size)
        fail(fmt::format("{} ids in one request, batch_size is {}", ids.size(), jobs_[*job].batch_size));
}

void truth::answered(const std::vector<std::string_view>& asked, int status, std::string_view body) {
    if (status != 200) return;
    const auto value = parse(body);
    if (!value.is_object()) return;
    const auto& top = value.get_object();
    const auto* data = top.if_contains("data");
    const auto& lists = data != nullptr && data->is_object() ? data->get_object() : top;
    const auto good = strings(lists, "success_ids"), bad = strings(lists, "error_ids");
    const std::set<std::string> refused(bad.begin(), bad.end());
    const std::set<std::string_view> wanted(asked.begin(), asked.end());
    for (const std::string& id : good)
        if (!refused.contains(id) && wanted.contains(id)) said_deleted_.insert(id);
}

void truth::settle(std::size_t job, std::uint32_t position, char verdict, const std::string& path) {
    char& place = state_[job].verdict[position];
    if (place != 0)
        fail(fmt::format("{}: {} has two verdicts, {} and {}", path, jobs_[job].ids[position], place, verdict));
    place = verdict;
}

void truth::read_line(const std::string& path, journal_state& journal, std::string_view line) {
    const auto value = parse(line);
    if (!value.is_object()) return;
    const auto& record = value.get_object();
    const auto text = [&](std::string_view key) {
        const auto* v = record.if_contains(boost::json::string_view(key.data(), key.size()));
        return v != nullptr && v->is_string() ? std::string(v->get_string()) : std::string();
    };
    const std::string type = text("type");
    if (type == "job.accepted") {
        const std::string file = text("file");
        const auto it = std::find_if(jobs_.begin(), jobs_.end(), [&](const job_plan& j) { return j.file == file; });
        if (it == jobs_.end()) fail(fmt::format("{} is of a file nobody dropped: {}", path, file));
        if (it->bad && !state_[it->number].doubtful) fail(fmt::format("{} is of a job to be rejected", path));
        journal.job = it->number;
        return;
    }
    if (!journal.job) return;
    const job_plan& plan = jobs_[*journal.job];
    job_state& state = state_[*journal.job];
    const auto positions = [&](std::string_view list) {
        std::vector<std::uint32_t> out;
        for (const std::string& id : strings(record, list))
            if (const auto at = plan.place.find(id); at != plan.place.end())
                out.push_back(at->second);
            else if (!state.doubtful)
                fail(fmt::format("{} names an id that is none of its job's: {}", path, id));
        const auto* first = record.if_contains("first");
        if (out.empty() && first != nullptr) {
            const auto begin = first->to_number<std::uint64_t>();
            const auto count = record.at("count").to_number<std::uint64_t>();
            for (std::uint64_t i = begin; i < begin + count && i < plan.ids.size(); ++i)
                out.push_back(static_cast<std::uint32_t>(i));
        }
        return out;
    };
    if (type == "intent") {
        for (const std::uint32_t at : positions("ids")) state.intended[at] = 1;
    } else if (type == "batch.result") {
        for (const std::uint32_t at : positions("deleted")) settle(*journal.job, at, 'd', path);
    } else if (type == "ids.deleted" || type == "ids.absent" || type == "ids.failed" || type == "ids.skipped") {
        for (const std::uint32_t at : positions("ids")) settle(*journal.job, at, verdict_of(type), path);
    }
}

void truth::look() {
    const node_ptr folder = in_.files.find("/sim/journal");
    if (!folder) return;
    for (const auto& [name, file] : folder->stable_entries) {
        if (!name.ends_with(".jsonl") || name.starts_with('.') || name == "ledger.jsonl") continue;
        const std::string& text = file->stable;
        journal_state& journal = journals_[file->number];
        for (;;) {
            const std::size_t end = text.find('\n', std::min(journal.read, text.size()));
            if (end == std::string::npos) break;
            read_line(name, journal, std::string_view(text).substr(journal.read, end - journal.read));
            journal.read = end + 1;
        }
    }
    look_at_filed();
}

bool truth::same_file(std::string_view name, std::string_view of) {
    if (name == of) return true;
    const std::size_t stem = of.find('.');
    if (!name.starts_with(of.substr(0, stem + 1)) || !name.ends_with(of.substr(stem))) return false;
    if (name.size() <= of.size()) return false;
    const std::string_view number = name.substr(stem + 1, name.size() - of.size() - 1);
    return number.find_first_not_of("0123456789") == std::string_view::npos;
}

// A job whose file has been put away is in the ledger already.
void truth::look_at_filed() {
    const node_ptr ledger = in_.files.find("/sim/journal/ledger.jsonl");
    for (const char* const where : {"/sim/spool/done", "/sim/spool/failed"})
        for (const auto& [name, file] : in_.files.find(where)->stable_entries) {
            if (type_of(name).kind == file_kind::sidecar || !filed_.insert(name).second) continue;
            const auto job =
                std::find_if(jobs_.begin(), jobs_.end(), [&](const job_plan& j) { return same_file(name, j.file); });
            if (job == jobs_.end()) fail(fmt::format("{} is in {}, and nobody dropped it", name, where));
            if (file->uid != 0) fail(fmt::format("{} in {} is another user's, who may have it open", name, where));
            // As the line of its end has it: that of its acceptance goes on with the owner.
            if (!ledger ||
                ledger->stable.find(fmt::format("\"file\":\"{}\",\"status\":", job->file)) == std::string::npos)
                fail(fmt::format("{} is in {}, and the ledger does not name it", name, where));
        }
}

void truth::reported(std::string_view body) {
    const auto value = parse(body);
    if (!value.is_object() || value.get_object().if_contains("totals") == nullptr) return;
    const auto& job = value.get_object();
    const std::string path = fmt::format("/sim/journal/{}.jsonl", std::string_view(job.at("job_id").as_string()));
    const node_ptr file = in_.files.find(path);
    if (!file || !journals_.contains(file->number) || !journals_.at(file->number).job) return;
    const job_state& state = state_[*journals_.at(file->number).job];
    if (state.doubtful) return;
    const auto& verdicts = state.verdict;
    const std::map<std::string, char> kinds{{"deleted", 'd'}, {"absent", 'a'}, {"failed", 'f'}, {"skipped", 's'}};
    for (const auto& [name, kind] : kinds) {
        const auto told = job.at("totals").as_object().at(name).to_number<std::int64_t>();
        if (told > std::count(verdicts.begin(), verdicts.end(), kind))
            fail(fmt::format("{} {} ids of {} were reported before they were durable", told, name, path));
    }
}

std::vector<std::string> truth::job_ids() const {
    std::vector<std::string> out;
    const node_ptr folder = in_.files.find("/sim/journal");
    if (!folder) return out;
    for (const auto& [name, file] : folder->entries)
        if (name.ends_with(".jsonl") && name != "ledger.jsonl" && !name.starts_with('.'))
            out.push_back(name.substr(0, name.size() - 6));
    return out;
}

std::string truth::left_over() const {
    if (const node_ptr plans = in_.files.find("/sim/journal/.plan"))
        for (const auto& [name, file] : plans->entries)
            if (name.ends_with(".ids")) return name;  // its filing is not over
    for (const char* const where : {"/sim/spool/incoming", "/sim/spool/active"})
        for (const auto& [name, file] : in_.files.find(where)->entries)
            if (!name.starts_with('.') && std::none_of(jobs_.begin(), jobs_.end(), [&](const job_plan& j) {
                    return j.list == name && state_[j.number].doubtful;
                }))
                return fmt::format("{}/{}", where, name);
    return {};
}

// ---- at the end ----

void truth::judge(const std::function<bool(const std::string&)>& exists) {
    if (!all_over()) fail("files are left in incoming/ or active/");
    judge_ledger();
    for (const std::string& id : job_ids()) judge_journal(id, exists);
    for (const job_plan& job : jobs_) {
        const job_state& state = state_[job.number];
        if (!state.dropped || state.doubtful) continue;
        if (job.bad) {
            if (!rejected_.contains(job.number)) fail(fmt::format("{} was not rejected", job.file));
        } else if (!finished_.contains(job.number)) {
            fail(fmt::format("{} was never finished{}", job.file,
                             rejected_.contains(job.number) ? ", but rejected" : ""));
        }
    }
    judge_files();
}

void truth::judge_journal(const std::string& job_id, const std::function<bool(const std::string&)>& exists) {
    const std::string path = std::string(journal_folder) + job_id + ".jsonl";
    const node_ptr file = in_.files.find(path);
    chain_checker chain;
    journal_audit audit;
    record_view record;
    std::uint64_t line = 0;
    for (std::string_view text = file->data; !text.empty();) {
        const std::size_t end = text.find('\n');
        if (end == std::string_view::npos) fail(fmt::format("{} ends in a torn line", path));
        if (auto fed = chain.feed(text.substr(0, end), true, record); !fed)
            fail(fmt::format("{}: {}", path, fed.error().text()));
        audit.feed(record, ++line);
        text.remove_prefix(end + 1);
    }
    audit.end(true);
    if (!audit.sound()) fail(fmt::format("{}: {}", path, audit.findings().front().text()));
    const auto known = journals_.find(file->number);
    if (known == journals_.end() || !known->second.job) fail(fmt::format("{} has no durable first record", path));
    const std::size_t number = *known->second.job;
    const job_plan& job = jobs_[number];
    const job_state& state = state_[number];
    const audit_summary& sum = audit.summary();
    if (sum.status.empty()) fail(fmt::format("{} is not finished", path));
    if (finished_.contains(number)) fail(fmt::format("{} has two journals", job.file));
    finished_[number] = sum.status;
    if (file->data != file->stable) fail(fmt::format("{} is not all durable", path));
    if (!job.job_id.empty() && !state.doubtful && job_id != job.job_id)
        fail(fmt::format("{} got the id {}", job.file, job_id));
    if (!state.doubtful && (sum.totals.ids != job.ids.size() || sum.totals.duplicates != job.duplicates))
        fail(fmt::format("{}: {} ids and {} duplicates, not {} and {}", path, sum.totals.ids, sum.totals.duplicates,
                         job.ids.size(), job.duplicates));
    job_totals counted;
    for (std::size_t i = 0; i < std::min<std::size_t>(job.ids.size(), sum.totals.ids); ++i) {
        const std::string& id = job.ids[i];
        switch (state.verdict[i]) {
            case 0:
                if (state.doubtful) break;  // another id stands there, a torn one
                fail(fmt::format("{}: {} has no verdict", path, id));
            case 'd':
                ++counted.deleted;
                if (exists(id)) fail(fmt::format("{} is said to be deleted, and the server still has it", id));
                if (job.verify != "all" && !said_deleted_.contains(id))
                    fail(fmt::format("{} is said to be deleted, and the server never said so", id));
                break;
            case 'a':
                ++counted.absent;
                if (exists(id)) fail(fmt::format("{} is said to be absent, and the server has it", id));
                break;
            case 'f': ++counted.failed; break;
            default:
                ++counted.skipped;
                if (sum.status == "completed" || sum.status == "completed_with_failures")
                    fail(fmt::format("{}: {} was skipped in a job that completed", path, id));
        }
    }
    if (!state.doubtful && (counted.deleted != sum.totals.deleted || counted.absent != sum.totals.absent ||
                            counted.failed != sum.totals.failed || counted.skipped != sum.totals.skipped))
        fail(fmt::format("{}: the totals are not what its records say", path));
}

void truth::judge_ledger() {
    const node_ptr file = in_.files.find("/sim/journal/ledger.jsonl");
    if (!file) fail("there is no ledger");
    const node_ptr head = in_.files.find("/sim/journal/ledger.head");
    ledger_check check({.keys = keys_});
    for (std::string_view text = file->data; !text.empty();) {
        const std::size_t end = text.find('\n');
        const bool goes_on = check.feed(text.substr(0, end), end != std::string_view::npos);
        if (!goes_on || end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    check.end(head ? std::optional<std::string_view>(head->data) : std::nullopt);
    if (!check.findings().empty()) fail(fmt::format("ledger: {}", check.findings().front().text()));
    std::set<std::string> named;
    record_view record;
    for (const ledger_entry& entry : check.entries()) {
        if (entry.rejected) {
            for (const job_plan& job : jobs_)
                if (job.file == entry.file) rejected_.insert(job.number);
            continue;
        }
        named.insert(entry.job_id);
        const node_ptr journal = in_.files.find(std::string(journal_folder) + entry.journal);
        if (!journal) fail(fmt::format("the ledger names {}, which is not there", entry.journal));
        chain_checker links;
        journal_audit audit;
        std::uint64_t line = 0;
        for (std::string_view rest = journal->data; !rest.empty();) {
            const std::size_t cut = rest.find('\n');
            if (cut == std::string_view::npos || !links.feed(rest.substr(0, cut), true, record)) break;
            audit.feed(record, ++line);
            rest.remove_prefix(cut + 1);
        }
        audit.end(true);
        const auto wrong = compare_with_ledger(entry, audit.summary(), links.records(), hex(links.head()));
        if (!wrong.empty()) fail(fmt::format("ledger and {}: {}", entry.journal, wrong.front().text()));
    }
    for (const std::string& id : job_ids()) {
        if (!named.contains(id)) fail(fmt::format("the ledger does not name {}", id));
        if (check.acceptance_of(id) == nullptr) fail(fmt::format("the ledger does not tell that {} was accepted", id));
    }
}

void truth::judge_files() {
    const auto holds = [&](std::string_view folder, const std::string& name) {
        const auto& entries = in_.files.find(fmt::format("/sim/spool/{}", folder))->entries;
        return std::any_of(entries.begin(), entries.end(), [&](const auto& e) { return same_file(e.first, name); });
    };
    for (const job_plan& job : jobs_) {
        const job_state& state = state_[job.number];
        if (!state.dropped || state.doubtful) continue;
        std::string_view where = "rejected";
        if (!job.bad) {
            const std::string& status = finished_[job.number];
            const bool all_well = status == "completed" || status == "dry_run";
            where = all_well ? "done" : "failed";
        }
        for (const std::string& name : {job.file, job.list})
            if (!name.empty() && !holds(where, name)) fail(fmt::format("{} is not in {}/", name, where));
        if (!job.bad) continue;
        const auto& rejected = in_.files.find("/sim/spool/rejected")->entries;
        if (std::none_of(rejected.begin(), rejected.end(), [&](const auto& e) {
                return same_file(e.first, job.file) && rejected.contains(e.first + ".reason.json");
            }))
            fail(fmt::format("{} has no reason beside it", job.file));
    }
}

}  // namespace culld::simulation
