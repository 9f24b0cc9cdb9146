#include "ctl/journal/journal_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <utility>

#include "culld/core/journal/journal_read.hpp"
#include "culld/core/text/json_reader.hpp"
#include "culld/io/os/hashed_lines.hpp"
#include "culld/io/os/line_reader.hpp"

namespace culld::ctl {

namespace {

constexpr std::string_view journal_suffix = ".jsonl";

// A regular file, or none: a link, a folder or a device in its place is `no_file`.
struct opened {
    unique_fd file;
    bool no_file = false;
};

result<opened> open_regular(const folder& dir, const std::string& name) {
    const auto facts = dir.stat(name);
    if (!facts) return fail(facts.error());
    opened out;
    out.no_file = !S_ISREG(facts->st_mode);
    if (out.no_file) return out;
    auto file = dir.open_file(name, O_RDONLY);
    if (!file) return fail(std::move(file.error()));
    struct stat again {};
    if (::fstat(file->get(), &again) != 0) return fail(errno_problem("look at", name, errno));
    out.no_file = !S_ISREG(again.st_mode);
    out.file = std::move(*file);
    return out;
}

problem not_a_file(const std::string& name) {
    return {.what = "is no regular file", .hint = "culld writes no others: it was replaced", .file = name};
}

// What the readers of lines complain of: a line without end has its number, what the disk says has none.
bool is_of_content(const problem& p) {
    return p.line != 0;
}

}  // namespace

result<ledger_reading> read_ledger(const folder& dir, ledger_rules rules) {
    ledger_reading out{.checked = ledger_check(std::move(rules))};
    out.there = dir.exists(ledger_name);
    if (out.there) {
        auto file = open_regular(dir, ledger_name);
        if (!file) return fail(std::move(file.error()));
        if (file->no_file) {
            const problem why = not_a_file(ledger_name);
            out.checked.refuse(ledger_name, 0, why.what, why.hint);
            return out;
        }
        line_reader lines(std::move(file->file), ledger_name);
        text_line line;
        for (;;) {
            auto more = lines.next(line);
            if (!more && is_of_content(more.error())) {
                out.checked.refuse(ledger_name, more.error().line, more.error().what);
                break;
            }
            if (!more) return fail(std::move(more.error()));
            if (!*more) break;
            out.bytes += line.text.size() + (line.ended ? 1 : 0);
            if (!out.checked.feed(line.text, line.ended)) break;
        }
    }
    return out;
}

result<head_file> read_ledger_head_file(const folder& dir, const std::string& name) {
    head_file out;
    if (!dir.exists(name)) return out;
    auto file = open_regular(dir, name);
    if (!file) return fail(std::move(file.error()));
    out.no_file = file->no_file;
    if (out.no_file) return out;
    std::string text(ledger_head_bytes_max, '\0');
    const auto got = read_some_at(file->file.get(), text.data(), text.size(), 0, name);
    if (!got) return fail(got.error());
    text.resize(*got);
    out.text = std::move(text);
    return out;
}

namespace {

// The names in a folder that end so, without that end.
result<std::vector<std::string>> stems_in(const folder& dir, std::string_view suffix) {
    struct closer {
        void operator()(DIR* d) const noexcept { static_cast<void>(::closedir(d)); }
    };
    unique_fd again(::openat(dir.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const std::unique_ptr<DIR, closer> names(again ? ::fdopendir(again.get()) : nullptr);
    if (!names) return fail(errno_problem("list folder", dir.path(), errno));
    static_cast<void>(again.release());  // closedir closes it
    std::vector<std::string> out;
    errno = 0;
    while (const dirent* entry = ::readdir(names.get())) {
        const std::string_view name = entry->d_name;
        if (name.ends_with(suffix) && name.size() > suffix.size() && name != ledger_name && name[0] != '.')
            out.emplace_back(name.substr(0, name.size() - suffix.size()));
        errno = 0;
    }
    if (errno != 0) return fail(errno_problem("list folder", dir.path(), errno));
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace

result<std::vector<std::string>> journals_in(const folder& dir) {
    return stems_in(dir, journal_suffix);
}

std::vector<std::string> stores_in(const folder& dir) {
    const auto plans = dir.sub(".plan");
    if (!plans) return {};
    return stems_in(*plans, ".ids").value_or(std::vector<std::string>());
}

std::vector<std::pair<std::string, std::string>> evidence_in(const folder& dir) {
    std::vector<std::pair<std::string, std::string>> out;
    const auto plans = dir.sub(".plan");
    if (!plans) return out;
    for (std::string& id : stems_in(*plans, ".evidence").value_or(std::vector<std::string>())) {
        std::string text = plans->read_start(id + ".evidence", 8192).value_or(std::nullopt).value_or("");
        if (text.ends_with('\n')) text.pop_back();
        out.emplace_back(std::move(id), text.substr(text.rfind('\n') + 1));
    }
    return out;
}

result<journal_report> read_journal(const folder& dir, const std::string& job_id, expected_end end,
                                    const record_visitor& visit) {
    const std::string name = journal_name(job_id);
    auto file = open_regular(dir, name);
    if (!file) return fail(std::move(file.error()));
    if (file->no_file) {
        journal_report out;
        out.findings.push_back(not_a_file(name));
        return out;
    }
    journal_check check(job_id, end);
    hashed_lines lines(std::move(file->file), name);
    std::optional<problem> endless;
    for (;;) {
        auto more = lines.next();
        if (!more && is_of_content(more.error())) {
            endless = std::move(more.error());
            break;
        }
        if (!more) return fail(std::move(more.error()));
        if (*more == nullptr) break;
        const text_line& line = (*more)->read;
        const record_view* record = check.feed(line.text, line.ended, (*more)->hash);
        if (record == nullptr) break;
        if (visit)
            if (auto seen = visit(*record, line.number); !seen) return fail(std::move(seen.error()));
    }
    journal_report out = check.finish();
    if (endless) out.findings.push_back(std::move(*endless));
    return out;
}

result<std::optional<first_record>> read_first_record(const folder& dir, const std::string& job_id) {
    const std::string name = journal_name(job_id);
    auto journal = open_regular(dir, name);
    if (!journal) return fail(std::move(journal.error()));
    if (journal->no_file) return fail(not_a_file(name));
    line_reader lines(std::move(journal->file), name);
    text_line line;
    auto more = lines.next(line);
    if (!more) return fail(std::move(more.error()));
    if (!*more || !line.ended) return std::optional<first_record>();
    auto record = std::make_unique<record_view>();
    if (auto read = read_record(line.text, *record); !read) return fail(std::move(read.error()));
    auto file = record->text("file");
    first_record out{std::string(record->ts), file ? std::move(*file) : std::string(), std::nullopt};
    if (const json_value* owner = record->find("owner"); owner != nullptr) {
        json_reader members(owner->raw);
        json_member member;
        while (members.next(member)) {
            std::uint32_t uid = 0;
            const std::string_view text = member.value.raw;
            if (member.key == "uid" && std::from_chars(text.data(), text.data() + text.size(), uid).ec == std::errc())
                out.uid = uid;
        }
    }
    return std::optional(std::move(out));
}

}  // namespace culld::ctl
