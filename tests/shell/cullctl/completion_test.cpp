// cullctl completion: what the shells offer is what the command line takes.
#include <regex>

#include "support/cullctl_runner.hpp"

namespace culld::test {
namespace {

class CullctlCompletion : public CullctlTest {
  protected:
    CullctlCompletion() {
        prepare();
        // As a user has it: on PATH, under its own name.
        std::filesystem::create_directory(root + "/bin");
        std::filesystem::create_symlink(CULLCTL, root + "/bin/cullctl");
        for (const char* shell : {"bash", "zsh", "fish"})
            write(root + "/c." + shell, run(std::string("completion ") + shell).out);
    }

    static bool installed(const std::string& program) {
        return std::system(fmt::format("command -v {} >/dev/null 2>&1", program).c_str()) == 0;  // NOLINT
    }
    // The words of `line`, the last one being completed, as bash hands them over.
    [[nodiscard]] std::string bash(const std::string& words) const {
        write(root + "/try.bash", fmt::format("export PATH={0}/bin:$PATH\nsource {0}/c.bash\nCOMP_WORDS=({1})\n"
                                              "COMP_CWORD=$((${{#COMP_WORDS[@]}}-1))\n_cullctl\n"
                                              "printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
                                              root, words));
        return output("bash --norc try.bash");
    }
    [[nodiscard]] std::string fish(const std::string& line) const {
        write(root + "/try.fish",
              fmt::format("set -x PATH {0}/bin $PATH\nsource {0}/c.fish\ncomplete -C '{1}'\n", root, line));
        return output("fish --no-config try.fish");
    }
    [[nodiscard]] std::string output(const std::string& command) const {
        static_cast<void>(
            std::system(fmt::format("cd {0} && HOME={0} {1} >{0}/said 2>&1", root, command).c_str()));  // NOLINT
        return read(root + "/said");
    }
    // The verbs, and the options of one, as --help shows them.
    [[nodiscard]] std::set<std::string> verbs() const {
        std::set<std::string> out;
        const std::string help = run("--help").out;
        const std::regex line("\n  ([a-z]+) ");
        const std::string part = help.substr(help.find("Subcommands:"));
        for (std::sregex_iterator it(part.begin(), part.end(), line), end; it != end; ++it) out.insert((*it)[1]);
        return out;
    }
    [[nodiscard]] std::set<std::string> options(const std::string& verb) const {
        std::set<std::string> out;
        const std::string help = run(verb + " --help").out;
        const std::regex word("--[a-z][a-z-]+");
        // A text may name an option of another; the names stand at the start of a line.
        std::istringstream lines(help);
        for (std::string line; std::getline(lines, line);) {
            if (!line.starts_with("  -")) continue;
            const std::string names = line.substr(2, line.find(' ', 2) - 2);
            for (std::sregex_iterator it(names.begin(), names.end(), word), end; it != end; ++it) out.insert(it->str());
        }
        return out;
    }
};

TEST_F(CullctlCompletion, OffersEveryVerbAndEveryOptionThatHelpShows) {
    const auto all = verbs();
    EXPECT_GE(all.size(), 13U);
    EXPECT_TRUE(all.contains("report"));
    for (const std::string& verb : all) {
        EXPECT_NE(bash("cullctl " + verb).find(verb), std::string::npos) << verb;
        const std::string offered = bash("cullctl " + verb + " --");
        const auto known = options(verb);
        EXPECT_TRUE(known.contains("--help")) << verb;
        for (const std::string& option : known)
            EXPECT_NE(("\n" + offered).find("\n" + option + "\n"), std::string::npos) << verb << " " << option;
        for (const char* shell : {"zsh", "fish"}) {
            const std::string script = read(root + "/c." + shell);
            EXPECT_NE(script.find(verb), std::string::npos) << verb;
            for (const std::string& option : known)
                EXPECT_NE(script.find(std::string(shell) == "fish" ? "-l " + option.substr(2) : option),
                          std::string::npos)
                    << shell << " " << verb << " " << option;
        }
    }
}

TEST_F(CullctlCompletion, BashOffersJobsFilesAndWords) {
    const std::string where = "cullctl --journal-dir " + journals + " ";
    EXPECT_EQ(bash(where + "status ''"), "job-1\njob-2\n");
    EXPECT_EQ(bash(where + "pause ''"), "job-2\n") << "what is over cannot be paused";
    EXPECT_EQ(bash("cullctl status --journal-dir = " + journals + " job-1"), "job-1\n") << "--journal-dir=…";
    EXPECT_EQ(bash("cullctl result job-1 --only f"), "failed\n");
    EXPECT_EQ(bash("cullctl result job-1 --only = ski"), "skipped\n");
    EXPECT_EQ(bash("cullctl completion z"), "zsh\n");
    EXPECT_EQ(bash("cullctl ver"), "verify\n");
    // What stands there already is not offered again, where one argument is all.
    EXPECT_EQ(bash("cullctl config ''"), "show\n");
    EXPECT_EQ(bash("cullctl config show ''"), "\n");
    EXPECT_EQ(bash("cullctl completion zsh ''"), "\n");
    EXPECT_EQ(bash(where + "status job-1 ''"), "\n");
    EXPECT_EQ(bash(where + "result --only failed ''"), "job-1\njob-2\n") << "failed is a value";
    EXPECT_EQ(bash(where + "pause job-2 ''"), "job-2\n") << "takes many";
    write(root + "/some file.yaml", "");
    EXPECT_EQ(bash("cullctl submit som"), "some file.yaml\n");
    EXPECT_EQ(bash("cullctl report job-1 -o som"), "some file.yaml\n");
    EXPECT_EQ(bash("cullctl --spool spo"), "spool\n");
    EXPECT_EQ(bash("cullctl rate job-2 --rea"), "\n") << "rate takes no reason";
}

TEST_F(CullctlCompletion, FishOffersTheSame) {
    if (!installed("fish")) GTEST_SKIP() << "fish is not installed";
    EXPECT_NE(fish("cullctl ver").find("verify\tprove"), std::string::npos) << fish("cullctl ver");
    EXPECT_NE(fish("cullctl --journal-dir " + journals + " status job").find("job-1\n"), std::string::npos)
        << fish("cullctl --journal-dir " + journals + " status job");
    EXPECT_NE(fish("cullctl result --only f").find("failed"), std::string::npos);
    EXPECT_NE(fish("cullctl submit --con").find("--confirm"), std::string::npos) << fish("cullctl submit --con");
    EXPECT_EQ(fish("cullctl status --con").find("--confirm"), std::string::npos) << "another verb's";
}

TEST_F(CullctlCompletion, ZshReadsItsScript) {
    if (!installed("zsh")) GTEST_SKIP() << "zsh is not installed";
    std::filesystem::create_directory(root + "/fn");
    std::filesystem::copy_file(root + "/c.zsh", root + "/fn/_cullctl");
    EXPECT_EQ(output("zsh -n c.zsh"), "");
    EXPECT_EQ(output("zsh -fc 'fpath=(fn $fpath); autoload -Uz compinit; compinit -u -d dump; echo $_comps[cullctl]'"),
              "_cullctl\n");
    EXPECT_EQ(
        output("zsh -fc 'autoload -Uz compinit; compinit -u -d dump; eval \"$(cat c.zsh)\"; echo $_comps[cullctl]'"),
        "_cullctl\n");
}

// As on a terminal: a widget types the line, has it completed, and writes down what it became.
TEST_F(CullctlCompletion, ZshCompletesFoldersJobsFilesAndWords) {
    if (!installed("zsh") || !installed("script")) GTEST_SKIP() << "zsh or script is not installed";
    std::filesystem::create_directories(root + "/fn");
    std::filesystem::create_directories(root + "/my folder");
    std::filesystem::copy_file(root + "/c.zsh", root + "/fn/_cullctl");
    write(root + "/my file", "");
    write(root + "/.zshrc",
          fmt::format("PATH={0}/bin:$PATH; fpath=({0}/fn $fpath); autoload -Uz compinit; compinit -u -D\n"
                      "zle-line-init() {{ BUFFER=$TRY; CURSOR=$#BUFFER; zle complete-word\n"
                      "    print -r -- $BUFFER >{0}/line; BUFFER=exit; zle accept-line }}\n"
                      "zle -N zle-line-init\n",
                      root));
    const auto zsh = [&](const std::string& line) {
        write(root + "/line", "");
        const std::string said = output(
            fmt::format("env TERM=dumb ZDOTDIR={0} TRY='{1}' timeout 20 script -qec 'zsh -i' /dev/null", root, line));
        const std::string out = read(root + "/line");
        EXPECT_FALSE(out.empty()) << said;
        return out.substr(0, out.find('\n'));
    };
    for (const std::string where : {"", "verify ", "status "}) {
        EXPECT_EQ(zsh("cullctl " + where + "--journal-dir my"), "cullctl " + where + "--journal-dir my\\ folder/");
        EXPECT_EQ(zsh("cullctl " + where + "--journal-dir=my"), "cullctl " + where + "--journal-dir=my\\ folder/");
    }
    EXPECT_EQ(zsh("cullctl --spool my"), "cullctl --spool my\\ folder/");
    EXPECT_EQ(zsh("cullctl submit my\\ fi"), "cullctl submit my\\ file ");
    EXPECT_EQ(zsh("cullctl ver"), "cullctl verify ");
    EXPECT_EQ(zsh("cullctl result --only ski"), "cullctl result --only skipped ");
    const std::string there = "--journal-dir " + journals;
    EXPECT_EQ(zsh("cullctl " + there + " pause j"), "cullctl " + there + " pause job-2 ");
    EXPECT_EQ(zsh("cullctl pause " + there + " j"), "cullctl pause " + there + " job-2 ");
    // The shell reads ~ for the command, and has to for what it offers.
    EXPECT_EQ(zsh("cullctl --journal-dir ~/journal pause j"), "cullctl --journal-dir ~/journal pause job-2 ");
    EXPECT_EQ(zsh("cullctl pause --journal-dir=~/journal j"), "cullctl pause --journal-dir=~/journal job-2 ");
}

TEST_F(CullctlCompletion, NeedsNoConfiguration) {
    EXPECT_EQ(run("completion bash --config nothing.yaml").code, 0) << "a broken one must not break the shell";
    const ran typo = run("completion bsh");
    EXPECT_EQ(typo.code, 64);
    EXPECT_NE(typo.err.find("did you mean \"bash\"?"), std::string::npos) << typo.err;
}

TEST_F(CullctlCompletion, ListHasNamesAlone) {
    write(journals + "/$(touch owned).jsonl", "");
    EXPECT_EQ(here("list --names").out, "job-1\njob-2\n") << "a shell expands what it is offered";
    EXPECT_EQ(here("list --names --open").out, "job-2\n");
}

}  // namespace
}  // namespace culld::test
