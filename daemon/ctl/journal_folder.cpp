#include "journal_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "culld/io/line_reader.hpp"

namespace culld::ctl {

namespace {

constexpr std::string_view journal_suffix = ".jsonl";

result<line_reader> open_lines(const folder& dir, const std::string& name) {
    auto file = dir.open_file(name, O_RDONLY);
    if (!file) return fail(std::move(file.error()));
    struct stat facts {};
    if (::fstat(file->get(), &facts) != 0) return fail(errno_problem("look at", name, errno));
    if (!S_ISREG(facts.st_mode)) return fail(problem{.what = "is no regular file", .file = name});
    return line_reader(std::move(*file), name);
}

}  // namespace

std::string journal_name(const std::string& job_id) {
    return job_id + std::string(journal_suffix);
}

const ledger_entry* ledger_reading::of_job(const std::string& job_id) const {
    const auto found = std::find_if(entries.rbegin(), entries.rend(),
                                    [&](const ledger_entry& e) { return !e.rejected && e.job_id == job_id; });
    return found == entries.rend() ? nullptr : &*found;
}

result<ledger_reading> read_ledger(const folder& dir) {
    ledger_reading out;
    if (!dir.exists(ledger_name)) return out;
    auto lines = open_lines(dir, ledger_name);
    if (!lines) return fail(std::move(lines.error()));
    out.there = true;
    const auto find = [&](problem about, std::uint64_t line) {
        about.file = ledger_name;
        about.line = line;
        out.findings.push_back(std::move(about));
    };
    chain_checker chain;
    auto record = std::make_unique<record_view>();
    text_line line;
    for (;;) {
        auto more = lines->next(line);
        if (!more) return fail(std::move(more.error()));
        if (!*more) break;
        out.bytes += line.text.size() + 1;
        if (auto fed = chain.feed(line.text, line.ended, *record); !fed) {
            find(std::move(fed.error()), line.number);
            break;
        }
        auto entry = read_ledger_entry(*record);
        if (entry)
            out.entries.push_back(std::move(*entry));
        else
            find(std::move(entry.error()), line.number);
    }
    out.records = chain.records();
    out.head = hex(chain.head());
    return out;
}

result<std::vector<std::string>> journals_in(const folder& dir) {
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
        if (name.ends_with(journal_suffix) && name.size() > journal_suffix.size() && name != ledger_name &&
            name[0] != '.')
            out.emplace_back(name.substr(0, name.size() - journal_suffix.size()));
        errno = 0;
    }
    if (errno != 0) return fail(errno_problem("list folder", dir.path(), errno));
    std::sort(out.begin(), out.end());
    return out;
}

result<journal_reading> read_journal(const folder& dir, const std::string& job_id, expected_end end,
                                     const record_visitor& visit) {
    const std::string name = journal_name(job_id);
    auto lines = open_lines(dir, name);
    if (!lines) return fail(std::move(lines.error()));
    journal_reading out;
    chain_checker chain;
    journal_audit audit;
    auto record = std::make_unique<record_view>();
    text_line line;
    for (;;) {
        auto more = lines->next(line);
        if (!more) return fail(std::move(more.error()));
        if (!*more) break;
        out.bytes += line.text.size() + (line.ended ? 1 : 0);
        if (!line.ended && end == expected_end::open) {
            out.torn_bytes = line.text.size();
            break;
        }
        if (auto fed = chain.feed(line.text, line.ended, *record); !fed) {
            out.findings.push_back(std::move(fed.error()));
            break;
        }
        audit.feed(*record, line.number);
        if (visit)
            if (auto seen = visit(*record, line.number); !seen) return fail(std::move(seen.error()));
    }
    if (!chain.broken()) audit.end(end == expected_end::finished);
    out.findings.insert(out.findings.begin(), audit.findings().begin(), audit.findings().end());
    for (problem& p : out.findings) p.file = name;
    out.findings_left_out = audit.more();
    out.summary = audit.summary();
    out.settled = audit.settled();
    out.records = chain.records();
    out.head = hex(chain.head());
    if (chain.records() > 0 && out.summary.job_id != job_id && !out.summary.job_id.empty())
        out.findings.push_back(
            {.what = fmt::format("it is the journal of {}", out.summary.job_id), .file = name, .line = 1});
    return out;
}

result<std::optional<first_record>> read_first_record(const folder& dir, const std::string& job_id) {
    auto lines = open_lines(dir, journal_name(job_id));
    if (!lines) return fail(std::move(lines.error()));
    text_line line;
    auto more = lines->next(line);
    if (!more) return fail(std::move(more.error()));
    if (!*more || !line.ended) return std::optional<first_record>();
    auto record = std::make_unique<record_view>();
    if (auto read = read_record(line.text, *record); !read) return fail(std::move(read.error()));
    auto file = record->text("file");
    return std::optional(first_record{std::string(record->ts), file ? std::move(*file) : std::string()});
}

}  // namespace culld::ctl
