// Reading JSON of others: an answer from the network is read for the little that matters in it, and what stands beside
// that is passed over whatever it holds: wrong UTF-8, lone surrogates, control characters in strings, NaN, any depth.
// Only the shape must be clear: strings that end, brackets that close in their order, colons and commas between the
// members that are looked at. A BOM in front is skipped.
//
// Each byte is read once, nothing is copied. Pure. The text must outlive what is handed out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace culld {

class lenient_json {
  public:
    explicit lenient_json(std::string_view text);

    enum class kind : std::uint8_t { object, array, string, other, nothing };
    // What begins here, blanks passed over. Other: a number, true, NaN, …
    [[nodiscard]] kind what();

    // Into the object or array that begins here. Then one of the two below until it is false, and between each two
    // calls one value is read or skipped.
    void enter();
    // False behind the object's end, or where it is broken. `key` as it stands between its quotes.
    [[nodiscard]] bool next_member(std::string_view& key);
    [[nodiscard]] bool next_element();

    // The string that begins here, as it stands between its quotes.
    [[nodiscard]] std::string_view string();
    // Any value; handed back as it stands.
    std::string_view skip();
    // Goes behind `exact`, one value or several with their commas, if the text goes on with that.
    bool take(std::string_view exact);

    // Only blanks are left, and nothing was broken.
    [[nodiscard]] bool ended();
    // Why it cannot be read; null while it can.
    [[nodiscard]] const char* broken() const { return broken_; }

  private:
    [[nodiscard]] bool stands(char c) const { return at_ < text_.size() && text_[at_] == c; }
    bool breaks(const char* why);
    void blanks();
    bool separated(char end, const char* missing);

    std::string_view text_;
    std::size_t at_ = 0;
    bool fresh_ = false;  // nothing of this object or array was read yet
    const char* broken_ = nullptr;
};

// What stands between a string's quotes, as text. Escapes that mean nothing, and halves of surrogate pairs, become
// U+FFFD, so that nothing but its right spelling ever equals a word of ours.
[[nodiscard]] std::string loosely_unescaped(std::string_view raw);

// `text` is one object, and nothing else.
[[nodiscard]] bool is_loose_object(std::string_view text);

}  // namespace culld
