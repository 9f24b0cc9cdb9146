// Writing JSON by appending to a buffer: the one way in which culld makes JSON text (journal, status, reasons).
//
// Strings are escaped as RFC 8259 asks; bytes that are no valid UTF-8 become U+FFFD, so that a hostile file name
// or server message can never make a line of ours unreadable.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace culld {

// Appends a JSON string, quotes included.
void append_json_string(std::string& out, std::string_view text);
// Appends a decimal number.
void append_number(std::string& out, std::uint64_t value);
void append_number(std::string& out, std::int64_t value);
// The shortest text that reads back as the same double; 0 for what is not finite.
void append_number(std::string& out, double value);

// True if `text` is well-formed UTF-8 (RFC 3629).
[[nodiscard]] bool is_utf8(std::string_view text);

// An object being written: {"a":1,"b":"x"}. Keys are string literals of ours and are not escaped.
// The object is closed by close(); members are appended in the order of the calls.
class json_object {
  public:
    explicit json_object(std::string& out) : out_(out) { out_.push_back('{'); }

    json_object& member(std::string_view key, std::string_view text);
    json_object& member(std::string_view key, const char* text) { return member(key, std::string_view(text)); }
    json_object& member(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }
    json_object& member(std::string_view key, double value);
    template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>) json_object& member(std::string_view key, T value) {
        append_number(begin(key), static_cast<std::uint64_t>(value));
        return *this;
    }
    template <std::signed_integral T>
    json_object& member(std::string_view key, T value) {
        append_number(begin(key), static_cast<std::int64_t>(value));
        return *this;
    }
    // A value that is JSON text already.
    json_object& raw(std::string_view key, std::string_view json);
    // Writes `"key":` and hands back the buffer for the value.
    std::string& begin(std::string_view key);
    void close() { out_.push_back('}'); }

  private:
    std::string& out_;
    bool first_ = true;
};

}  // namespace culld
