// YAML without the parts that surprise, for all YAML that culld reads: jobs, configuration, the emulator's scenarios.
// Anchors, aliases, tags, merge keys, several documents, keys that are no names, duplicate keys and more than 100
// levels are refused. yaml-cpp knows the grammar; what it lets pass, a quote that is never closed, is found here. That
// the text can be seen whole is the caller's to see to (visible_text).
//
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/core/ids/id_sink.hpp"
#include "culld/core/text/yaml_pieces.hpp"

namespace culld {

struct yaml_scalar {
    std::string_view text;  // valid during the call
    bool quoted = false;    // "5" is a text, 5 may be a number; so is what stands behind | or >
    bool null = false;      // nothing, ~ or null, not in quotes
    bool at_end = false;    // no quote ends it, and the text ends with its last byte: it may have been cut there
};

// Where a text goes, one event after the other. What is no success stops the reading and is its result.
class yaml_sink {
  public:
    virtual ~yaml_sink() = default;
    [[nodiscard]] virtual result<void> begin_map(place at) = 0;
    [[nodiscard]] virtual result<void> key(std::string_view name, place at) = 0;  // distinct in its map
    [[nodiscard]] virtual result<void> end_map() = 0;
    [[nodiscard]] virtual result<void> begin_list(place at) = 0;
    [[nodiscard]] virtual result<void> end_list() = 0;
    [[nodiscard]] virtual result<void> value(const yaml_scalar& v, place at) = 0;
    // Something that is refused, with its place. To go on is to be told of what else is; a key that is refused, and
    // its value, are not handed out, and an alias is a null.
    [[nodiscard]] virtual result<void> refused(problem why) { return fail(std::move(why)); }

  protected:
    yaml_sink() = default;
    yaml_sink(const yaml_sink&) = default;
    yaml_sink& operator=(const yaml_sink&) = default;
};

// Reads to the end. `between_max`: more bytes than that in one piece (yaml_pieces) are an error, since a piece is held
// in memory: a list in the root map may have any length, but not what else there is. SIZE_MAX: the text is one piece.
// Columns are in bytes.
[[nodiscard]] result<void> read_strict_yaml(const yaml_bytes& from, yaml_sink& into, std::size_t between_max);

struct yaml_node {
    enum class kind {
        none,    // an empty document, `key:` without a value, `~` or `null`
        scalar,  // text, see quoted
        list,    // items
        map,     // members
    };
    struct member;

    kind type = kind::none;
    std::string text;          // scalars only
    bool quoted = false;       // "5" is a text, 5 may be a number
    std::uint64_t line = 0;    // from 1
    std::uint64_t column = 0;  // from 1, in bytes
    std::vector<yaml_node> items;
    std::vector<member> members;  // in the text's order, names are distinct
};

struct yaml_node::member {
    std::string name;
    std::uint64_t line = 0;  // of the name
    std::uint64_t column = 0;
    yaml_node value;
};

// The tree, or what is wrong with `text`: what cannot be seen or a syntax error alone, otherwise all that is refused in
// it. Problems have line and column and no file.
[[nodiscard]] tl::expected<yaml_node, std::vector<problem>> parse_strict_yaml(std::string_view text);

// Line `line` (from 1) of `text` and a caret under `column`:
//     "  burst: many\n           ^"
// What cannot be seen is shown as `?`, long lines are cut around the column. Empty if there is no such line.
[[nodiscard]] std::string source_excerpt(std::string_view text, std::uint64_t line, std::uint64_t column);

}  // namespace culld
