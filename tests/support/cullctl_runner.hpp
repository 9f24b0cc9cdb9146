// Runs the cullctl binary as its users do, on folders made for one test.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "support/journal_builder.hpp"

namespace culld::test {

struct ran {
    int code = -1;
    std::string out, err;
};

class CullctlTest : public testing::Test {
  protected:
    CullctlTest() {
        std::string pattern = testing::TempDir() + "cullctl-XXXXXX";
        root = ::mkdtemp(pattern.data());
        journals = root + "/journal";
        spool = root + "/spool";
        std::filesystem::create_directory(journals);
        for (const char* name : {"", "/tmp", "/incoming", "/active", "/done", "/failed", "/rejected"})
            std::filesystem::create_directory(spool + name);
    }
    ~CullctlTest() override { std::filesystem::remove_all(root); }

    // `arguments` as the shell reads them.
    [[nodiscard]] ran run(const std::string& arguments, const std::string& input = "/dev/null") const {
        const std::string line =
            fmt::format("cd {0} && TMPDIR={0} {1} {2} >{0}/out 2>{0}/err <{3}", root, CULLCTL, arguments, input);
        const int status = std::system(line.c_str());  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
        return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(root + "/out"), read(root + "/err")};
    }
    // With the folders of this test and no daemon.
    [[nodiscard]] ran here(const std::string& arguments, const std::string& input = "/dev/null") const {
        return run(fmt::format("{} --journal-dir {} --spool {}", arguments, journals, spool), input);
    }

    static void write(const std::string& path, std::string_view text) { std::ofstream(path, std::ios::binary) << text; }
    [[nodiscard]] static std::string read(const std::string& path) {
        std::ostringstream out;
        out << std::ifstream(path, std::ios::binary).rdbuf();
        return std::move(out).str();
    }
    [[nodiscard]] static std::string sha256_of(std::string_view text) {
        sha256 hash;
        hash.update(text);
        return hex(hash.finish());
    }

    // job-1 finished with a story of eight ids, bad.json rejected, job-2 open: what a daemon that stopped
    // left.
    void prepare() {
        const std::string list = "i0\ni1\ni2\ni3\ni4\ni5\ni6\ni7\n";
        write(spool + "/failed/list.txt", list);
        const std::string source = fmt::format(R"("sha256":"{}","bytes":{})", sha256_of(list), list.size());
        const job_totals totals = story(finished, "job-1", "list.txt", source);
        ledger.ledger(finished, totals, "completed_with_failures", "job-1", "list.txt")
            .ledger_rejected("bad.json", "line 3: no such field");
        const std::string second = "i0\ni1\ni2\ni3\n";
        write(spool + "/active/open.txt", second);
        open.accepted(4, R"("dry_run":false,"verify":"failed")", "job-2", "open.txt",
                      fmt::format(R"("sha256":"{}","bytes":{})", sha256_of(second), second.size()))
            .intent(0, 4)
            .result(1, {{0, 2}}, {{0, 1}}, {{1, 1}});
        save();
    }
    void save() const {
        write(journals + "/job-1.jsonl", finished.text);
        write(journals + "/job-2.jsonl", open.text);
        write(journals + "/ledger.jsonl", ledger.text);
        write(journals + "/ledger.head", ledger.ledger_head());
    }

    std::string root, journals, spool;
    journal_builder finished, open, ledger;
};

}  // namespace culld::test
