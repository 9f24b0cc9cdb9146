#include "culld/core/text/yaml_pieces.hpp"

#include <gtest/gtest.h>

#include "culld/core/text/yaml_tree.hpp"

namespace culld {
namespace {

// Notes everything with its place.
class noting_sink final : public yaml_sink {
  public:
    std::string seen;
    result<void> begin_map(place at) override { return note("{", at); }
    result<void> key(std::string_view name, place at) override { return note("k " + std::string(name), at); }
    result<void> end_map() override { return note("}", {}); }
    result<void> begin_list(place at) override { return note("[", at); }
    result<void> end_list() override { return note("]", {}); }
    result<void> value(const yaml_scalar& v, place at) override {
        return note((v.null ? "n " : v.quoted ? "q " : "v ") + std::string(v.text), at);
    }

  private:
    result<void> note(const std::string& what, place at) {
        seen += what + " " + std::to_string(at.line) + ":" + std::to_string(at.column) + "\n";
        return {};
    }
};

result<std::string> noted(std::string_view text, std::size_t between_max, std::size_t block) {
    noting_sink sink;
    const yaml_bytes next = [&]() -> result<std::string_view> {
        const std::string_view part = text.substr(0, block);
        text.remove_prefix(part.size());
        return part;
    };
    if (auto done = read_strict_yaml(next, sink, between_max); !done) return fail(std::move(done.error()));
    return sink.seen;
}

// Items that are not alike, so that the cuts fall into all kinds of places.
std::string many(std::string_view before, std::string_view after, std::string_view note) {
    std::string out;
    for (int i = 0; i < 4'000; ++i) {
        const std::string id = "i-" + std::to_string(i * i);
        (out += before) += i % 5 == 1 ? "'it''s, " + id + "'" : i % 5 == 2 ? "\"a\\\" # - " + id + "\"" : id;
        out += after;
        if (i % 7 == 3) out += note;
    }
    return out;
}

TEST(YamlPieces, MeanWhatTheWholeTextMeans) {
    const std::string note = "   # no, 'item\n";
    for (const std::string& text :
         {"version: 1\nids:\n" + many("- ", "\n", note) + "labels: {t: x}\n",
          "  a:\n    " + many("- ", " # x\n    ", "\n    # - y\n    ") + "\n  b: [c]\n",
          "ids: [" + many(" ", ",", note) + "]\nid: x\n", "ids:\n  [\n" + many("  ", "\n,", note) + "]\nid: x\n",
          "# \xC3\xA4\n{v: 1, ids: [" + many("", ",", note) + "], id: x}\n",
          "--- {ids: [" + many("", " , ", note) + "]}",
          "t: |-\n  - [x\nids:\r\n" + many("- ", "\r\n", "\r\n") + "a:\r\n" + many(" - ", "\r\n", "\r\n"),
          "? ids\n: " + many("- ", "\n  ", note + "  ") + "\nid: x\n"}) {
        const auto whole = noted(text, SIZE_MAX, SIZE_MAX);
        ASSERT_TRUE(whole) << whole.error().text() << text.substr(0, 100);
        for (const std::size_t block : {std::size_t{1}, std::size_t{4096}, SIZE_MAX}) {
            const auto pieces = noted(text, std::size_t{1} << 20U, block);
            ASSERT_TRUE(pieces) << pieces.error().text() << text.substr(0, 100);
            EXPECT_TRUE(*pieces == *whole) << text.substr(0, 100);
        }
    }
}

// Where a quote that is none hides the items, the cut would fall into a scalar.
TEST(YamlPieces, WhereTheParserSawSomethingElseNothingFollows) {
    std::string text = "id: it is\n 'q\nids:\n- a'\n";
    for (int i = 0; i < 3'000; ++i) text += "  - i-" + std::to_string(i) + "\n";
    EXPECT_TRUE(noted(text, SIZE_MAX, SIZE_MAX));
    const auto pieces = noted(text, std::size_t{1} << 20U, SIZE_MAX);
    ASSERT_FALSE(pieces);
    EXPECT_EQ(pieces.error().what, "a long list that is too unlike a plain one to be read");
    EXPECT_GT(pieces.error().line, 1'000U);
}

TEST(StrictYaml, WhatTheParserLetsPassIsAnError) {
    for (const auto& [text, at, what] :
         {std::tuple("a: [x, , y]\n", 8U, "no valid YAML: nothing stands before this comma"),
          {"a: [x, y\n", 1U, "no valid YAML: a bracket is open at the end"},
          {"a: 1\nb", 1U, "no valid YAML: no : follows this key"},
          {"a: 1\nb c\n", 1U, "no valid YAML: no : follows this key"},
          {"a:\nb c\n#\n", 1U, "no valid YAML: this is indented like the key that it would belong to"},
          {"a: ! 5\n", 4U, "tag ! is refused here"}}) {
        const auto tree = parse_strict_yaml(text);
        ASSERT_FALSE(tree) << text;
        EXPECT_EQ(tree.error().front().what, what) << text;
        EXPECT_EQ(tree.error().front().column, at) << text;
    }
}

}  // namespace
}  // namespace culld
