// What somebody who may write into the drop box, and no further, might try (docs/threats.md has the whole list).
#include <sys/sysmacros.h>
#include <zlib.h>

#include "culld/core/base/sha256.hpp"
#include "faults.hpp"

namespace culld::programs {
namespace {

class SpoolThreats : public WithFaults {
  protected:
    [[nodiscard]] std::string box(const std::string& name) const { return at("spool/incoming/" + name); }
    [[nodiscard]] static std::string sha256_of(std::string_view text) {
        sha256 hash;
        hash.update(text);
        return hex(hash.finish());
    }
    void rewrite(const std::string& path, std::string_view content) const {
        const unique_fd fd(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
        ASSERT_TRUE(write_all(fd.get(), content, path));
    }
};

TEST_F(SpoolThreats, NothingInTheBoxHoldsUpAGoodJobOrForgesALine) {
    configure({});
    here_.write("secret.txt", "secret-id-1\nsecret-id-2\n");
    ::chmod(here_.path("secret.txt").c_str(), 0600);
    // No files, or not only ours.
    fs::create_symlink(here_.path("secret.txt"), box("link.txt"));
    fs::create_symlink("loop.txt", box("loop.txt"));
    fs::create_hard_link(here_.path("secret.txt"), box("hard.txt"));
    ASSERT_EQ(::mkfifo(box("pipe.txt").c_str(), 0666), 0);
    fs::create_directory(box("folder.txt"));
    if (as_shipped_) give_to(daemon_user, box("folder.txt"), 0700);  // another's can be moved by nobody
    const unique_fd listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    box("s.txt").copy(name.sun_path, sizeof name.sun_path - 1);
    ASSERT_EQ(::bind(listening.get(), static_cast<sockaddr*>(static_cast<void*>(&name)), sizeof name), 0);
    std::size_t refused = 6;
    if (::mknod(box("device.txt").c_str(), S_IFCHR | 0666, makedev(1, 5)) == 0) ++refused;  // /dev/zero; root only
    // Names.
    const std::vector<std::string> names{"new\nline.txt", "\x1b[2Jescape.txt", "bad\xff\xfe.txt", "tab\there.txt"};
    for (const std::string& bad : names) drop(bad, "a\n");
    refused += names.size();
    const std::vector<std::string> odd{"-rf.txt", "%s%n%x.txt", "a b'c\"d.txt", "two..dots.txt",
                                       std::string(251, 'x') + ".txt"};
    // Contents.
    const auto sparse = [&](const std::string& file) {
        std::ofstream(box(file)).flush();
        ASSERT_EQ(::truncate(box(file).c_str(), off_t{50} << 30U), 0);
    };
    sparse("sparse.txt");
    sparse("sparse.json");
    sparse("sparse.csv");
    drop("empty.txt", "");
    drop("empty.json", "");
    const gzFile bomb = ::gzopen(at("spool/tmp/bomb.txt.gz").c_str(), "wb9");
    const std::string block(1U << 20U, 'a');
    for (int i = 0; i < 200; ++i) ::gzwrite(bomb, block.data(), static_cast<unsigned>(block.size()));
    ASSERT_EQ(::gzclose(bomb), Z_OK);
    fs::rename(at("spool/tmp/bomb.txt.gz"), box("bomb.txt.gz"));
    refused += 6;

    child daemon = started();
    for (std::size_t i = 0; i < odd.size(); ++i) drop(odd[i], fmt::format("odd-{}\n", i));
    drop("good.txt", "good\n");
    ASSERT_TRUE(eventually([&] { return in("done", "good.txt"); }, 10s)) << log();
    ASSERT_TRUE(eventually([&] { return ledger().size() == refused + odd.size() + 1; }, 10s))
        << ledger().size() << " of " << refused + odd.size() + 1 << log();
    ASSERT_TRUE(eventually([&] { return fs::is_empty(at("spool/incoming")); })) << log();

    EXPECT_EQ(count(log(), "event=job.rejected"), refused) << log();
    const json::value told = server_->truth();
    EXPECT_EQ(told.at("deleted").as_object().size(), odd.size() + 1);
    // Each line of the log is one of ours, and none moves a cursor.
    std::istringstream lines(log());
    for (std::string line; std::getline(lines, line);) {
        EXPECT_TRUE(line.starts_with("20")) << line;
        EXPECT_EQ(line.find('\x1b'), std::string::npos) << line;
    }
    for (const auto& entry : fs::recursive_directory_iterator(here_.path("journal")))
        EXPECT_EQ(read_small_file(entry.path(), 1U << 20U).value_or("").find("secret-id"), std::string::npos);
    EXPECT_EQ(log().find("secret-id"), std::string::npos);
    EXPECT_EQ(read("secret.txt"), "secret-id-1\nsecret-id-2\n");
    expect_verified();
}

TEST_F(SpoolThreats, OneIdAMillionTimesIsOneId) {
    configure({});
    std::string text;
    for (int i = 0; i < 1'000'000; ++i) text += "again\n";
    drop("again.txt", text);
    ASSERT_EQ(once(), 0) << log();
    ASSERT_EQ(ledger().size(), 1U);
    EXPECT_EQ(ledger().front().at("totals").at("ids").to_number<int>(), 1);
    EXPECT_EQ(ledger().front().at("totals").at("duplicates").to_number<int>(), 999'999);
    EXPECT_EQ(truth("delete_requests"), 1);
}

TEST_F(SpoolThreats, WhatAJobSaysGetsIntoNoPathHeaderOrHost) {
    configure({});
    const std::map<std::string, std::string> attempts{{"header", R"("project_id":"p\r\nX-Evil: 1","ids":["a"])"},
                                                      {"path", R"("project_id":"../../v3","ids":["a"])"},
                                                      {"query", R"("workspace_id":"w?x=1#","ids":["a"])"},
                                                      {"host", R"("endpoint":"http://169.254.169.254","ids":["a"])"},
                                                      {"name", R"("id":"../../etc/cron.d/x","ids":["a"])"},
                                                      {"ledger", R"("id":"ledger","ids":["a"])"},
                                                      {"list", R"("ids_file":"../../secret.ids")"},
                                                      {"absolute", R"("ids_file":"/etc/passwd")"},
                                                      {"quote", R"("ids":["a\",\"b"])"},
                                                      {"newline", R"("ids":["a\nb"])"},
                                                      {"zero", R"("ids":["a\u0000b"])"},
                                                      {"twice", R"("ids":["a"],"dry_run":true,"dry_run":false)"},
                                                      {"label", R"("ids":["a"],"labels":{"x":"y\u001b[2Jz"})"}};
    here_.write("secret.ids", "secret\n");
    for (const auto& [what, members] : attempts) drop(what + ".json", "{\"version\":1," + members + "}");
    EXPECT_EQ(once(), 65) << log();
    for (const auto& [what, members] : attempts) EXPECT_TRUE(in("rejected", what + ".json")) << what << log();
    EXPECT_EQ(truth("api_requests"), 0);
}

// The list that was read is the one that counts: its SHA-256 is in the journal, and whoever kept it open changes
// nothing.
TEST_F(SpoolThreats, AListThatIsChangedAfterItWasReadIsNotTheJobs) {
    configure({.limits = "requests_per_second: 20, concurrency: 1", .batch_size = 5});
    const std::string honest = list("asked", 100);
    std::string other = list("other", 100);
    drop("swap.ids", honest);
    drop("swap.yaml", "version: 1\nid: swap\nids_file: swap.ids\n");
    {
        child daemon = started();
        ASSERT_TRUE(settles_some("swap", 10)) << log();
        rewrite(at("spool/active/swap.ids"), other);
        ASSERT_TRUE(settles_some("swap", 30)) << log();
    }
    // And when what was kept of it is lost, the changed file does not take its place.
    fs::remove(at("journal/.plan/swap.ids"));
    child daemon = started();
    expect_blocked("swap", "changed");
    const json::value told = server_->truth();
    for (const auto& id : told.at("deleted").as_object()) EXPECT_TRUE(id.key().starts_with("asked-")) << id.key();
    rewrite(at("spool/active/swap.ids"), honest);
    daemon.signal(SIGHUP);
    ASSERT_TRUE(eventually([&] { return in("done", "swap.yaml"); }, patience)) << log();
    expect_true_verdicts("swap", 100);
    EXPECT_NE(json::serialize(records("swap", "job.accepted").front()).find(sha256_of(honest)), std::string::npos);
    expect_verified();
}

TEST_F(SpoolThreats, ADamagedJournalStopsItsJobAndNoOther) {
    configure({.limits = "requests_per_second: 100, concurrency: 2", .batch_size = 5});
    for (int i = 0; i < 6; ++i) drop_job(fmt::format("job{}", i), 200);
    {
        child daemon = started();
        for (int i = 0; i < 6; ++i) ASSERT_TRUE(settles_some(fmt::format("job{}", i), 10)) << log();
    }
    std::string text = read("journal/job3.jsonl");
    text[text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 1);
    here_.write("journal/job3.jsonl", text);
    child daemon = started();
    for (const int i : {0, 1, 2, 4, 5})
        ASSERT_TRUE(eventually([&] { return in("done", fmt::format("job{}.yaml", i)); }, patience)) << i << log();
    expect_blocked("job3", "never repaired");
    EXPECT_EQ(ctl({"resume", "job3"}), 75) << this->told();
    EXPECT_EQ(read("journal/job3.jsonl"), text) << "a damaged journal is evidence";
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.ends_within(5s), 0) << log();
    EXPECT_EQ(ctl({"verify"}), 4);
}

}  // namespace
}  // namespace culld::programs
