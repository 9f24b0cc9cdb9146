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
#include "signature.hpp"
#include "verb.hpp"

namespace culld::ctl {

namespace {

constexpr std::size_t head_bytes_max = 4096;

struct tally {
    std::uint64_t journals = 0, open = 0, records = 0, bytes = 0;
    std::vector<problem> findings;

    void find(problem about) { findings.push_back(std::move(about)); }
    void find(std::string what, std::string file, std::uint64_t line = 0, std::string hint = {}) {
        findings.push_back({.what = std::move(what), .hint = std::move(hint), .file = std::move(file), .line = line});
    }
};

// ledger.head against the ledger's last line.
result<void> check_head(const folder& dir, const ledger_reading& ledger, const public_key* key, tally& out) {
    if (!dir.exists(ledger_head_name)) {
        if (ledger.records > 0)
            out.find("is missing", ledger_head_name, 0, "it was removed, or the folder is no complete copy");
        return {};
    }
    auto text = read_small_file(dir.path() + "/" + ledger_head_name, head_bytes_max);
    if (!text) return fail(std::move(text.error()));
    const auto head = read_ledger_head(*text);
    if (!head) {
        problem why = head.error();
        why.file = ledger_head_name;
        out.find(std::move(why));
        return {};
    }
    if (!ledger.findings.empty()) return {};  // where the ledger is broken, its end says nothing more
    if (head->seq + 1 != ledger.records)
        out.find(fmt::format("names line {} as the ledger's last, but the ledger has {} lines", head->seq + 1,
                             ledger.records),
                 ledger_head_name, 0,
                 head->seq + 1 > ledger.records
                     ? "lines were cut from the ledger"
                     : "a line was added to the ledger, or culld was stopped just then: start it");
    else if (head->sha256 != ledger.head)
        out.find("is not the SHA-256 of the ledger's last line", ledger_head_name, 0, "that line was changed");
    if (key == nullptr) return {};
    if (head->sig.empty())
        out.find("is not signed", ledger_head_name, 0,
                 "a public key is set: either is new, or the signature was removed");
    else if (!key->signed_by_owner(head->sha256, head->sig))
        out.find("the signature is not the key's", ledger_head_name);
    return {};
}

void check_signatures(const ledger_reading& ledger, const public_key& key, tally& out) {
    bool signed_before = false;
    for (const ledger_entry& entry : ledger.entries) {
        if (entry.rejected) continue;  // it has no head to sign
        if (entry.sig.empty()) {
            if (signed_before) out.find("is not signed, though lines before it are", ledger_name, entry.seq + 1);
            continue;
        }
        signed_before = true;
        if (!key.signed_by_owner(entry.head, entry.sig))
            out.find(fmt::format("the signature of {}'s head is not the key's", entry.journal), ledger_name,
                     entry.seq + 1);
    }
}

class verification {
  public:
    verification(const context& with, const folder& dir) : with_(with), dir_(dir) {}

    // One journal against itself and against the ledger. Failures are the disk's; what is wrong goes to
    // `out`.
    outcome<void> journal(const std::string& job_id, const ledger_reading& ledger, tally& out) {
        const ledger_entry* entry = ledger.of_job(job_id);
        const std::string name = journal_name(job_id);
        if (!dir_.exists(name)) {
            if (entry != nullptr)
                out.find("the journal is missing, but the ledger names it", name, 0,
                         fmt::format("{}:{} has its hash; it was removed or renamed", ledger_name, entry->seq + 1));
            return {};
        }
        auto read = read_journal(dir_, job_id, entry == nullptr ? expected_end::open : expected_end::finished);
        if (!read) return give_up_on(dir_.path() + "/" + name, std::move(read.error()));
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
            if (ledger->of_job(job_id) == nullptr)
                out.find("the job is finished, but the ledger does not name it", journal_name(job_id), 0,
                         "lines were cut from the ledger, or culld was stopped just then: start it, and "
                         "verify again");
        return {};
    }

  private:
    const context& with_;
    const folder& dir_;
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
    with.out.data(fmt::format("{} {} journals ({} of open jobs), {} records, {} bytes\n",
                              t.findings.empty()
                                  ? with.out.on_stdout(colour::green, "ok:")
                                  : with.out.on_stdout(colour::red, fmt::format("{} findings:", t.findings.size())),
                              grouped(t.journals), grouped(t.open), grouped(t.records), grouped(t.bytes)));
    if (with.verbose)
        with.out.say(fmt::format("{:.2f} s, {:.2f} GB/s", seconds,
                                 static_cast<double>(t.bytes) / 1e9 / std::max(seconds, 1e-6)));
}

int verify(const context& with, const std::vector<std::string>& names) {
    const auto begin = std::chrono::steady_clock::now();
    auto dir = open_journals(with);
    if (!dir) return report(with, dir.error());
    std::optional<public_key> key;
    if (!with.settings.journal.public_key_file.empty()) {
        auto loaded = public_key::load(with.settings.journal.public_key_file);
        if (!loaded) return report(with, give_up_on(with.settings.journal.public_key_file, loaded.error()).value());
        key = std::move(*loaded);
    }
    std::set<std::string> jobs;
    for (const std::string& name : names) {
        auto id = find_journal(with, *dir, name);
        if (!id) return report(with, id.error());
        jobs.insert(std::move(*id));
    }
    tally t;
    // Journals are listed before the ledger is read: what the ledger names later than that is not missed.
    if (names.empty()) {
        auto all = journals_in(*dir);
        if (!all) return report(with, {io_error, all.error()});
        jobs.insert(all->begin(), all->end());
    }
    auto ledger = read_ledger(*dir);
    if (!ledger) return report(with, give_up_on(with.settings.journal.dir + "/" + ledger_name, ledger.error()).value());
    t.bytes += ledger->bytes;
    for (const problem& p : ledger->findings) t.find(p);
    std::set<std::string> named;
    for (const ledger_entry& entry : ledger->entries) {
        if (entry.rejected) continue;
        if (!named.insert(entry.job_id).second) t.find("the job has a line already", ledger_name, entry.seq + 1);
        if (names.empty()) jobs.insert(entry.job_id);
    }
    if (auto checked = check_head(*dir, *ledger, key ? &*key : nullptr, t); !checked)
        return report(with, {io_error, checked.error()});
    if (key) check_signatures(*ledger, *key, t);
    verification each(with, *dir);
    for (const std::string& job : jobs)
        if (auto done = each.journal(job, *ledger, t); !done) return report(with, done.error());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (auto done = each.look_again(t); !done) return report(with, done.error());
    show(with, t, seconds);
    return t.findings.empty() ? all_well : not_verified;
}

}  // namespace

verb verify_verb(CLI::App& app, common_options& options) {
    auto* command = app.add_subcommand("verify", "prove that journals and ledger were not changed, and add up");
    auto names = std::make_shared<std::vector<std::string>>();
    command->add_option("JOB", *names, "jobs to check; every journal and the ledger if left out");
    command->add_option("--public-key", options.public_key, "check signatures with this Ed25519 key (PEM)")
        ->type_name("FILE");
    return {command, [names](const context& with) { return verify(with, *names); }};
}

}  // namespace culld::ctl
