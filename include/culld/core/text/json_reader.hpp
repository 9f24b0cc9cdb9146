// Reading one JSON object that lies in memory, strictly and without allocating: what journal and ledger lines
// are read with. The bytes come from a disk that anybody may have written to: nothing about them is trusted.
//
// Accepted is exactly RFC 8259: UTF-8 (RFC 3629), no duplicate check (journal_read does that for the members
// it keeps), nesting at most 16 deep. Values are handed out as slices of the text; strings are skipped eight
// bytes at a time, since most of a journal is ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/span.hpp"

namespace culld {

inline constexpr unsigned json_depth_max = 16;

enum class json_kind { null, boolean, number, string, array, object };

// A value as it stands in the text, known to be well-formed. The text must outlive it.
struct json_value {
    std::string_view raw;  // the whole value: quotes, brackets and all
    json_kind kind = json_kind::null;
    std::uint64_t items = 0;   // elements of an array, members of an object
    bool only_strings = true;  // no element of the array is anything but a string

    // Each an error if the value is of another kind or does not fit; messages name no key, the caller does.
    [[nodiscard]] result<std::string> text() const;   // unescaped
    [[nodiscard]] result<std::uint64_t> u64() const;  // no sign, fraction or exponent, no leading zero
    [[nodiscard]] result<bool> boolean() const;
    // [[first,count],…]: counts above 0, runs ascending and apart, no end above 2^63; anything else is an
    // error.
    [[nodiscard]] result<spans> runs() const;
};

struct json_member {
    std::string_view key;  // between the quotes, escapes as they stand (ours have none)
    json_value value;
};

// Why a text is no JSON object, and at which byte (from 0).
struct json_complaint {
    const char* what = nullptr;  // null: nothing is wrong
    std::size_t offset = 0;
};

// What a text holds that culld never writes, or only where it must.
struct json_style {
    bool escapes = false;  // a backslash, in a key or a value
    bool spaces = false;   // white space between its parts
};

// Walks the members of one object in the order of the text. Everything between the members handed out is
// checked; the text as a whole is known to be good only once next() has returned false with no complaint.
class json_reader {
  public:
    // Spaces around the object are accepted, anything else behind it is not.
    explicit json_reader(std::string_view text) : text_(text) {}

    // False at the end of the object, or where something is wrong.
    [[nodiscard]] bool next(json_member& out);
    [[nodiscard]] const json_complaint& complaint() const { return complaint_; }
    // Of what was walked over so far.
    [[nodiscard]] const json_style& style() const { return style_; }

  private:
    std::string_view text_;
    std::size_t at_ = 0;
    json_style style_;
    bool begun_ = false;
    bool ended_ = false;
    json_complaint complaint_;
};

// Walks the strings of an array. `array` must come from a json_reader (well-formed).
class json_strings {
  public:
    explicit json_strings(const json_value& array)
        : rest_(array.kind == json_kind::array ? array.raw : ""),
          escapes_(rest_.find('\\') != std::string_view::npos) {}

    // Some of it must go through json_unescaped().
    [[nodiscard]] bool has_escapes() const { return escapes_; }
    // The next element that is a string, between its quotes, escapes as they stand. False at the end, and at
    // an element that is no string (json_value::only_strings tells beforehand).
    [[nodiscard]] bool next(std::string_view& raw);

  private:
    std::string_view rest_;
    bool escapes_;
};

// Walks the elements of an array, whatever they are. `array` must come from a json_reader (well-formed).
class json_elements {
  public:
    explicit json_elements(const json_value& array) : rest_(array.kind == json_kind::array ? array.raw : "") {}

    // False at the end.
    [[nodiscard]] bool next(json_value& out);

  private:
    std::string_view rest_;
};

// The characters a JSON string stands for; `raw` is what lies between its quotes, well-formed.
[[nodiscard]] std::string json_unescaped(std::string_view raw);

}  // namespace culld
