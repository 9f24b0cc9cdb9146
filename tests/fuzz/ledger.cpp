// A ledger as it may lie on the disk: it is refused and left as it is, or it can be added to and read again. The
// first line of the input is ledger.head (empty: there is none, "=": the one that fits); every further line is a
// record, its type, a space, its fields, which the chain is made to fit; what follows an empty line is a torn tail.
#include <fcntl.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "culld/io/journal/ledger_file.hpp"
#include "culld/io/os/file.hpp"
#include "culld/io/os/line_reader.hpp"
#include "support/journal_builder.hpp"

namespace {

using namespace culld;  // NOLINT(google-build-using-namespace): a program of its own

void must(bool holds) {
    if (!holds) std::abort();
}

// In memory, where a sync costs nothing; gone at the end of the program.
class memory_folder {
  public:
    memory_folder() {
        must(::mkdtemp(path_.data()) != nullptr);
        here_ = folder::open(path_).value();
    }
    ~memory_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    memory_folder(const memory_folder&) = delete;
    memory_folder& operator=(const memory_folder&) = delete;

    void put(const std::string& name, std::string_view content) const {
        const unique_fd fd = here_.open_file(name, O_WRONLY | O_CREAT | O_TRUNC, 0600).value();
        must(write_all(fd.get(), content, name).has_value());
    }
    void remove(const std::string& name) const { must(here_.remove(name).has_value()); }
    [[nodiscard]] std::string content(const std::string& name) const {
        return read_small_file(path_ + "/" + name, 1U << 20U).value();
    }
    [[nodiscard]] const folder& here() const { return here_; }

  private:
    std::string path_ = "/dev/shm/culld-fuzz-XXXXXX";
    folder here_;
};

std::string_view take_line(std::string_view& text) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const memory_folder where;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::string_view head = take_line(text);
    test::journal_builder lines;
    while (!text.empty()) {
        const std::string_view line = take_line(text);
        if (line.empty()) break;
        const std::size_t space = std::min(line.find(' '), line.size());
        lines.add(line.substr(0, space), line.substr(std::min(space + 1, line.size())));
    }
    std::string torn(text.substr(0, text.find('\n')));
    const std::string all = lines.text + torn;
    where.put("ledger.jsonl", all);
    std::uint64_t whole = lines.seq;
    if (torn.empty() && !all.empty()) {  // with zeros in it, the last line is torn as well
        const std::size_t last = all.find_last_of('\n', all.size() - 2) + 1;
        if (torn_within(std::string_view(all).substr(last))) {
            torn = all.substr(last);
            --whole;
        }
    }
    if (head.empty())
        where.remove("ledger.head");
    else
        where.put("ledger.head", head == "=" ? std::string_view(lines.ledger_head()) : head);

    auto ledger = ledger_file::open(where.here());
    if (!ledger) {
        must(!ledger.error().what.empty() && !ledger.error().hint.empty());
        must(where.content("ledger.jsonl") == all);
        return 0;
    }
    must(ledger->torn_bytes() == torn.size() && ledger->lines() == whole);
    const job_totals totals;
    const std::string name = ledger->holds("new") ? "newer" : "new";
    const bool there = ledger->holds(name);
    const auto added = ledger->append({.job_id = name,
                                       .file = "f",
                                       .status = "completed",
                                       .totals = &totals,
                                       .journal = "new.jsonl",
                                       .head = std::string_view("00"),
                                       .records = 1,
                                       .error = {},
                                       .sig = {}},
                                      wall_time{});
    must(added.has_value() && ledger->holds(name));
    const auto again = ledger_file::open(where.here());
    must(again.has_value() && again->holds(name) && again->torn_bytes() == 0);
    must(again->lines() == whole + (there ? 0 : 1));
    return 0;
}
