#include "culld/io/ledger_file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "culld/core/chain.hpp"
#include "culld/core/ledger_check.hpp"
#include "loop_fixture.hpp"

namespace culld {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const wall_time noon = parse_rfc3339("2026-11-25T12:00:00Z").value();
const std::string some_head(64, 'a');

std::string sha256_hex(std::string_view text) {
    sha256 hash;
    hash.update(text);
    return hex(hash.finish());
}

class LedgerFile : public testing::Test {
  protected:
    LedgerFile() : dir_(std::move(folder::open(scratch_.path()).value())) {}

    ledger_file open() {
        auto out = ledger_file::open(dir_);
        if (!out) throw std::runtime_error(out.error().text());
        return std::move(*out);
    }
    std::string complaint() {
        const auto out = ledger_file::open(dir_);
        EXPECT_FALSE(out);
        return out ? "" : out.error().text();
    }
    static result<ledger_file::line> finish(ledger_file& ledger, std::string_view id) {
        job_totals totals;
        totals.ids = totals.deleted = 3;
        const std::string journal = std::string(id) + ".jsonl";
        const ledger_facts facts{.job_id = id,
                                 .file = "job.json",
                                 .status = "completed",
                                 .totals = &totals,
                                 .journal = journal,
                                 .head = some_head,
                                 .records = 7};
        return ledger.append(facts, noon);
    }
    static result<ledger_file::line> reject(ledger_file& ledger, std::string_view id) {
        const ledger_facts facts{.job_id = id, .file = "job.json", .status = "rejected", .error = "no ids"};
        return ledger.append(facts, noon);
    }
    void fill(int jobs) {
        ledger_file ledger = open();
        for (int i = 0; i < jobs; ++i) ASSERT_TRUE(finish(ledger, "job-" + std::to_string(i)));
    }
    [[nodiscard]] std::string text() const { return read_small_file(scratch_.path("ledger.jsonl"), 1 << 20).value(); }
    [[nodiscard]] std::vector<std::string> lines() const {
        std::vector<std::string> out;
        std::ifstream in(scratch_.path("ledger.jsonl"));
        for (std::string line; std::getline(in, line);) out.push_back(line);
        return out;
    }
    void rewrite(std::string_view content) const { std::ofstream(scratch_.path("ledger.jsonl")) << content; }
    // ledger.head names the last line, and every line follows from the one before.
    void expect_whole(std::size_t count) const {
        chain_checker chain;
        record_view record;
        for (const std::string& line : lines()) ASSERT_TRUE(chain.feed(line, true, record));
        EXPECT_EQ(chain.records(), count);
        const auto head = read_ledger_head(read_small_file(scratch_.path("ledger.head"), 4096).value());
        ASSERT_TRUE(head) << head.error().text();
        EXPECT_EQ(head->seq + 1, count);
        EXPECT_EQ(head->sha256, hex(chain.head()));
    }

    scratch_folder scratch_;
    folder dir_;
};

// One line for every rejection, whichever of its two writes has failed.
TEST_F(LedgerFile, WritesALineOnceThoughItsHeadCouldNotBeWritten) {
    fill(1);
    ledger_file ledger = open();
    std::filesystem::remove(scratch_.path("ledger.head"));
    std::filesystem::create_directory(scratch_.path("ledger.head"));
    EXPECT_FALSE(reject(ledger, "b"));
    ASSERT_EQ(lines().size(), 2U);
    EXPECT_FALSE(reject(ledger, "b"));
    std::filesystem::remove(scratch_.path("ledger.head"));
    const auto line = reject(ledger, "b");
    ASSERT_TRUE(line) << line.error().text();
    EXPECT_EQ(line->seq, 1U);
    EXPECT_EQ(line->hash, sha256_hex(lines().at(1)));
    expect_whole(2);
    // The same file dropped again is another rejection.
    ASSERT_TRUE(reject(ledger, "b"));
    expect_whole(3);
}

TEST_F(LedgerFile, BeginsEmptyWithoutAHead) {
    const ledger_file ledger = open();
    EXPECT_EQ(ledger.lines(), 0U);
    EXPECT_FALSE(ledger.holds("a"));
    EXPECT_EQ(text(), "");
    EXPECT_FALSE(dir_.exists("ledger.head"));
    EXPECT_EQ(dir_.stat("ledger.jsonl")->st_mode & 0007, 0U);
}

TEST_F(LedgerFile, HoldsWhatWasAppendedAlsoAfterARestart) {
    {
        ledger_file ledger = open();
        const auto line = finish(ledger, "a");
        ASSERT_TRUE(line);
        EXPECT_EQ(line->seq, 0U);
        EXPECT_EQ(line->hash, sha256_hex(lines().at(0)));
        EXPECT_TRUE(ledger.holds("a"));
        expect_whole(1);
    }
    ledger_file ledger = open();
    EXPECT_TRUE(ledger.holds("a"));
    EXPECT_FALSE(ledger.holds("b"));
    EXPECT_EQ(ledger.lines(), 1U);
    ASSERT_TRUE(finish(ledger, "b"));
    EXPECT_TRUE(ledger.holds("b"));
    expect_whole(2);
}

TEST_F(LedgerFile, TakesAFinishedJobOnce) {
    ledger_file ledger = open();
    ASSERT_TRUE(finish(ledger, "a"));
    const std::string before = text();
    const auto again = finish(ledger, "a");
    ASSERT_TRUE(again);
    EXPECT_EQ(again->hash, "");
    EXPECT_EQ(text(), before);
    expect_whole(1);
}

TEST_F(LedgerFile, ARejectedJobIsNotAFinishedOne) {
    ledger_file ledger = open();
    ASSERT_TRUE(reject(ledger, "a"));
    EXPECT_FALSE(ledger.holds("a"));
    ASSERT_TRUE(finish(ledger, "a"));
    EXPECT_TRUE(ledger.holds("a"));
    expect_whole(2);
    EXPECT_TRUE(open().holds("a"));
}

TEST_F(LedgerFile, CutsATornLastLine) {
    fill(2);
    const std::string whole = text();
    rewrite(whole + R"({"seq":2,"ts":"2026-)");
    ledger_file ledger = open();
    EXPECT_EQ(ledger.torn_bytes(), 20U);
    EXPECT_EQ(text(), whole);
    ASSERT_TRUE(finish(ledger, "job-2"));
    expect_whole(3);
}

TEST_F(LedgerFile, CutsALastLineWithZerosInIt) {
    fill(2);
    const std::string whole = text();
    rewrite(whole + R"({"seq":2,"ts":)" + std::string(9, '\0') + "\"}\n");
    ledger_file ledger = open();
    EXPECT_EQ(ledger.torn_bytes(), 26U);
    EXPECT_EQ(text(), whole);
    ASSERT_TRUE(finish(ledger, "job-2"));
    expect_whole(3);
}

TEST_F(LedgerFile, IsRefusedWithFileAndLineWhereItsChainBreaks) {
    fill(3);
    const auto good = lines();
    const std::string file = scratch_.path("ledger.jsonl");
    std::string changed = good[1];
    changed.replace(changed.find("completed"), 9, "cOmpleted");
    const struct {
        std::string content, where;
    } cases[] = {
        {good[0] + "\n" + changed + "\n" + good[2] + "\n", ":3"},
        {good[0] + "\n" + good[2] + "\n", ":2"},
        {good[1] + "\n" + good[0] + "\n" + good[2] + "\n", ":1"},
        {good[0] + "\n\n" + good[1] + "\n", ":2"},
        {"not json\n", ":1"},
    };
    for (const auto& c : cases) {
        rewrite(c.content);
        EXPECT_THAT(complaint(), AllOf(HasSubstr(file + c.where), HasSubstr("cullctl verify"))) << c.content;
        EXPECT_EQ(text(), c.content) << "never repaired";
    }
}

TEST_F(LedgerFile, IsRefusedWhereWholeLinesAreMissingAtItsEnd) {
    fill(3);
    const auto good = lines();
    const std::string head = read_small_file(scratch_.path("ledger.head"), 4096).value();
    for (const std::string& content : {good[0] + "\n" + good[1] + "\n", good[0] + "\n", std::string()}) {
        rewrite(content);
        EXPECT_THAT(complaint(), AllOf(HasSubstr("ledger.head"), HasSubstr("cut"))) << content;
        EXPECT_EQ(text(), content);
        EXPECT_EQ(read_small_file(scratch_.path("ledger.head"), 4096), head) << "the evidence stays";
    }
    std::filesystem::remove(scratch_.path("ledger.jsonl"));
    EXPECT_THAT(complaint(), HasSubstr("ledger.head"));
}

TEST_F(LedgerFile, IsRefusedWhereItIsAnotherOneThanItsHeadSays) {
    fill(2);
    std::filesystem::rename(scratch_.path("ledger.head"), scratch_.path("other.head"));
    std::filesystem::remove(scratch_.path("ledger.jsonl"));
    {
        ledger_file ledger = open();
        for (const char* id : {"x", "y", "z"}) ASSERT_TRUE(finish(ledger, id));
    }
    std::filesystem::rename(scratch_.path("other.head"), scratch_.path("ledger.head"));
    EXPECT_THAT(complaint(), HasSubstr("ledger.head"));
    std::ofstream(scratch_.path("ledger.head")) << "no head\n";
    EXPECT_THAT(complaint(), HasSubstr("ledger.head"));
}

TEST_F(LedgerFile, HealsAHeadThatACrashLeftBehind) {
    fill(1);
    const std::string behind = read_small_file(scratch_.path("ledger.head"), 4096).value();
    {
        ledger_file ledger = open();
        ASSERT_TRUE(finish(ledger, "b"));
    }
    std::ofstream(scratch_.path("ledger.head")) << behind;
    static_cast<void>(open());
    expect_whole(2);
    std::filesystem::remove(scratch_.path("ledger.head"));
    static_cast<void>(open());
    expect_whole(2);
}

TEST_F(LedgerFile, IsReadAgainAfterAFailedAppend) {
    ledger_file ledger = open();
    ASSERT_TRUE(finish(ledger, "a"));
    const std::string whole = text();
    auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit small{whole.size() + 10, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto failed = finish(ledger, "b");
    const auto failed_again = finish(ledger, "b");
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, handler);
    ASSERT_FALSE(failed);
    ASSERT_FALSE(failed_again);
    EXPECT_THAT(failed.error().text(), HasSubstr("ledger.jsonl"));
    EXPECT_FALSE(ledger.holds("b"));

    ASSERT_TRUE(finish(ledger, "b"));
    EXPECT_TRUE(ledger.holds("b"));
    expect_whole(2);
}

// The line is durable then, so it must not come twice.
TEST_F(LedgerFile, KeepsALineWhoseHeadCouldNotBeWritten) {
    ledger_file ledger = open();
    ASSERT_TRUE(finish(ledger, "a"));
    ASSERT_TRUE(std::filesystem::create_directory(scratch_.path(".ledger.head.new")));
    EXPECT_FALSE(finish(ledger, "b"));
    std::filesystem::remove(scratch_.path(".ledger.head.new"));
    ASSERT_TRUE(finish(ledger, "b"));
    expect_whole(2);
}

// RFC 8032, 7.1, TEST 1 and TEST 2.
constexpr std::string_view key_pem =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
constexpr std::string_view other_key_pem =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
    "-----END PRIVATE KEY-----\n";

class SignedLedgerFile : public LedgerFile {
  protected:
    static ledger_signing key(std::string_view pem = key_pem) {
        signing_key k = signing_key::parse(pem).value();
        public_keys known = k.public_half();
        return {std::move(k), std::move(known)};
    }
    ledger_file open_signed(std::string_view pem = key_pem) {
        auto out = ledger_file::open(dir_, key(pem));
        if (!out) throw std::runtime_error(out.error().text());
        return std::move(*out);
    }
    std::string refusal(std::string_view pem = key_pem) {
        const std::string before = text(), head = head_text();
        const auto out = ledger_file::open(dir_, key(pem));
        EXPECT_FALSE(out);
        EXPECT_EQ(text(), before) << "the evidence stays";
        EXPECT_EQ(head_text(), head) << "the evidence stays";
        return out ? "" : out.error().text();
    }
    [[nodiscard]] std::string head_text() const {
        return read_small_file(scratch_.path("ledger.head"), 4096).value_or("");
    }
    void put_head(std::string_view content) const { std::ofstream(scratch_.path("ledger.head")) << content; }
    static bool is_signed(std::string_view text, std::string_view sig) { return key().known.signed_by_one(text, sig); }
    // All lines vouched for, as cullctl verify sees it.
    void expect_vouched(std::uint64_t count) const {
        const public_keys keys = key().known;
        ledger_check check(ledger_rules{.keys = &keys});
        for (const std::string& line : lines()) ASSERT_TRUE(check.feed(line, true));
        check.end(head_text());
        for (const problem& p : check.findings()) ADD_FAILURE() << p.text();
        EXPECT_EQ(check.records(), count);
    }
};

TEST_F(SignedLedgerFile, SignsItsLinesAndItsHead) {
    ledger_file ledger = open_signed();
    ASSERT_TRUE(finish(ledger, "a"));
    ASSERT_TRUE(reject(ledger, "b"));
    ASSERT_TRUE(finish(ledger, "c"));
    expect_vouched(3);
    EXPECT_THAT(lines().at(1), testing::Not(HasSubstr("\"sig\""))) << "no journal, no head to sign";
    ledger = open_signed();
    ASSERT_TRUE(finish(ledger, "d"));
    expect_vouched(4);
    EXPECT_EQ(ledger.unsigned_lines(), 0U);
}

TEST_F(SignedLedgerFile, GoesOnWhereACrashCameBetweenLineAndHead) {
    const auto head_left_behind_by = [&](auto append) {
        const std::string before = head_text();
        {
            ledger_file ledger = open_signed();
            ASSERT_TRUE(append(ledger));
        }
        // As the disk is before the last rename.
        const std::string after = head_text();
        std::ofstream(scratch_.path(".ledger.head.new")) << after;
        if (before.empty())
            std::filesystem::remove(scratch_.path("ledger.head"));
        else
            put_head(before);
        const auto which = [this](const char* name) { return dir_.stat(name).value().st_ino; };
        const auto staged = which(".ledger.head.new");
        static_cast<void>(open_signed());
        EXPECT_EQ(head_text(), after);
        // Written anew it would not vouch for its line in between, and a second crash come then.
        EXPECT_EQ(which("ledger.head"), staged);
    };
    head_left_behind_by([](ledger_file& l) { return finish(l, "a"); });
    head_left_behind_by([](ledger_file& l) { return reject(l, "b"); });
    head_left_behind_by([](ledger_file& l) { return finish(l, "c"); });
    expect_vouched(3);
}

TEST_F(SignedLedgerFile, GoesOnWhereACrashCameBeforeTheLine) {
    { ASSERT_TRUE(finish(*std::make_unique<ledger_file>(open_signed()), "a")); }
    std::ofstream(scratch_.path(".ledger.head.new")) << R"({"seq":1,"sha256":")";  // torn, even
    ledger_file ledger = open_signed();
    ASSERT_TRUE(finish(ledger, "b"));
    expect_vouched(2);
}

TEST_F(SignedLedgerFile, IsRefusedWhereSomebodyElseWroteInIt) {
    {
        ledger_file ledger = open_signed();
        ASSERT_TRUE(finish(ledger, "a"));
        ASSERT_TRUE(finish(ledger, "b"));
    }
    const std::string good = text(), head = head_text();
    const auto restore = [&] {
        rewrite(good);
        put_head(head);
        std::filesystem::remove(scratch_.path(".ledger.head.new"));
        static_cast<void>(open_signed());
    };
    // A line without a key, well chained, with a head or without one.
    {
        ledger_file stranger = open();
        ASSERT_TRUE(reject(stranger, "x"));
    }
    const std::string forged_head = head_text();
    EXPECT_THAT(refusal(), HasSubstr("not signed, though the ledger was"));
    put_head(head);
    EXPECT_THAT(refusal(), HasSubstr("line 3"));
    std::ofstream(scratch_.path(".ledger.head.new")) << forged_head;
    EXPECT_THAT(refusal(), HasSubstr("line 3"));
    std::ofstream(scratch_.path(".ledger.head.new")) << head;
    EXPECT_THAT(refusal(), HasSubstr("line 3"));
    std::filesystem::remove(scratch_.path("ledger.head"));
    EXPECT_THAT(refusal(), HasSubstr("is missing, though the ledger is signed"));
    restore();
    // A head that is older than a crash can leave it.
    { ASSERT_TRUE(finish(*std::make_unique<ledger_file>(open_signed()), "c")); }
    { ASSERT_TRUE(finish(*std::make_unique<ledger_file>(open_signed()), "d")); }
    put_head(head);
    EXPECT_THAT(refusal(), HasSubstr("but the ledger has 4 lines"));
    restore();
    // Somebody else's key.
    EXPECT_THAT(refusal(other_key_pem), HasSubstr("keep the old public key"));
    expect_vouched(2);
}

TEST_F(SignedLedgerFile, KnowsAnOldKeyWhereItIsTold) {
    { ASSERT_TRUE(finish(*std::make_unique<ledger_file>(open_signed(other_key_pem)), "a")); }
    ledger_signing both = key();
    both.known.add(key(other_key_pem).known);
    auto ledger = ledger_file::open(dir_, std::move(both));
    ASSERT_TRUE(ledger) << ledger.error().text();
    ASSERT_TRUE(finish(*ledger, "b"));
    ASSERT_TRUE(ledger_file::open(dir_, key())) << "the head is the new key's now";
}

TEST_F(SignedLedgerFile, BeginsToSignALedgerThatWasNot) {
    fill(2);
    {
        ledger_file ledger = open_signed();
        EXPECT_EQ(ledger.unsigned_lines(), 2U);
        EXPECT_TRUE(is_signed(sha256_hex(lines().at(1)), read_ledger_head(head_text())->sig)) << "at once";
        ASSERT_TRUE(finish(ledger, "c"));
    }
    ledger_file ledger = open();
    EXPECT_TRUE(ledger.signing_ended());
    const std::string head = head_text();
    EXPECT_FALSE(read_ledger_head(head)->sig.empty()) << "opened without a key, the head stays what it was";
}

TEST_F(SignedLedgerFile, KeepsALineWhoseHeadCouldNotBePutInPlace) {
    ledger_file ledger = open_signed();
    const std::string head = scratch_.path("ledger.head");
    ASSERT_TRUE(finish(ledger, "a"));
    std::filesystem::rename(head, scratch_.path("kept"));
    ASSERT_TRUE(std::filesystem::create_directory(head));
    EXPECT_FALSE(finish(ledger, "b"));
    std::filesystem::remove(head);
    std::filesystem::rename(scratch_.path("kept"), head);
    ASSERT_TRUE(finish(ledger, "b"));
    expect_vouched(2);
}

}  // namespace
}  // namespace culld
