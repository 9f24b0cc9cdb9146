#include "culld/core/journal/ledger_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "culld/core/journal/journal_write.hpp"
#include "culld/core/journal/record_form.hpp"

namespace culld {

void ledger_check::find(std::string_view file, std::uint64_t line, std::string what, std::string hint) {
    findings_.push_back({.what = std::move(what), .hint = std::move(hint), .file = std::string(file), .line = line});
}

bool ledger_check::feed(std::string_view line, bool ended) {
    const std::uint64_t number = chain_.records() + 1;
    const chain_head before{chain_.records(), chain_.head()};
    if (auto fed = chain_.feed(line, ended, *record_); !fed) {
        find(ledger_name, number, std::move(fed.error().what), std::move(fed.error().hint));
        torn_ = !ended;
        return false;
    }
    std::erase(rules_.anchors, hex(chain_.head()));
    if (first_at_.empty()) first_at_ = record_->ts;
    last_at_ = record_->ts;
    for (std::string& fault : form_faults(*record_, record_place::ledger)) find(ledger_name, number, std::move(fault));
    if (record_->type == record_type::ledger_signed_from) {
        check_begin(before);
        return true;
    }
    if (record_->type == record_type::job_accepted) {
        check_acceptance();
        return true;
    }
    if (is_order(record_->type)) {
        check_order();
        return true;
    }
    if (record_->type == record_type::config_reloaded) return true;
    auto entry = read_ledger_entry(*record_);
    if (!entry) {
        find(ledger_name, number, std::move(entry.error().what), std::move(entry.error().hint));
        return true;
    }
    check_entry(*entry);
    entries_.push_back(std::move(*entry));
    return true;
}

void ledger_check::check_entry(const ledger_entry& entry) {
    const std::uint64_t line = entry.seq + 1;
    if (!entry.sig.empty()) ++signed_lines_;
    if (entry.rejected) return;
    if (!finished_.emplace(entry.job_id, entries_.size()).second)
        find(ledger_name, line, fmt::format("{} has a line already", entry.job_id));
    if (tells_of_accepted() && acceptance_of(entry.job_id) == nullptr)
        find(ledger_name, line, fmt::format("the ledger does not tell that {} was accepted", entry.job_id),
             "it tells of every job that was accepted since its first job.accepted: somebody else wrote this line");
    if (rules_.keys == nullptr) return;
    if (entry.sig.empty()) {
        unsigned_.push_back(line);
    } else if (!believed().signed_by_one(entry.head, entry.sig)) {
        find(ledger_name, line, fmt::format("the signature of {}'s head is not the key's", entry.journal),
             "the line or its signature was changed, or another key made it: a file may hold several public keys");
    }
}

void ledger_check::check_acceptance() {
    const std::uint64_t line = record_->seq + 1;
    auto job = read_ledger_acceptance(*record_);
    if (!job) return find(ledger_name, line, std::move(job.error().what), std::move(job.error().hint));
    if (of_job(job->job_id) != nullptr)
        find(ledger_name, line, fmt::format("{} is accepted behind its end", job->job_id));
    const auto [at, first] = accepted_.emplace(job->job_id, *job);
    if (!first)
        find(ledger_name, line, fmt::format("{} was accepted in line {} already", job->job_id, at->second.seq + 1),
             "the journal of that time was removed, and the job began anew");
}

void ledger_check::check_order() {
    const std::uint64_t line = record_->seq + 1;
    auto order = read_ledger_order(*record_);
    if (!order) return find(ledger_name, line, std::move(order.error().what), std::move(order.error().hint));
    if (of_job(order->job_id) != nullptr || acceptance_of(order->job_id) == nullptr)
        find(ledger_name, line, fmt::format("{} of {}, which is not open there", record_->type_name, order->job_id));
    orders_[order->job_id].push_back(std::move(*order));
}

void ledger_check::refuse(std::string_view file, std::uint64_t line, std::string what, std::string hint) {
    find(file, line, std::move(what), std::move(hint));
    if (file == ledger_head_name) head_refused_ = true;
}

void ledger_check::check_begin(const chain_head& before) {
    const std::uint64_t line = before.seq + 1;
    const auto begin = read_signing_begin(*record_);
    if (!begin) return find(ledger_name, line, begin.error().what);
    ++signed_lines_;
    if (rules_.keys != nullptr) {
        auto key = rules_.keys->only(begin->key);
        if (!key)
            return find(ledger_name, line, fmt::format("names the signing key {}, which is not given", begin->key),
                        "give the public half of every key that ever signed this ledger in one file; "
                        "openssl pkey -pubin -in PUB -outform DER | sha256sum tells which is which");
        if (!key->signed_by_one(signed_from_text(before, begin->from, begin->key), begin->sig))
            return find(ledger_name, line, "its signature is not that of the key it names",
                        "the line or its signature was changed");
        current_ = std::move(key);
    }
    if (!begins_ || begin->from + 1 < *begins_) begins_ = begin->from + 1;
}

// Which lines must be signed is known at the end: the line that says it comes behind those that need not be.
void ledger_check::find_unsigned() {
    if (rules_.keys == nullptr) return;
    std::uint64_t from = rules_.signed_from.value_or(begins_.value_or(1));
    if (begins_) from = std::min(from, *begins_);
    for (const std::uint64_t line : unsigned_)
        if (line >= from)
            find(ledger_name, line, "is not signed, and a public key is given",
                 "the signature was removed; or the key was set only later, by a version that did not record it: then "
                 "--signed-from LINE names the first line that must be signed");
    std::ranges::stable_sort(findings_, {}, &problem::line);
}

void ledger_check::end(std::optional<std::string_view> head) {
    find_unsigned();
    for (const std::string& anchor : rules_.anchors)
        find(ledger_name, 0, fmt::format("no line has the SHA-256 {}", anchor),
             "a line that was there when that hash was noted was changed or removed since");
    if (head) return check_head(*head);
    if (chain_.records() > 0 && !head_refused_)
        find(ledger_head_name, 0, "is missing", "it was removed, or the folder is no complete copy");
}

void ledger_check::check_head(std::string_view text) {
    const auto head = read_ledger_head(text);
    if (!head) {
        problem why = head.error();
        why.file = ledger_head_name;
        findings_.push_back(std::move(why));
        return;
    }
    head_signed_ = !head->sig.empty();
    digest hash{};
    if (!parse_hex(head->sha256, hash) || ledger_head_text({head->seq + 1, hash}, head->sig) != text)
        find(ledger_head_name, 0, "is not written as culld writes it: something was added or changed");
    if (rules_.keys != nullptr) {
        if (!head_signed_)
            find(ledger_head_name, 0, "is not signed, and a public key is given",
                 "the signature was removed; or no job has ended since the key was set: restart culld, which signs it");
        else if (!believed().signed_by_one(head->sha256, head->sig))
            find(ledger_head_name, 0, "the signature is not the key's",
                 "the hash or the signature was changed, or another key made it");
    }
    // Where the ledger is broken, its end says nothing more.
    if (chain_.broken()) return;
    if (head->seq + 1 != chain_.records())
        find(ledger_head_name, 0,
             fmt::format("names line {} as the ledger's last, but the ledger has {} lines", head->seq + 1,
                         chain_.records()),
             head->seq + 1 > chain_.records()
                 ? "lines were cut from the ledger"
                 : "lines were added to the ledger, or this is an old copy, or culld was stopped just then: start it");
    else if (hash != chain_.head())
        find(ledger_head_name, 0, "is not the SHA-256 of the ledger's last line", "that line was changed");
}

const ledger_entry* ledger_check::of_job(const std::string& job_id) const {
    const auto found = finished_.find(job_id);
    return found == finished_.end() ? nullptr : &entries_[found->second];
}

const ledger_acceptance* ledger_check::acceptance_of(const std::string& job_id) const {
    const auto found = accepted_.find(job_id);
    return found == accepted_.end() ? nullptr : &found->second;
}

const std::vector<ledger_order>& ledger_check::orders_of(const std::string& job_id) const {
    static const std::vector<ledger_order> none;
    const auto found = orders_.find(job_id);
    return found == orders_.end() ? none : found->second;
}

}  // namespace culld
