#include "emulator/api/batch_body.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>
#include <cstdint>
#include <cstring>

namespace culld::emulator {

namespace {

// True if every byte is printable ASCII or a space, and none is a backslash: then what stands between two
// quotes is a valid JSON string and its own meaning. Other white space is rare enough to go the long way.
bool plain(std::string_view text) {
    constexpr std::uint64_t high = 0x8080808080808080U;
    std::uint64_t bad = 0;
    const char* p = text.data();
    std::size_t left = text.size();
    for (; left >= 8; p += 8, left -= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, p, 8);
        // A byte below 0x20 borrows into its own high bit; borrowing by a neighbour needs such a byte as
        // well.
        bad |= (word | (word - 0x2020202020202020U)) & high;
    }
    for (; left > 0; ++p, --left) {
        const auto byte = static_cast<unsigned char>(*p);
        if (byte < 0x20 || byte >= 0x80) return false;
    }
    return bad == 0 && std::memchr(text.data(), '\\', text.size()) == nullptr;
}

class cursor {
  public:
    explicit cursor(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

    void spaces() {
        while (at_ != end_ && *at_ == ' ') ++at_;
    }
    bool take(char c) {
        spaces();
        if (at_ == end_ || *at_ != c) return false;
        ++at_;
        return true;
    }
    bool take_string(std::string_view& text) {
        if (!take('"')) return false;
        const void* quote = std::memchr(at_, '"', static_cast<std::size_t>(end_ - at_));
        if (quote == nullptr) return false;
        const char* stop = static_cast<const char*>(quote);
        text = {at_, static_cast<std::size_t>(stop - at_)};
        at_ = stop + 1;
        return true;
    }
    bool at_end() {
        spaces();
        return at_ == end_;
    }

  private:
    const char* at_;
    const char* end_;
};

// The ordinary form. False: not that form, which says nothing about whether it is valid.
bool read_in_place(std::string_view body, batch_body& out) {
    if (!plain(body)) return false;
    cursor c(body);
    std::string_view name;
    if (!c.take('{') || !c.take_string(name) || name != "batch_ids" || !c.take(':') || !c.take('[')) return false;
    if (!c.take(']')) {
        std::string_view id;
        do {
            if (!c.take_string(id)) return false;
            out.ids.push_back(id);
        } while (c.take(','));
        if (!c.take(']')) return false;
        const char* first = out.ids.front().data() - 1;
        const char* last = out.ids.back().data() + out.ids.back().size() + 1;
        out.verbatim = {first, static_cast<std::size_t>(last - first)};
    }
    return c.take('}') && c.at_end();
}

bool read_any(std::string_view body, batch_body& out) {
    boost::system::error_code error;
    const boost::json::value document = boost::json::parse(boost::json::string_view(body.data(), body.size()), error);
    if (error || !document.is_object()) return false;
    const boost::json::value* list = document.get_object().if_contains("batch_ids");
    if (list == nullptr) return true;
    const auto add = [&out](const boost::json::value& id) {
        if (!id.is_string()) return false;
        out.unescaped.emplace_back(id.get_string().data(), id.get_string().size());
        return true;
    };
    if (list->is_array()) {
        for (const boost::json::value& id : list->get_array())
            if (!add(id)) return false;
    } else if (!add(*list)) {
        return false;
    }
    out.ids.assign(out.unescaped.begin(), out.unescaped.end());
    return true;
}

void clear(batch_body& out) {
    out.ids.clear();
    out.unescaped.clear();
    out.verbatim = {};
}

}  // namespace

bool read_batch(std::string_view body, batch_body& out) {
    clear(out);
    if (read_in_place(body, out)) return true;
    clear(out);
    return read_any(body, out);
}

}  // namespace culld::emulator
