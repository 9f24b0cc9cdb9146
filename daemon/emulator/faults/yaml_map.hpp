// Reading a YAML map of the strict layer: no key unknown, every value of the right kind. The keys that were
// asked for are the known ones, so that the list for "did you mean" can't fall behind. The first problem is
// kept.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/time.hpp"
#include "culld/core/text/yaml_tree.hpp"

namespace culld::emulator {

class yaml_map {
  public:
    // Borrows `node`. An empty node is an empty map. `path` leads the names of fields in messages: "throttle.".
    yaml_map(const yaml_node& node, std::string file, std::string path);

    // Each leaves `to` alone where the key is absent or its value bad.
    void read(std::string_view key, bool& to);
    void read(std::string_view key, std::string& to);
    void read(std::string_view key, std::vector<std::string>& to);
    void read_number(std::string_view key, std::uint64_t& to, std::uint64_t least, std::uint64_t most);
    void read_ratio(std::string_view key, double& to);
    void read_duration(std::string_view key, nanoseconds& to, bool negative_allowed = false);
    // One of the names; the index of the one that was found.
    template <std::size_t N>
    void read_choice(std::string_view key, const std::array<std::string_view, N>& names, std::size_t& to) {
        choose(key, names.data(), N, to);
    }

    // The value, or null; for values that are read by other means.
    [[nodiscard]] const yaml_node* take(std::string_view key);
    [[nodiscard]] std::string name_of(std::string_view key) const { return path_ + std::string(key); }

    void complain(const yaml_node& at, std::string_view key, std::string what, std::string hint = {});
    void adopt(std::optional<problem> p) {
        if (p && !first_) first_ = std::move(p);
    }
    // Looks for keys that nobody asked for, then hands out the first problem.
    [[nodiscard]] std::optional<problem> finish();

  private:
    void choose(std::string_view key, const std::string_view* names, std::size_t count, std::size_t& to);
    void complain(culld::place at, std::string_view key, std::string what, std::string hint);
    [[nodiscard]] const std::string* scalar(std::string_view key);

    std::string file_;
    std::string path_;
    std::vector<const yaml_node::member*> members_;
    std::vector<std::string_view> known_;  // literals of the caller
    std::optional<problem> first_;
};

}  // namespace culld::emulator
