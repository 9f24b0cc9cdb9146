#include "culld/core/text/yaml_tree.hpp"

#include <gtest/gtest.h>

namespace culld {
namespace {

using kind = yaml_node::kind;

problem only_problem(std::string_view text) {
    const auto tree = parse_strict_yaml(text);
    EXPECT_FALSE(tree) << text;
    if (tree) return {};
    EXPECT_EQ(tree.error().size(), 1U) << text;
    return tree.error().front();
}

TEST(StrictYaml, ReadsMapsListsAndScalarsWithTheirPlaces) {
    const auto tree = parse_strict_yaml("a:\n  b: 5\n  c: [x, \"y\"]\nd:\n");
    ASSERT_TRUE(tree);
    ASSERT_EQ(tree->type, kind::map);
    ASSERT_EQ(tree->members.size(), 2U);
    const yaml_node& a = tree->members[0].value;
    EXPECT_EQ(a.members[0].name, "b");
    EXPECT_EQ(a.members[0].line, 2U);
    EXPECT_EQ(a.members[0].column, 3U);
    EXPECT_EQ(a.members[0].value.text, "5");
    EXPECT_FALSE(a.members[0].value.quoted);
    EXPECT_EQ(a.members[0].value.column, 6U);
    const yaml_node& c = a.members[1].value;
    ASSERT_EQ(c.items.size(), 2U);
    EXPECT_FALSE(c.items[0].quoted);
    EXPECT_TRUE(c.items[1].quoted);
    EXPECT_EQ(tree->members[1].value.type, kind::none);
}

TEST(StrictYaml, NothingIsAnEmptyTree) {
    for (const char* text : {"", "# only a comment\n", "---\n", "\xEF\xBB\xBF", "~"}) {
        const auto tree = parse_strict_yaml(text);
        ASSERT_TRUE(tree) << text;
        EXPECT_EQ(tree->type, kind::none) << text;
    }
}

TEST(StrictYaml, ADuplicateKeyNamesBothLines) {
    const problem p = only_problem("a: 1\nb: 2\na: 3\n");
    EXPECT_EQ(p.what, "duplicate key \"a\"");
    EXPECT_NE(p.hint.find("line 1"), std::string::npos);
    EXPECT_EQ(p.line, 3U);
    EXPECT_EQ(p.column, 1U);
}

TEST(StrictYaml, TheSameKeyInTwoMapsIsNoDuplicate) {
    EXPECT_TRUE(parse_strict_yaml("a: {x: 1}\nb: {x: 1}\n"));
    EXPECT_TRUE(parse_strict_yaml("- {x: 1}\n- {x: 1}\n"));
}

struct refused_case {
    const char* text;
    const char* what;
};

TEST(StrictYaml, WhatSurprisesIsRefused) {
    for (const auto& [text, what] : {
             refused_case{"a: &x 1\n", "anchor"},
             refused_case{"a: !!str 1\n", "tag"},
             refused_case{"a: !mine {b: 1}\n", "tag"},
             refused_case{"<<: {a: 1}\n", "merge key"},
             refused_case{"? [a, b]\n: 1\n", "key must be a name"},
             refused_case{"~: 1\n", "key must be a name"},
             refused_case{"a: 1\n---\nb: 2\n", "second document"},
             refused_case{"a: [1, 2\n", "no valid YAML"},
             refused_case{"a: b: c\n", "no valid YAML"},
             refused_case{"a: \"open\n", "no valid YAML"},
             refused_case{"a: \x01\n", "control character 0x01"},
             refused_case{"a: \xFF\n", "not UTF-8"},
             refused_case{"a: \xC3\n", "not UTF-8"},
         }) {
        const problem p = only_problem(text);
        EXPECT_NE(p.what.find(what), std::string::npos) << text << ": " << p.what;
        EXPECT_GT(p.line, 0U) << text;
    }
}

TEST(StrictYaml, AnAliasIsRefusedAndNeverExpanded) {
    const auto bomb = parse_strict_yaml("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n");
    ASSERT_FALSE(bomb);
    EXPECT_EQ(bomb.error().size(), 6U);  // two anchors, four aliases
    EXPECT_FALSE(parse_strict_yaml("&x\n- *x\n"));
}

TEST(StrictYaml, AllThatIsRefusedIsNamedAtOnce) {
    const auto tree = parse_strict_yaml("a: &x 1\na: 2\n<<: 3\n");
    ASSERT_FALSE(tree);
    EXPECT_EQ(tree.error().size(), 3U);
}

TEST(StrictYaml, NulBytesDoNotTurnTheTextIntoUtf16) {
    const std::string text("a\0:\0 \0001\0", 8);
    EXPECT_NE(only_problem(text).what.find("0x00"), std::string::npos);
}

// Half a file must not pass for a whole one.
TEST(StrictYaml, AQuoteThatIsNeverClosedIsAnError) {
    for (const char* text : {"a: \"open\n", "a: 'open\n", "a: \"b\\\"", "a: 'b''", "# \xC3\xA4\na: {b: \"x", "\"a"})
        EXPECT_EQ(only_problem(text).what, "no valid YAML: the quote that opens here is never closed") << text;
    EXPECT_EQ(only_problem("a: 1\nb: {c: \"x").line, 2U);
    EXPECT_EQ(only_problem("a: 1\nb: {c: \"x").column, 8U);
    for (const char* text :
         {"a: \"\"", "a: ''", "a: \"b\\\"\"", "a: 'b'''", "# \xC3\xA4\r\na: {b: \"x\"}", "a: |\n  \"b\n"})
        EXPECT_TRUE(parse_strict_yaml(text)) << text;
}

TEST(StrictYaml, DepthHasABound) {
    const std::string deep = std::string(20'000, '[') + std::string(20'000, ']');
    EXPECT_FALSE(parse_strict_yaml(deep));
}

TEST(SourceExcerpt, PutsTheCaretUnderTheColumn) {
    EXPECT_EQ(source_excerpt("one\n  burst: many\n", 2, 10), "    burst: many\n           ^");
    EXPECT_EQ(source_excerpt("\tx: y\n", 1, 5), "  \tx: y\n  \t   ^");
    EXPECT_EQ(source_excerpt("\xC3\xA4: y\r\n", 1, 5), "  \xC3\xA4: y\n     ^");
    EXPECT_EQ(source_excerpt("one\n", 7, 1), "");
    EXPECT_EQ(source_excerpt("a \x1b[31m\n", 1, 1), "  a ?[31m\n  ^");
}

TEST(SourceExcerpt, CutsALongLineAroundTheColumn) {
    const std::string line = std::string(500, 'a') + "X" + std::string(500, 'b');
    const std::string shown = source_excerpt(line, 1, 501);
    const std::size_t end = shown.find('\n');
    EXPECT_LT(end, 110U);
    const std::size_t caret = shown.size() - 1 - (end + 1);
    EXPECT_EQ(shown[caret], 'X');
}

}  // namespace
}  // namespace culld
