// A YAML text as a tree with positions, and without the parts of YAML that surprise: anchors, aliases, tags,
// merge keys, several documents, keys that are no scalars and duplicate keys are refused. (yaml-cpp by itself
// accepts duplicate keys silently, and expands aliases without a bound.)
//
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culld/core/problem.hpp"

namespace culld {

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

// The tree, or what is wrong with `text`: a syntax error alone, otherwise all that is refused in it. Problems
// have line and column and no file. At most 500 levels deep (yaml-cpp's own bound).
[[nodiscard]] tl::expected<yaml_node, std::vector<problem>> parse_strict_yaml(std::string_view text);

// Line `line` (from 1) of `text` and a caret under `column`:
//     "  burst: many\n           ^"
// Control characters are shown as `?`, long lines are cut around the column. Empty if there is no such line.
[[nodiscard]] std::string source_excerpt(std::string_view text, std::uint64_t line, std::uint64_t column);

}  // namespace culld
