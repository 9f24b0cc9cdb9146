// YAML job files, through yaml-cpp's events.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <istream>
#include <optional>
#include <streambuf>
#include <string>
#include <vector>

#include "culld/io/job_reader.hpp"
#include "culld/io/list_lines.hpp"

namespace culld {

namespace {

// The file as yaml-cpp wants to read it. What yaml-cpp would misread ends the stream with a problem: it takes
// the byte 0x04 for the end of the file, and the ids behind it would be lost without a word.
class checked_stream final : public std::streambuf {
  public:
    explicit checked_stream(byte_source& from) : from_(from) {}
    [[nodiscard]] const std::optional<problem>& trouble() const { return trouble_; }

  protected:
    int_type underflow() override {
        if (trouble_) return traits_type::eof();
        auto block = from_.next();
        if (!block) trouble_ = std::move(block.error());
        if (trouble_ || block->empty() || !check(*block)) return traits_type::eof();
        bytes_.assign(*block);
        setg(bytes_.data(), bytes_.data(), bytes_.data() + bytes_.size());
        return traits_type::to_int_type(bytes_.front());
    }

  private:
    bool check(std::string_view block) {
        total_ += block.size();
        if (total_ > job_yaml_bytes_max) {
            trouble_ =
                problem{.what = fmt::format("a YAML job of more than {} MiB", job_yaml_bytes_max >> 20U),
                        .hint = "put the ids into a .ids file and name it in ids_file, or write the job as JSON"};
            return false;
        }
        for (const char c : block) {
            ++column_;
            const auto u = static_cast<unsigned char>(c);
            if (u < 0x20 && c != '\n' && c != '\r' && c != '\t') {
                trouble_ = problem{.what = fmt::format("a control character (0x{:02x})", u),
                                   .hint = "a job file is UTF-8 text",
                                   .line = line_,
                                   .column = column_};
                return false;
            }
            if (c == '\n') {
                ++line_;
                column_ = 0;
            }
        }
        return true;
    }

    byte_source& from_;
    std::string bytes_;
    std::optional<problem> trouble_;
    std::uint64_t total_ = 0;
    std::uint64_t line_ = 1;
    std::uint64_t column_ = 0;
};

// How a problem gets out of yaml-cpp, which knows only exceptions; caught in read_job_yaml.
struct stopped {
    problem why;
};

bool digits_at(std::string_view text, std::size_t& at) {
    const std::size_t from = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at > from;
}

// A number as JSON writes it: no octal, no 1_000, no .5, no .inf.
bool is_number(std::string_view text) {
    std::size_t at = text.starts_with('-') ? 1 : 0;
    const std::size_t whole = at;
    if (!digits_at(text, at) || (text[whole] == '0' && at > whole + 1)) return false;
    if (at < text.size() && text[at] == '.') {
        ++at;
        if (!digits_at(text, at)) return false;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
        if (!digits_at(text, at)) return false;
    }
    return at == text.size();
}

class yaml_events final : public YAML::EventHandler {
  public:
    explicit yaml_events(job_document& into) : into_(into) {}

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (documents_++ > 0) stop("a second document", mark, "a job file holds one job");
    }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        no_anchor(anchor, mark);
        scalar_at(mark, scalar{scalar::kind::null, "null"});
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        stop("an alias (*name)", mark, "write the value out; a text that begins with * needs quotes");
    }
    void OnAnchor(const YAML::Mark& mark, const std::string&) override {
        stop("an anchor (&name)", mark, "a text that begins with & needs quotes");
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        no_anchor(anchor, mark);
        if (tag == "!") return scalar_at(mark, scalar{scalar::kind::text, value});  // it stood in quotes
        no_tag(tag, mark);
        if (value == "true" || value == "false") return scalar_at(mark, scalar{scalar::kind::boolean, value});
        if (value == "null" || value == "~") return scalar_at(mark, scalar{scalar::kind::null, value});
        scalar_at(mark, scalar{is_number(value) ? scalar::kind::number : scalar::kind::text, value});
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        no_anchor(anchor, mark);
        no_tag(tag, mark);
        no_key(mark);
        pass(into_.begin_list(place_of(mark)));
        levels_.push_back(level::list);
    }
    void OnSequenceEnd() override {
        pass(into_.end_list());
        close();
    }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        no_anchor(anchor, mark);
        no_tag(tag, mark);
        no_key(mark);
        pass(into_.begin_map(place_of(mark)));
        levels_.push_back(level::key);
    }
    void OnMapEnd() override {
        pass(into_.end_map());
        close();
    }

    static place place_of(const YAML::Mark& mark) {
        if (mark.is_null()) return {};
        return {static_cast<std::uint64_t>(mark.line) + 1, static_cast<std::uint64_t>(mark.column) + 1};
    }

  private:
    enum class level { list, key, value };  // of a map: what comes next

    [[noreturn]] static void stop(std::string what, const YAML::Mark& mark, std::string hint = {}) {
        const place at = place_of(mark);
        throw stopped{problem{.what = std::move(what), .hint = std::move(hint), .line = at.line, .column = at.column}};
    }
    static void pass(result<void> done) {
        if (!done) throw stopped{std::move(done.error())};
    }
    static void no_anchor(YAML::anchor_t anchor, const YAML::Mark& mark) {
        if (anchor != YAML::NullAnchor) stop("an anchor (&name)", mark, "a text that begins with & needs quotes");
    }
    static void no_tag(const std::string& tag, const YAML::Mark& mark) {
        if (!tag.empty() && tag != "?") stop("a tag (!name)", mark, "a text that begins with ! needs quotes");
    }
    void no_key(const YAML::Mark& mark) const {
        if (!levels_.empty() && levels_.back() == level::key) stop("a key that is no plain text", mark);
    }
    void scalar_at(const YAML::Mark& mark, const scalar& v) {
        const place at = place_of(mark);
        if (!levels_.empty() && levels_.back() == level::key) {
            levels_.back() = level::value;
            return pass(into_.key(v.text, at));
        }
        pass(into_.value(v, at));
        if (!levels_.empty() && levels_.back() == level::value) levels_.back() = level::key;
    }
    void close() {
        levels_.pop_back();
        if (!levels_.empty() && levels_.back() == level::value) levels_.back() = level::key;
    }

    job_document& into_;
    std::vector<level> levels_;
    int documents_ = 0;
};

}  // namespace

result<void> read_job_yaml(byte_source& from, job_document& into) {
    checked_stream bytes(from);
    std::optional<problem> why;
    try {
        std::istream in(&bytes);
        YAML::Parser parser(in);
        yaml_events events(into);
        while (parser.HandleNextDocument(events)) {
        }
    } catch (const stopped& s) {
        why = s.why;
    } catch (const YAML::Exception& e) {
        const place at = yaml_events::place_of(e.mark);
        why = problem{.what = fmt::format("not YAML: {}", e.msg), .hint = {}, .line = at.line, .column = at.column};
    }
    // What stopped the stream comes first: whatever yaml-cpp says then is about a file cut there.
    if (bytes.trouble()) return fail(*bytes.trouble());
    if (why) return fail(std::move(*why));
    for (;;) {  // to the very end, so that the digest is of the whole file
        const auto rest = from.next();
        if (!rest) return fail(rest.error());
        if (rest->empty()) return {};
        if (trimmed(*rest).find_first_not_of(" \t\r\n") != std::string_view::npos)
            return fail("something follows the job");
    }
}

result<job_spec> read_job(byte_source& from, file_kind kind, job_document& into, id_sink& sink) {
    const auto done = kind == file_kind::job_yaml ? read_job_yaml(from, into) : read_job_json(from, into, sink);
    auto out = done ? into.finish() : result<job_spec>(fail(done.error()));
    if (!out && out.error().file.empty()) out.error().file = from.name();
    return out;
}

}  // namespace culld
