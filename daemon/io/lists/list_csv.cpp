// CSV, RFC 4180, with a header: *.csv.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "culld/core/base/ascii.hpp"
#include "culld/io/lists/list_lines.hpp"
#include "culld/io/lists/list_reader.hpp"

namespace culld {

namespace {

struct column_choice {
    char separator = ',';
    std::size_t id = 0;     // index of the column with the ids
    std::size_t count = 0;  // columns
};

std::string lowered(std::string_view text) {
    std::string out(trimmed(text));
    std::ranges::transform(out, out.begin(), ascii_lower);
    return out;
}

// A header's fields, unquoted.
std::vector<std::string> fields_of(std::string_view header, char separator) {
    std::vector<std::string> out(1);
    bool quoted = false;
    bool fresh = true;  // at the start of a field
    for (std::size_t i = 0; i < header.size(); ++i) {
        const char c = header[i];
        if (quoted && c == '"' && header.substr(i + 1).starts_with('"')) {
            out.back().push_back('"');
            ++i;
        } else if (c == '"' && (quoted || fresh)) {
            quoted = !quoted;
        } else if (c == separator && !quoted) {
            out.emplace_back();
            fresh = true;
            continue;
        } else {
            out.back().push_back(c);
        }
        fresh = false;
    }
    return out;
}

// Which separator and column `header` means.
result<column_choice> choose(std::string_view header) {
    for (const std::string_view wanted : {"id", "incident_id"})
        for (const char separator : {',', ';', '\t'}) {
            const auto names = fields_of(header, separator);
            const auto is_wanted = [&](const std::string& name) { return lowered(name) == wanted; };
            const auto found = std::ranges::find_if(names, is_wanted);
            if (found == names.end()) continue;
            if (std::find_if(found + 1, names.end(), is_wanted) != names.end())
                return fail(
                    problem{.what = fmt::format("the header has two columns \"{}\"", wanted), .line = 1, .column = 1});
            return column_choice{separator, static_cast<std::size_t>(found - names.begin()), names.size()};
        }
    // The one that was found tells which file this is.
    const std::string_view start = trimmed(header.substr(0, 200));
    return fail(problem{.what = fmt::format("the header has no column \"id\" or \"incident_id\", it is: {}{}",
                                            made_visible(start), header.size() > 200 ? "..." : ""),
                        .hint = "a csv begins with the names of its columns; a list without them is a .txt",
                        .line = 1,
                        .column = 1});
}

std::size_t find_or_end(std::string_view text, char c) {
    return std::min(text.find(c), text.size());
}

// Keeps only the header and the field with the id. One byte after the other, but for what needs no such care: whole
// records without a quote in them, and stretches that cannot end the field they are in.
class csv_machine {
  public:
    explicit csv_machine(id_sink& sink) : sink_(sink) {}

    result<void> feed(std::string_view block) {
        std::size_t i = 0;
        for (; i < block.size() && !columns_; ++i) {
            if (auto done = header_byte(block[i]); !done) return done;
        }
        std::size_t quote = i;  // none before it
        while (i < block.size()) {
            if (state_ == state::start && field_ == 0) {
                if (quote <= i) quote = i + find_or_end(block.substr(i), '"');
                if (auto done = plain_records(block, i, quote); !done) return done;
                if (i == block.size()) break;
            }
            if (const std::size_t n = stretch(block.substr(i)); n > 0)
                i += n;
            else if (auto done = record_byte(block[i++], field_ == columns_->id); !done)
                return done;
        }
        return {};
    }

    result<void> end() {
        if (!columns_) {
            if (header_.empty() && line_ == 1) return {};  // an empty file: the list is empty, and refused as such
            if (header_quoted_) return open_quote(place{1, 1});
            return end_header();
        }
        if (state_ == state::quoted) return open_quote(field_at_);
        return record_started_ ? end_record() : result<void>{};
    }

  private:
    enum class state { start, plain, quoted, quote_seen, quote_over };

    tl::unexpected<problem> wrong(std::string what, place at, std::string hint = {}) const {
        return fail(problem{.what = std::move(what), .hint = std::move(hint), .line = at.line, .column = at.column});
    }
    tl::unexpected<problem> open_quote(place at) const {
        return wrong("a quoted field that never ends", at, "a quote inside a quoted field is written twice");
    }

    result<void> header_byte(char c) {
        ++column_;
        if (c == '"') header_quoted_ = !header_quoted_;
        if (c == '\n' && !header_quoted_) {
            if (trimmed(header_).empty())
                return wrong("an empty header", {line_, 1}, "the first line names the columns");
            return end_header();
        }
        if (c == '\n') next_line();
        if (header_.size() >= list_header_bytes_max)
            return wrong(fmt::format("a header of more than {} bytes", list_header_bytes_max), {1, column_});
        header_.push_back(c);
        return {};
    }

    result<void> end_header() {
        const auto chosen = choose(header_);
        if (!chosen) return fail(chosen.error());
        columns_ = *chosen;
        header_.clear();
        next_line();
        begin_record();
        return {};
    }

    // The whole records of `block` from `i` on that end before `quote`; `i` is then behind them. Leaves what is not
    // just as it should be to record_byte(), which knows what to say of it.
    result<void> plain_records(std::string_view block, std::size_t& i, std::size_t quote) {
        for (;;) {
            const std::size_t end = block.find('\n', i);
            if (end >= quote) return {};
            const std::string_view record = block.substr(i, end - i);
            std::string_view id;
            std::size_t fields = 0;
            for (std::size_t from = 0; from <= record.size(); ++fields) {
                const std::string_view field = record.substr(from, record.find(columns_->separator, from) - from);
                if (fields == columns_->id) id = field;
                from += field.size() + 1;
            }
            const std::size_t raw_bytes = id.size();
            id = trimmed(id);
            if (fields != columns_->count || id.empty() || raw_bytes > list_line_bytes_max) return {};
            if (!sink_.take(id))
                return refused_at(sink_, {line_, static_cast<std::uint64_t>(id.data() - record.data()) + 1});
            i = end + 1;
            next_line();
            record_line_ = line_;
        }
    }

    // How much of the front of `rest` was taken, since none of it can end the field; nothing where that is in doubt.
    std::size_t stretch(std::string_view rest) {
        const bool quoted = state_ == state::quoted;
        if (!quoted && (state_ != state::plain || !record_started_)) return 0;
        std::size_t n = 0;
        if (quoted)
            n = find_or_end(rest, '"');
        else
            while (n < rest.size() && rest[n] != columns_->separator && rest[n] != '\n') ++n;
        const std::string_view text = rest.substr(0, n);
        const std::size_t last_line = quoted ? text.rfind('\n') : std::string_view::npos;
        if (field_ == columns_->id) {
            if (id_.empty() || last_line != std::string_view::npos || id_.size() + n > list_line_bytes_max) return 0;
            id_ += text;
        }
        if (last_line == std::string_view::npos) {
            column_ += n;
        } else {
            line_ += static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
            column_ = n - last_line - 1;
        }
        return n;
    }

    result<void> record_byte(char c, bool kept) {
        ++column_;
        const bool separates = c == columns_->separator;
        switch (state_) {
            case state::start:
                field_at_ = {line_, column_};
                if (c == '"') {
                    state_ = state::quoted;
                    record_started_ = true;
                    return {};
                }
                state_ = state::plain;
                [[fallthrough]];
            case state::plain:
                if (separates) return end_field();
                if (c == '\n') return end_line();
                if (!is_blank(c)) record_started_ = true;
                return kept ? keep(c) : result<void>{};
            case state::quoted:
                if (c == '"') {
                    state_ = state::quote_seen;
                    return {};
                }
                if (c == '\n') next_line();
                return kept ? keep(c) : result<void>{};
            case state::quote_seen:
                if (c == '"') {
                    state_ = state::quoted;
                    return kept ? keep(c) : result<void>{};
                }
                [[fallthrough]];
            case state::quote_over:
                if (separates) return end_field();
                if (c == '\n') return end_line();
                if (!is_blank(c)) break;
                state_ = state::quote_over;
                return {};
        }
        return wrong("text behind a quoted field", {line_, column_}, "a quote inside a quoted field is written twice");
    }

    result<void> keep(char c) {
        if (id_.size() >= list_line_bytes_max)
            return wrong(fmt::format("an id field of more than {} bytes", list_line_bytes_max), field_at_);
        if (id_.empty()) id_at_ = {line_, column_};
        if (id_.empty() && is_blank(c)) return {};
        id_.push_back(c);
        return {};
    }

    result<void> end_field() {
        record_started_ = true;
        ++field_;
        state_ = state::start;
        return {};
    }

    // A line with nothing but blanks is no record, unless blanks are what separates (a tab-separated list).
    result<void> end_line() {
        auto done = record_started_ ? end_record() : result<void>{};
        next_line();
        begin_record();
        return done;
    }

    result<void> end_record() {
        const std::size_t fields = field_ + 1;
        if (fields != columns_->count)
            return wrong(
                fmt::format("{} field{} where the header has {}", fields, fields == 1 ? "" : "s", columns_->count),
                {record_line_, 1}, "quote fields that hold the separator or a newline");
        const std::string_view id = trimmed(id_);
        if (sink_.take(id)) return {};
        return refused_at(sink_, id.empty() ? place{record_line_, 1} : id_at_);
    }

    void next_line() {
        ++line_;
        column_ = 0;
    }
    void begin_record() {
        field_ = 0;
        record_started_ = false;
        state_ = state::start;
        id_.clear();
        record_line_ = line_;
    }

    id_sink& sink_;
    std::optional<column_choice> columns_;  // once the header was read
    std::string header_;
    bool header_quoted_ = false;
    std::string id_;
    place id_at_;
    place field_at_;
    state state_ = state::start;
    std::size_t field_ = 0;
    bool record_started_ = false;  // something but blanks stands on its line
    std::uint64_t record_line_ = 1;
    std::uint64_t line_ = 1;
    std::uint64_t column_ = 0;
};

}  // namespace

result<void> read_csv(byte_source& from, id_sink& sink) {
    text_source blocks(from, sink);
    csv_machine machine(sink);
    for (;;) {
        const auto block = blocks.next();
        if (!block) return fail(block.error());
        if (block->empty()) return machine.end();
        if (auto done = machine.feed(*block); !done) return done;
    }
}

}  // namespace culld
