// The manual pages name what the programs have, and nothing that they have not.
#include <regex>
#include <set>

#include <boost/json.hpp>

#include "culld/core/config/settings.hpp"
#include "support/cullctl_runner.hpp"

namespace culld::test {
namespace {

namespace json = boost::json;

class Manual : public CullctlTest {
  protected:
    static std::string source(const std::string& path) { return std::string(CULLD_SOURCE) + "/" + path; }
    static std::string page(const std::string& name) { return read(source("docs/man/" + name)); }
    static json::value schema(const std::string& name) { return json::parse(read(source("config/" + name))); }
    // All words of a page, as they would be read.
    static std::set<std::string> words(const std::string& text) {
        std::set<std::string> out;
        const std::regex word("[A-Za-z0-9_][A-Za-z0-9_.-]*[A-Za-z0-9_]|[A-Za-z0-9_]");
        for (std::sregex_iterator it(text.begin(), text.end(), word), end; it != end; ++it) out.insert(it->str());
        return out;
    }
    static std::set<std::string> all(const std::string& text, const std::string& pattern) {
        std::set<std::string> out;
        const std::regex wanted(pattern);
        for (std::sregex_iterator it(text.begin(), text.end(), wanted), end; it != end; ++it) out.insert((*it)[1]);
        return out;
    }
    // Long options at the start of the lines of a --help.
    static std::set<std::string> options(const std::string& help) {
        std::set<std::string> out;
        std::istringstream lines(help);
        for (std::string line; std::getline(lines, line);)
            if (line.starts_with("  -")) out.merge(all(line.substr(0, line.find(' ', 2)), "--([a-z][a-z-]+)"));
        return out;
    }
    static int shell(const std::string& command) { return std::system(command.c_str()); }  // NOLINT
};

TEST_F(Manual, TheConfigurationsPageHasEverySettingWithItsDefaultAndNoOther) {
    const std::string text = page("culld.yaml.5");
    std::set<std::string> known;
    const config defaults;
    for (const setting& s : settings()) {
        known.insert(std::string(s.name));
        const std::size_t at = text.find(".It Va " + std::string(s.name) + "\n");
        ASSERT_NE(at, std::string::npos) << s.name;
        const std::string entry = text.substr(at, text.find("\n.It", at + 1) - at);
        std::string value = s.json(defaults);
        if (value == "\"\"") continue;
        if (value.front() == '"') value = value.substr(1, value.size() - 2);
        if (s.type == setting_type::duration) {
            // Any way to write the same duration.
            config c;
            const std::string shown = entry.substr(entry.find("default ") + 8);
            ASSERT_TRUE(s.assign(c, shown.substr(0, shown.find('\n')))) << entry;
            EXPECT_EQ(s.json(c), s.json(defaults)) << s.name;
        } else {
            EXPECT_NE(entry.find("default " + value + "\n"), std::string::npos) << s.name << ": " << value;
        }
    }
    EXPECT_EQ(all(text, "\\.It Va ([a-z_.]+)\n"), known);
}

TEST_F(Manual, CullctlsPageHasEveryCommandAndEveryOption) {
    const std::string text = page("cullctl.1");
    const std::string help = run("--help").out;
    const auto verbs = all(help.substr(help.find("Subcommands:")), "\n  ([a-z]+) ");
    EXPECT_EQ(all(text, "\\.It Cm ([a-z]+)"), verbs);
    std::set<std::string> known = options(help);
    for (const std::string& verb : verbs) {
        const auto of_verb = options(run(verb + " --help").out);
        const std::size_t at = text.find(".It Cm " + verb);
        const std::string entry = text.substr(at, text.find("\n.It", at + 1) - at);
        for (const std::string& option : of_verb) {
            known.insert(option);
            if (option == "help") continue;
            EXPECT_NE(entry.find("Fl Fl " + option), std::string::npos) << verb << " --" << option;
        }
    }
    for (const std::string& option : all(text, "Fl Fl ([a-z-]+)")) EXPECT_TRUE(known.contains(option)) << option;
    for (const std::string& code : all(help, "[ \n]([0-9]+) [a-z]"))
        EXPECT_NE(text.find("\n.It " + code + "\n"), std::string::npos) << "exit code " << code;
}

TEST_F(Manual, TheDaemonsPageHasEveryOption) {
    const std::string text = page("culld.8");
    ASSERT_EQ(shell(fmt::format("{} --help >{}/help", CULLD, root)), 0);
    const auto known = options(read(root + "/help"));
    EXPECT_GE(known.size(), 4U);
    EXPECT_EQ(all(text, "Fl Fl ([a-z-]+)"), known);
}

TEST_F(Manual, TheEmulatorsPageHasEveryOption) {
    ASSERT_EQ(shell(fmt::format("{} --help >{}/help", CULL_EMULATOR, root)), 0);
    const auto known = options(read(root + "/help"));
    EXPECT_GE(known.size(), 10U);
    EXPECT_EQ(all(page("cull-emulator.1"), "Fl Fl ([a-z-]+)"), known);
}

TEST_F(Manual, TheJobsPageHasEveryField) {
    const auto known = words(page("culld-job.5"));
    const json::value of = schema("job.schema.json");
    for (const auto& field : of.at("properties").as_object())
        EXPECT_TRUE(known.contains(std::string(field.key()))) << field.key();
}

TEST_F(Manual, TheJournalsPageHasEveryRecordAndMember) {
    const std::string text = page("culld-journal.5");
    const auto known = words(text);
    for (const char* file : {"journal.schema.json", "ledger.schema.json"}) {
        const json::value of = schema(file);
        for (const json::value& record : of.at("allOf").as_array()) {
            EXPECT_TRUE(
                known.contains(std::string(record.at("if").at("properties").at("type").at("const").as_string())));
            for (const auto& member : record.at("then").at("properties").as_object())
                EXPECT_TRUE(known.contains(std::string(member.key()))) << member.key();
        }
    }
}

TEST_F(Manual, EveryPageIsWellFormed) {
    const bool mandoc = shell("command -v mandoc >/dev/null") == 0, man = shell("command -v man >/dev/null") == 0;
    if (!mandoc && !man) GTEST_SKIP() << "neither mandoc nor man is installed";
    for (const char* name :
         {"culld.8", "cullctl.1", "cull-emulator.1", "culld.yaml.5", "culld-job.5", "culld-journal.5"}) {
        const std::string path = source(std::string("docs/man/") + name);
        if (mandoc) {
            EXPECT_EQ(shell(fmt::format("mandoc -T lint -W warning {} >{}/said", path, root)), 0)
                << read(root + "/said");
        }
        if (man) {
            // As Debian's lintian does.
            EXPECT_EQ(shell(fmt::format(
                          "LC_ALL=C.UTF-8 MANROFFSEQ= man --warnings -E UTF-8 -l -Tutf8 -Z {} >/dev/null 2>{}/said",
                          path, root)),
                      0);
            EXPECT_EQ(read(root + "/said"), "") << name;
        }
    }
}

}  // namespace
}  // namespace culld::test
