// The files in config/ and the table of settings say the same.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <sstream>

#include "culld/core/config/settings_merge.hpp"
#include "culld/io/config/config_files.hpp"
#include "culld/io/os/file.hpp"

namespace culld {
namespace {

namespace json = boost::json;

std::string shipped(const std::string& name) {
    const auto root = std::filesystem::path(CULLD_SOURCE);
    return (root / "config" / name).string();
}

std::string read(const std::string& name) {
    return read_small_file(shipped(name), 1U << 20U).value();
}

// The example with what is commented out put back: "  #burst: 1" is a setting, "# Durations have" is prose.
std::string uncommented() {
    std::istringstream in(read("culld.yaml"));
    std::string out;
    for (std::string line; std::getline(in, line); out += line + "\n") {
        const std::size_t hash = line.find_first_not_of(' ');
        if (hash == std::string::npos || line[hash] != '#') continue;
        const std::size_t end = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", hash + 1);
        if (end != std::string::npos && end > hash + 1 && line[end] == ':') line.erase(hash, 1);
    }
    return out;
}

sourced_config merged(const std::string& text) {
    sourced_config out;
    std::vector<problem> problems;
    const auto tree = parse_strict_yaml(text);
    EXPECT_TRUE(tree) << (tree ? "" : tree.error().front().text());
    if (tree) merge_yaml(out, *tree, "culld.yaml", "", problems);
    for (const problem& p : problems) ADD_FAILURE() << p.text();
    return out;
}

TEST(ShippedExample, LoadsAndSetsTheRegionAlone) {
    const auto loaded = load_config({.file = shipped("culld.yaml"), .environment = {}, .checks = {}});
    ASSERT_TRUE(loaded) << loaded.error().front().text();
    EXPECT_EQ(loaded->effective.origins.size(), 1U);
    EXPECT_TRUE(loaded->effective.origins.contains("api.region"));
    EXPECT_TRUE(loaded->warnings.empty());
}

TEST(ShippedExample, HasEverySetting) {
    const sourced_config all = merged(uncommented());
    for (const setting& s : settings()) EXPECT_TRUE(all.origins.contains(s.name)) << s.name;
}

TEST(ShippedExample, ShowsTheDefaultsOfTheStruct) {
    const sourced_config all = merged(uncommented());
    const config defaults;
    for (const setting& s : settings()) {
        // Where there is no default the example shows one of a value.
        if (s.json(defaults) == "\"\"") continue;
        EXPECT_EQ(s.json(all.values), s.json(defaults)) << s.name;
    }
}

class ShippedSchema : public testing::Test {
  protected:
    json::value schema_ = json::parse(read("culld.schema.json"));

    const json::object& properties(std::string_view section) {
        const json::object* at = &schema_.as_object();
        while (!section.empty()) {
            const std::size_t dot = std::min(section.find('.'), section.size());
            at = &at->at("properties").at(section.substr(0, dot)).as_object();
            section.remove_prefix(std::min(dot + 1, section.size()));
        }
        EXPECT_EQ(at->at("additionalProperties"), json::value(false));
        return at->at("properties").as_object();
    }
};

TEST_F(ShippedSchema, KnowsTheSettingsOfTheTableAndNoOthers) {
    for (const std::string_view section : {"", "api", "auth", "auth.iam", "spool", "journal", "ids", "batch", "limits",
                                           "jobs", "retry", "breaker", "http", "notify", "log"}) {
        std::vector<std::string_view> in_schema;
        for (const auto& member : properties(section)) in_schema.emplace_back(member.key());
        EXPECT_EQ(in_schema, names_in(section)) << section;
    }
}

TEST_F(ShippedSchema, HasTheTypesRangesAndDefaultsOfTheTable) {
    const config defaults;
    for (const setting& s : settings()) {
        const json::object& p = properties(s.section()).at(s.key()).as_object();
        const auto type = [&] { return p.contains("type") ? std::string(p.at("type").as_string()) : std::string(); };
        const auto ref = [&] { return p.contains("$ref") ? std::string(p.at("$ref").as_string()) : std::string(); };
        switch (s.type) {
            case setting_type::text:
            case setting_type::path: EXPECT_EQ(type(), "string") << s.name; break;
            case setting_type::secret_path: EXPECT_EQ(ref(), "#/definitions/secret_file") << s.name; break;
            case setting_type::duration: EXPECT_EQ(ref(), "#/definitions/duration") << s.name; break;
            case setting_type::boolean: EXPECT_EQ(type(), "boolean") << s.name; break;
            case setting_type::text_list: EXPECT_EQ(type(), "array") << s.name; break;
            case setting_type::word: {
                std::vector<std::string_view> words;
                for (const json::value& word : p.at("enum").as_array()) words.emplace_back(word.as_string());
                EXPECT_TRUE(std::equal(words.begin(), words.end(), s.words.begin(), s.words.end())) << s.name;
                break;
            }
            case setting_type::count:
            case setting_type::number:
                EXPECT_EQ(type(), s.type == setting_type::count ? "integer" : "number") << s.name;
                EXPECT_EQ(p.at("minimum").to_number<double>(), s.min) << s.name;
                EXPECT_EQ(p.at("maximum").to_number<double>(), s.max) << s.name;
                break;
        }
        if (s.json(defaults) == "\"\"") {
            EXPECT_FALSE(p.contains("default")) << s.name;
        } else if (s.type == setting_type::duration) {
            config c;
            ASSERT_TRUE(s.assign(c, p.at("default").as_string())) << s.name;
            EXPECT_EQ(s.json(c), s.json(defaults)) << s.name;
        } else if (s.type == setting_type::number) {
            EXPECT_EQ(p.at("default").to_number<double>(), json::parse(s.json(defaults)).to_number<double>());
        } else {
            EXPECT_EQ(json::serialize(p.at("default")), s.json(defaults)) << s.name;
        }
    }
}

}  // namespace
}  // namespace culld
