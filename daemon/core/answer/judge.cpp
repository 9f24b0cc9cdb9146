#include "culld/core/answer/judge.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "culld/core/ids/id_text.hpp"
#include "culld/core/text/lenient_json.hpp"

namespace culld {

namespace {

// What a list says of an id: those in `data`, and those at the top, where some answers have them
// (secmaster-api.md 1.5).
constexpr std::uint8_t in_success = 1, in_error = 2, in_top_success = 4, in_top_error = 8;

enum class fate : std::uint8_t { deleted, refused, unknown };

// Where `data` holds a list, it alone speaks; what the top says may only cast doubt on it.
fate fate_of(std::uint8_t marks, bool data_speaks) {
    const bool in_either_success = (marks & (in_success | in_top_success)) != 0;
    const bool in_either_error = (marks & (in_error | in_top_error)) != 0;
    const bool spoken_of = (marks & (in_success | in_error)) != 0 || !data_speaks;
    if (in_either_success == in_either_error || !spoken_of) return fate::unknown;
    return in_either_success ? fate::deleted : fate::refused;
}

std::uint64_t hash_of(std::string_view compared) {
    return XXH3_64bits(compared.data(), compared.size());
}

}  // namespace

// Follows the answer two levels deep and marks the ids it meets in the lists.
struct judge::reader {
    reader(judge& owner, std::string_view sent_ids, std::uint64_t count_of_sent, std::string_view body)
        : home(owner), sent(sent_ids), count(count_of_sent), json(body) {}

    // ---- the ids that were sent ----

    // Where each sent id starts: needed only where an answer is not simply the request's list.
    void index_sent() {
        if (!home.offsets_.empty()) return;
        home.offsets_.reserve(count + 1);
        std::size_t at = 1;
        for (std::uint64_t i = 0; i < count; ++i) {
            home.offsets_.push_back(static_cast<std::uint32_t>(at));
            const void* quote = std::memchr(sent.data() + at, '"', sent.size() - at);
            at = static_cast<std::size_t>(static_cast<const char*>(quote) - sent.data()) + 3;  // `","`
        }
        home.offsets_.push_back(static_cast<std::uint32_t>(at));
    }

    [[nodiscard]] std::string_view id(std::size_t i) const {
        return sent.substr(home.offsets_[i], home.offsets_[i + 1] - home.offsets_[i] - 3);
    }
    [[nodiscard]] std::string_view quoted_id(std::size_t i) const {
        return sent.substr(home.offsets_[i] - 1, home.offsets_[i + 1] - home.offsets_[i] - 1);
    }

    // An answer in the request's own order is met by the cursor; any other by the table.
    void mark(std::string_view name) {
        index_sent();
        for (std::size_t ahead = cursor; ahead < std::min<std::size_t>(cursor + 8, count); ++ahead)
            if (id(ahead) == name) {
                home.marks_[ahead] |= list;
                cursor = ahead + 1;
                return;
            }
        const std::size_t i = look_up(name);
        if (i == count) {
            ++unrequested_ids;
            return;
        }
        home.marks_[i] |= list;
        cursor = i + 1;
    }

    // The very id, else the one that is the same UUID in other letters.
    std::size_t look_up(std::string_view name) {
        auto& table = home.table_;
        if (table.empty()) {
            std::size_t size = 16;
            while (size < count * 2) size *= 2;
            table.assign(size, 0);
            for (std::size_t i = 0; i < count; ++i) {
                std::size_t slot = hash_of(compared_id(id(i)).text()) & (size - 1);
                while (table[slot] != 0) slot = (slot + 1) & (size - 1);
                table[slot] = static_cast<std::uint32_t>(i + 1);
            }
        }
        const compared_id wanted(name);
        std::size_t alike = count;
        std::size_t slot = hash_of(wanted.text()) & (table.size() - 1);
        for (; table[slot] != 0; slot = (slot + 1) & (table.size() - 1)) {
            const std::size_t i = table[slot] - 1;
            if (id(i) == name) return i;
            if (alike == count && compared_id(id(i)).text() == wanted.text()) alike = i;
        }
        return alike;
    }

    // ---- the answer ----

    enum class field : std::uint8_t { other, data, success, error, code, message };

    static field field_of(std::string_view key) {
        constexpr std::pair<std::string_view, field> fields[] = {{"success_ids", field::success},
                                                                 {"error_ids", field::error},
                                                                 {"data", field::data},
                                                                 {"code", field::code},
                                                                 {"message", field::message}};
        std::string plain;
        if (key.find('\\') != std::string_view::npos) key = plain = loosely_unescaped(key);
        for (const auto& [name, what] : fields)
            if (key == name) return what;
        return field::other;
    }

    void read_top() {
        bool data_seen = false;
        json.enter();
        for (std::string_view key; json.next_member(key);) {
            switch (field_of(key)) {
                case field::data:
                    repeated = repeated || data_seen;
                    if (!data_seen && json.what() == lenient_json::kind::object)
                        read_data();
                    else
                        json.skip();
                    data_seen = true;
                    break;
                case field::success: read_list(in_top_success); break;
                case field::error: read_list(in_top_error); break;
                case field::code: read_text(code); break;
                case field::message: read_text(message); break;
                case field::other: json.skip();
            }
        }
    }

    void read_data() {
        json.enter();
        for (std::string_view key; json.next_member(key);) {
            const field what = field_of(key);
            if (what == field::success || what == field::error)
                data_speaks = read_list(what == field::success ? in_success : in_error) || data_speaks;
            else
                json.skip();
        }
    }

    // False where there is no list after all.
    bool read_list(std::uint8_t as) {
        repeated = repeated || (lists_seen & as) != 0;
        lists_seen |= as;
        list = as;
        cursor = 0;
        switch (json.what()) {
            case lenient_json::kind::array: read_elements(); return true;
            // A bare string where a list belongs: the service reads and writes such things leniently.
            case lenient_json::kind::string: mark_raw(json.string()); return true;
            default: json.skip(); return false;
        }
    }

    void read_elements() {
        json.enter();
        // The ordinary answer repeats the request's list byte for byte: that settles all ids at once.
        if (json.take(sent)) {
            for (std::uint8_t& marks : home.marks_) marks |= list;
            cursor = count;
        }
        while (json.next_element()) {
            index_sent();
            if (cursor < count && json.take(quoted_id(cursor)))
                home.marks_[cursor++] |= list;
            else if (json.what() == lenient_json::kind::string)
                mark_raw(json.string());
            else
                json.skip();
        }
    }

    void mark_raw(std::string_view raw) {
        if (raw.find('\\') == std::string_view::npos)
            mark(raw);
        else
            mark(loosely_unescaped(raw));
    }

    void read_text(std::string& to) {
        constexpr std::size_t most = 1024;
        if (json.what() == lenient_json::kind::string)
            to = loosely_unescaped(json.string().substr(0, most));
        else
            json.skip();
    }

    judge& home;
    std::string_view sent;
    std::uint64_t count;
    lenient_json json;
    std::size_t cursor = 0;
    std::uint8_t list = 0;
    std::uint8_t lists_seen = 0;
    bool data_speaks = false;
    bool repeated = false;  // `data`, or one of its lists, or one at the top
    std::uint64_t unrequested_ids = 0;
    std::string code;
    std::string message;
};

judge::judge() = default;
judge::~judge() = default;
judge::judge(judge&&) noexcept = default;
judge& judge::operator=(judge&&) noexcept = default;

result<judgement> judge::operator()(std::string_view sent, std::uint64_t count, std::string_view body) {
    marks_.assign(count, 0);
    offsets_.clear();
    table_.clear();

    reader r(*this, sent, count, body);
    switch (r.json.what()) {
        case lenient_json::kind::object: break;
        case lenient_json::kind::nothing: return fail("the answer is no JSON: it is empty, or begins with no value");
        default: return fail("the answer is no JSON object");
    }
    r.read_top();
    if (!r.json.ended()) return fail(std::string("the answer is no JSON: ") + r.json.broken());

    judgement out;
    out.sent = count;
    out.unrequested_ids = r.unrequested_ids;
    out.repeated = r.repeated;
    out.code = std::move(r.code);
    out.message = std::move(r.message);
    // Nobody knows which of two members of one name is meant, so nothing is known of any id.
    if (r.repeated) std::ranges::fill(marks_, std::uint8_t{0});
    const auto odd = std::find_if(marks_.begin(), marks_.end(), [](std::uint8_t m) { return m != in_success; });
    for (auto i = static_cast<std::uint32_t>(odd - marks_.begin()); i < count; ++i) {
        const fate f = fate_of(marks_[i], r.data_speaks);
        if (f == fate::refused) out.refused.push_back(i);
        if (f == fate::unknown) out.unknown.push_back(i);
    }
    return out;
}

void sort_out(std::string_view sent, const judgement& j, sorted_ids& out) {
    out.deleted.clear();
    out.refused.clear();
    out.unknown.clear();
    auto refused = j.refused.begin();
    auto unknown = j.unknown.begin();
    for (std::uint32_t i = 0; i < j.sent; ++i) {
        const std::string_view id = sent.substr(0, sent.find('"', 1) + 1);
        std::string* to = &out.deleted;
        if (refused != j.refused.end() && *refused == i) {
            to = &out.refused;
            ++refused;
        } else if (unknown != j.unknown.end() && *unknown == i) {
            to = &out.unknown;
            ++unknown;
        }
        if (!to->empty()) to->push_back(',');
        to->append(id);
        sent.remove_prefix(std::min(sent.size(), id.size() + 1));
    }
}

}  // namespace culld
