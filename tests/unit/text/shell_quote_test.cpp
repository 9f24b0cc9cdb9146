#include "culld/core/text/shell_quote.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>

namespace culld {
namespace {

std::string echoed(const std::string& shell, const std::string& word) {
    const std::string line = shell + " -c \"$(cat <<'END'\nprintf %s " + word + "\nEND\n)\" 2>&1";
    struct closer {
        void operator()(FILE* f) const { static_cast<void>(::pclose(f)); }
    };
    const std::unique_ptr<FILE, closer> out(::popen(line.c_str(), "r"));  // NOLINT(cert-env33-c)
    std::string text;
    for (int c = 0; out && (c = std::fgetc(out.get())) != EOF;) text.push_back(static_cast<char>(c));
    return text;
}

TEST(ShellQuoted, LeavesPlainNamesAlone) {
    EXPECT_EQ(shell_quoted("cleanup-2026_11.json"), "cleanup-2026_11.json");
    EXPECT_EQ(shell_file("/var/lib/a.b"), "/var/lib/a.b");
}

TEST(ShellQuoted, IsOneWordAndRunsNothing) {
    for (const std::string name :
         {"a b.txt",  "a;reboot",   "$(reboot)", "`reboot`",  "it's",  "'",    "\"",    "a\\b",
          "*",        "~root",      "#x",        "a\nreboot", "a\rb",  "a\tb", "!x",    "\x1b[2J",
          "\xFF\xFE", "\xC3\xA4 b", "",          "&&reboot",  "a'\nb", "=ls",  "{a,b}", "-n"})
        EXPECT_EQ(echoed("bash", shell_quoted(name)), name) << shell_quoted(name);
    EXPECT_EQ(shell_quoted("a b"), "'a b'");
    EXPECT_EQ(shell_quoted("a\nb"), "$'a\\012b'");
    EXPECT_EQ(shell_quoted("a\xE2\x80\xAE"
                           "b"),
              "$'a\\342\\200\\256b'")
        << "U+202E turns what follows round";
}

TEST(ShellQuoted, AFileIsNeverAnOption) {
    EXPECT_EQ(shell_file("-rf"), "./-rf");
    EXPECT_EQ(shell_file("-o x"), "'./-o x'");
    EXPECT_EQ(shell_file("--"), "./--");
}

// An older sh takes $'…' for another name. It must run nothing all the same.
TEST(ShellQuoted, RunsNothingInAPlainShEither) {
    for (const std::string name : {"a\n$(echo hit)", "a\n`echo hit`", "a\n';echo hit;'", "\x01\\';echo hit"})
        EXPECT_EQ(echoed("dash", shell_quoted(name)).find("hit\n"), std::string::npos) << shell_quoted(name);
}

}  // namespace
}  // namespace culld
