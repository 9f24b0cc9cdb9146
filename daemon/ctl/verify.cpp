// cullctl verify [JOB…]: are journals and ledger what the daemon wrote? Chain, seq, verdicts, totals, the
// ledger's word about each journal, journals that were removed, ledger.head, signatures. Needs no daemon and
// no list.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <set>

#include "culld/core/json_text.hpp"
#include "follow.hpp"
#include "jobs.hpp"
#include "names_check.hpp"
#include "verb.hpp"
#include "whole_ledger.hpp"

namespace culld::ctl {

namespace {

// What the command line asks for.
struct verify_options {
    std::vector<std::string> jobs;
    std::vector<std::string> anchors;
    std::uint64_t signed_from = 1;
    bool names = false;
};

struct tally {
    std::uint64_t journals = 0, open = 0, records = 0, bytes = 0;
    std::vector<problem> findings;

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
        if (!dir_.exists(name)) {
            if (entry != nullptr)
                out.find("the journal is missing, but the ledger names it", name, 0,
                         fmt::format("{}:{} has its hash; it was removed or renamed", ledger_name, entry->seq + 1));
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
        ++out.journals;
        out.records += read->records;
        out.bytes += read->bytes;
        const bool sound = read->findings.empty();
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
        if (read->summary.state == "finished") unnamed_.push_back(job_id);
        if (read->torn_bytes > 0)
            with_.out.say(fmt::format("{}: the last {} bytes are no whole line yet; culld cuts them off when it starts",
                                      name, read->torn_bytes));
        return {};
    }

    // Journals that end, but were not in the ledger when it was read: the daemon may just have been finishing
    // them.
    outcome<void> look_again(tally& out) {
        if (unnamed_.empty()) return {};
        pause_between_looks();
        auto ledger = read_ledger(dir_);
        if (!ledger) return give_up_on(dir_.path() + "/" + ledger_name, std::move(ledger.error()));
        for (const std::string& job_id : unnamed_)
            if (ledger->checked.of_job(job_id) == nullptr)
                out.find("the job is finished, but the ledger does not name it", journal_name(job_id), 0,
                         "lines were cut from the ledger, or culld was stopped just then: start it, and "
                         "verify again");
        return {};
    }

  private:
    const context& with_;
    const folder& dir_;
    bool names_;
    std::vector<std::string> unnamed_;
};

void show(const context& with, const tally& t, double seconds) {
    if (with.json) {
        std::string text;
        json_object o(text);
        o.member("ok", t.findings.empty()).member("journals", t.journals).member("open", t.open);
        o.member("records", t.records).member("bytes", t.bytes).member("seconds", seconds);
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
    with.out.data(fmt::format("{} {} {} ({} of open jobs), {} records, {} bytes\n",
                              t.findings.empty()
                                  ? with.out.on_stdout(colour::green, "ok:")
                                  : with.out.on_stdout(colour::red, fmt::format("{} findings:", t.findings.size())),
                              grouped(t.journals), t.journals == 1 ? "journal" : "journals", grouped(t.open),
                              grouped(t.records), grouped(t.bytes)));
    if (with.verbose)
        with.out.say(fmt::format("{:.2f} s, {:.2f} GB/s", seconds,
                                 static_cast<double>(t.bytes) / 1e9 / std::max(seconds, 1e-6)));
}

int verify(const context& with, const verify_options& options) {
    const auto begin = std::chrono::steady_clock::now();
    auto dir = open_journals(with);
    if (!dir) return report(with, dir.error());
    ledger_rules rules{.keys = nullptr, .signed_from = options.signed_from, .anchors = options.anchors};
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
    verification each(with, *dir, options.names);
    for (const std::string& job : jobs)
        if (auto done = each.journal(job, ledger, t); !done) return report(with, done.error());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (auto done = each.look_again(t); !done) return report(with, done.error());
    show(with, t, seconds);
    if (!*keys && ledger.signed_lines() > 0)
        with.out.say("the ledger is signed, and the signatures were not checked: --public-key FILE does that");
    return t.findings.empty() ? all_well : not_verified;
}

bool is_hash(const std::string& text) {
    digest out{};
    return parse_hex(text, out);
}

}  // namespace

verb verify_verb(CLI::App& app, common_options& options) {
    auto* command = app.add_subcommand("verify", "prove that journals and ledger were not changed, and add up");
    auto asked = std::make_shared<verify_options>();
    command->add_option("JOB", asked->jobs, "jobs to check; every journal and the ledger if left out");
    command->add_option("--public-key", options.public_key,
                        "check signatures with this Ed25519 key (PEM; several in one file are all believed)");
    command
        ->add_option("--signed-from", asked->signed_from,
                     "the first line of the ledger that must be signed, where the key was set later")
        ->check(CLI::PositiveNumber);
    command
        ->add_option("--anchor", asked->anchors,
                     "the SHA-256 of a ledger line, as the log has it: that line must still be there")
        ->check([](const std::string& text) { return is_hash(text) ? "" : text + " is not 64 lower-case hex digits"; });
    command->add_flag("--names", asked->names,
                      "compare every id named with the job's own list as well, which must lie in the spool");
    return {command, [asked](const context& with) { return verify(with, *asked); }};
}

}  // namespace culld::ctl
