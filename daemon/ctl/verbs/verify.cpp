// cullctl verify [JOB…]: are journals and ledger what the daemon wrote? Chain, seq, verdicts, totals, the
// ledger's word about each journal, journals that were removed, ledger.head, signatures. Needs no daemon and
// no list.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <set>

#include "ctl/jobs/jobs.hpp"
#include "ctl/journal/ledger_reader.hpp"
#include "ctl/journal/names_check.hpp"
#include "ctl/ui/interrupt.hpp"
#include "ctl/ui/verb.hpp"
#include "culld/core/text/json_writer.hpp"

namespace culld::ctl {

namespace {

// What the command line asks for.
struct verify_options {
    std::vector<std::string> jobs;
    ledger_rules rules;
    bool names = false;
};

struct tally {
    std::uint64_t journals = 0, open = 0, records = 0, bytes = 0;
    std::vector<problem> findings;
    std::optional<failure> failed;  // the first thing that could not be looked at

    void find(problem about) { findings.push_back(std::move(about)); }
    void find(std::string what, std::string file, std::uint64_t line = 0, std::string hint = {}) {
        findings.push_back({.what = std::move(what), .hint = std::move(hint), .file = std::move(file), .line = line});
    }
};

class verification {
  public:
    verification(const context& with, const folder& dir, bool names) : with_(with), dir_(dir), names_(names) {}

    // One journal against itself and against the ledger. Failures are the disk's; what is wrong goes to
    // `out`.
    outcome<void> journal(const std::string& job_id, const ledger_check& ledger, tally& out) {
        const ledger_entry* entry = ledger.of_job(job_id);
        const std::string name = journal_name(job_id);
        const ledger_acceptance* accepted = ledger.acceptance_of(job_id);
        if (!dir_.exists(name)) {
            if (entry != nullptr)
                out.find("the journal is missing, but the ledger names it", name, 0,
                         fmt::format("{}:{} has its hash; it was removed or renamed", ledger_name, entry->seq + 1));
            else if (accepted != nullptr)
                out.find("the journal of an open job is missing", name, 0,
                         fmt::format("{}:{} tells that the job was accepted; it was removed or renamed", ledger_name,
                                     accepted->seq + 1));
            return {};
        }
        names_check names(with_);
        const auto visit = [&names](const record_view& record, std::uint64_t line) { return names.feed(record, line); };
        auto read = read_journal(dir_, job_id, entry == nullptr ? expected_end::open : expected_end::finished,
                                 names_ ? record_visitor(visit) : record_visitor());
        if (!read && names.failed()) return tl::unexpected(*names.failed());
        if (!read) return give_up_on(dir_.path() + "/" + name, std::move(read.error()));
        for (problem p : names.findings()) {
            p.file = name;
            read->findings.push_back(std::move(p));
        }
        // A journal that is being made has nothing in it for a moment.
        if (read->records == 0 && entry == nullptr && !second_look_ && read->bytes == read->torn_bytes) {
            begun_.push_back(job_id);
            return {};
        }
        ++out.journals;
        out.records += read->records;
        out.bytes += read->bytes;
        const bool sound = read->findings.empty();
        if (sound && accepted != nullptr)
            for (problem& p : compare_with_ledger(*accepted, ledger.orders_of(job_id), *read)) out.find(std::move(p));
        for (problem& p : read->findings) out.find(std::move(p));
        if (read->findings_left_out > 0) out.find(fmt::format("and {} more", read->findings_left_out), name);
        if (entry != nullptr) {
            // A broken journal differs from the ledger in everything; once is enough.
            if (sound)
                for (problem& p : compare_with_ledger(*entry, read->summary, read->records, read->head))
                    out.find(std::move(p));
            return {};
        }
        ++out.open;
        if (read->torn_bytes > 0)
            with_.out.info(
                fmt::format("{}: the last {} bytes are no whole line yet; culld cuts them off when it starts", name,
                            read->torn_bytes));
        if (read->summary.state == "finished" || (accepted == nullptr && ledger.tells_of_accepted()))
            unnamed_.emplace_back(job_id, std::move(*read));
        return {};
    }

    // Journals that held nothing yet, and journals that were not in the ledger when it was read, as ended or at all:
    // the daemon may just have been making, or finishing, them.
    outcome<void> look_again(const ledger_check& before, tally& out) {
        if (!begun_.empty()) {
            pause_between_looks();
            second_look_ = true;
            for (const std::string& job_id : begun_)
                if (auto done = journal(job_id, before, out); !done) return done;
        }
        if (unnamed_.empty()) return {};
        const auto ended = [](const journal_report& read) { return read.summary.state == "finished"; };
        auto ledger = read_ledger_until(with_, dir_, [&](const ledger_check& now) {
            return std::ranges::all_of(unnamed_, [&](const auto& job) {
                return (ended(job.second) ? now.of_job(job.first) != nullptr : now.acceptance_of(job.first) != nullptr);
            });
        });
        if (!ledger) return give_up_on(dir_.path() + "/" + ledger_name, std::move(ledger.error()));
        for (const auto& [id, read] : unnamed_) {
            if (ledger->checked.tells_of_accepted() && ledger->checked.acceptance_of(id) == nullptr)
                out.find(unaccepted_what, journal_name(id), 0, unaccepted_hint);
            if (!ended(read)) continue;
            const ledger_entry* entry = ledger->checked.of_job(id);
            if (entry == nullptr)
                out.find(unnamed_what, journal_name(id), 0, unnamed_hint);
            else
                for (problem& p : compare_with_ledger(*entry, read.summary, read.records, read.head))
                    out.find(std::move(p));
        }
        return {};
    }

    // Jobs of which only the list is left that culld made for sending: their journals are gone. It may just be making
    // one, so it is looked again.
    void vanished(const ledger_check& ledger, tally& out) {
        for (const auto& [id, why] : evidence_in(dir_))
            out.find(fmt::format("culld noted that this journal is not what it wrote: {}", why), journal_name(id), 0,
                     "it may look sound all the same: lines may be missing at its end");
        const auto bare = [&] {
            std::vector<std::string> ids = stores_in(dir_);
            std::erase_if(ids, [&](const std::string& id) {
                // What the ledger tells of was looked for already.
                return ledger.of_job(id) != nullptr || ledger.acceptance_of(id) != nullptr ||
                       dir_.exists(journal_name(id));
            });
            return ids;
        };
        std::vector<std::string> ids = bare();
        if (ids.empty()) return;
        pause_between_looks();
        const std::vector<std::string> still = bare();
        for (const std::string& id : ids)
            if (std::ranges::find(still, id) != still.end())
                out.find(
                    "the journal of an open job is missing", journal_name(id), 0,
                    fmt::format(".plan/{}.ids is there: the journal was moved or removed; or culld was stopped while "
                                "it made it: start it, and verify again",
                                id));
    }

  private:
    const context& with_;
    const folder& dir_;
    bool names_;
    std::vector<std::pair<std::string, journal_report>> unnamed_;
    std::vector<std::string> begun_;
    bool second_look_ = false;
};

// What was looked through: by it an empty success shows.
std::string ledger_range(const ledger_check& ledger) {
    if (ledger.records() == 0) return "no line in the ledger";
    return fmt::format("ledger lines 1 to {}, {} to {}", grouped(ledger.records()), ledger.first_at(),
                       ledger.last_at());
}

void show(const context& with, const tally& t, const ledger_check& ledger, bool names, double seconds) {
    const bool ok = t.findings.empty() && !t.failed;
    if (with.json) {
        std::string text;
        json_object o(text);
        o.member("ok", ok).member("journals", t.journals).member("open", t.open);
        o.member("records", t.records).member("bytes", t.bytes).member("seconds", seconds);
        json_object range(o.begin("ledger"));
        range.member("lines", ledger.records()).member("from", ledger.first_at()).member("to", ledger.last_at());
        range.member("signed", ledger.signed_lines()).close();
        std::string& list = o.begin("findings");
        list += '[';
        for (std::size_t i = 0; i < t.findings.size(); ++i) {
            if (i > 0) list += ',';
            json_object finding(list);
            finding.member("file", t.findings[i].file).member("line", t.findings[i].line);
            finding.member("error", t.findings[i].what).member("hint", t.findings[i].hint).close();
        }
        list += ']';
        o.close();
        with.out.data(text + "\n");
        return;
    }
    for (const problem& p : t.findings)
        with.out.data(with.out.on_stdout(colour::red, "BROKEN ") + printable(p.text()) + "\n");
    const std::string verdict =
        ok ? with.out.on_stdout(colour::green, "ok:")
           : with.out.on_stdout(colour::red, t.findings.empty()       ? "not all could be read:"
                                             : t.findings.size() == 1 ? std::string("1 finding:")
                                                                      : fmt::format("{} findings:", t.findings.size()));
    with.out.data(fmt::format("{} {} {} ({} of open jobs), {} records, {} bytes; {}{}\n", verdict, grouped(t.journals),
                              t.journals == 1 ? "journal" : "journals", grouped(t.open), grouped(t.records),
                              grouped(t.bytes), ledger_range(ledger),
                              names ? "; every id compared with its job's list" : ""));
    if (with.verbose)
        with.out.info(fmt::format("{:.2f} s, {:.2f} GB/s", seconds,
                                  static_cast<double>(t.bytes) / 1e9 / std::max(seconds, 1e-6)));
}

// No success: there was nothing that could have been found wrong.
std::optional<failure> nothing_verified(const context& with, const tally& t, const ledger_check& ledger,
                                        bool with_key) {
    const std::string& dir = with.settings.journal.dir;
    if (t.journals == 0 && ledger.records() == 0)
        return failure{not_there,
                       {.what = "holds neither journals nor lines of a ledger: nothing was verified",
                        .hint = "--journal-dir names another folder",
                        .file = dir}};
    if (with_key && ledger.records() == 0)
        return failure{not_there,
                       {.what = "the ledger is empty, and a public key is given: nothing here is signed",
                        .hint = "no job has ended yet, or it was emptied",
                        .file = dir + "/" + ledger_name}};
    return std::nullopt;
}

int verify(const context& with, const verify_options& options) {
    const auto begin = std::chrono::steady_clock::now();
    auto dir = open_journals(with);
    if (!dir) return report(with, dir.error());
    ledger_rules rules = options.rules;
    auto keys = believed_keys(with);
    if (!keys) return report(with, keys.error());
    if (*keys) rules.keys = &**keys;
    std::set<std::string> jobs;
    for (const std::string& name : options.jobs) {
        auto id = find_journal(with, *dir, name);
        if (!id) return report(with, id.error());
        jobs.insert(std::move(*id));
    }
    tally t;
    // Journals are listed before the ledger is read: what the ledger names later than that is not missed.
    if (options.jobs.empty()) {
        auto all = journals_in(*dir);
        if (!all) return report(with, {io_error, all.error()});
        jobs.insert(all->begin(), all->end());
    }
    auto reading = read_whole_ledger(with, *dir, rules);
    if (!reading)
        return report(with, give_up_on(with.settings.journal.dir + "/" + ledger_name, reading.error()).value());
    const ledger_check& ledger = reading->checked;
    t.bytes += reading->bytes;
    t.findings = ledger.findings();
    if (options.jobs.empty())
        for (const ledger_entry& entry : ledger.entries())
            if (!entry.rejected) jobs.insert(entry.job_id);
    if (options.jobs.empty())
        for (const auto& [id, job] : ledger.accepted()) jobs.insert(id);
    if (*keys && !reading->there)
        t.find("there is no ledger, and a public key is given: nothing here is signed", ledger_name, 0,
               "it was removed, or this is another folder");
    verification each(with, *dir, options.names);
    // What cannot be looked at hides nothing of the rest.
    const auto go_on = [&](outcome<void> done) {
        if (done) return;
        with.out.error(done.error().about);
        if (!t.failed) t.failed = std::move(done.error());
    };
    for (const std::string& job : jobs) go_on(each.journal(job, ledger, t));
    if (options.jobs.empty()) each.vanished(ledger, t);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    go_on(each.look_again(ledger, t));
    if (t.findings.empty() && !t.failed)
        if (auto nothing = nothing_verified(with, t, ledger, keys->has_value())) return report(with, *nothing);
    show(with, t, ledger, options.names, seconds);
    if (!reading->there && t.records == 0 && !t.findings.empty())
        with.out.info(
            "no ledger is there, and no file holds a record of culld: is this a journal folder? --journal-dir DIR "
            "names another");
    if (!*keys && ledger.signed_lines() > 0)
        with.out.info("the ledger is signed, and the signatures were not checked: --public-key FILE does that");
    if (!t.findings.empty()) return not_verified;
    return t.failed ? t.failed->code : all_well;
}

}  // namespace

void add_ledger_rules(CLI::App& command, ledger_rules& rules) {
    command
        .add_option("--signed-from", rules.signed_from,
                    "the first line of the ledger that must be signed, where the key was set later")
        ->type_name("LINE")
        ->check(CLI::PositiveNumber);
    command
        .add_option("--anchor", rules.anchors,
                    "the SHA-256 of a ledger line, as the log has it: that line must still be there")
        ->type_name("HASH")
        ->check([](const std::string& text) {
            digest out{};
            return parse_hex(text, out) ? "" : printable(text) + " is not 64 lower-case hex digits";
        });
}

verb verify_verb(CLI::App& app, common_options& options) {
    auto* command = app.add_subcommand("verify", "prove that journals and ledger were not changed, and add up");
    auto asked = std::make_shared<verify_options>();
    command->add_option("JOB", asked->jobs, "jobs to check; every journal and the ledger if left out");
    command->add_option("--public-key", options.public_key,
                        "check signatures with this Ed25519 key (PEM; several in one file are all believed)");
    add_ledger_rules(*command, asked->rules);
    command->add_flag("--names", asked->names,
                      "compare every id named with the job's own list as well, which must lie in the spool");
    return {command, [asked](const context& with) { return verify(with, *asked); }};
}

}  // namespace culld::ctl
