#include "culld/io/journal/ledger_file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "culld/core/journal/chain.hpp"
#include "culld/core/journal/ledger_check.hpp"
#include "support/loop_fixture.hpp"

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
    static result<ledger_file::line> reject(ledger_file& ledger, std::string_view id, std::uint64_t inode = 7,
                                            wall_time changed_at = noon, wall_time at = noon) {
        const ledger_facts facts{
            .job_id = id, .file = "job.json", .status = "rejected", .error = "no ids", .node = {{inode, changed_at}}};
        return ledger.append(facts, at);
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
    ASSERT_TRUE(std::filesystem::create_directory(scratch_.path(".ledger.head.new")));
    EXPECT_FALSE(reject(ledger, "b"));
    ASSERT_EQ(lines().size(), 2U);
    EXPECT_FALSE(reject(ledger, "b"));
    std::filesystem::remove(scratch_.path(".ledger.head.new"));
    const auto line = reject(ledger, "b");
    ASSERT_TRUE(line) << line.error().text();
    EXPECT_EQ(line->hash, "") << "it is there";
    expect_whole(2);
    // The same file dropped again is another rejection.
    ASSERT_TRUE(reject(ledger, "b", 8));
    expect_whole(3);
    ASSERT_TRUE(reject(ledger, "b", 8, noon + std::chrono::microseconds(1)));
    expect_whole(4);
}

// The clock was ahead in an earlier life, or is behind now: a rejection is known again by its file.
TEST_F(LedgerFile, NoClockMakesOneRejectionStandForAnother) {
    const wall_time ahead = noon + std::chrono::hours(24 * 365);
    {
        ledger_file ledger = open();
        ASSERT_TRUE(reject(ledger, "a", 7, ahead, ahead));
    }
    ledger_file ledger = open();
    ASSERT_TRUE(reject(ledger, "a", 7, noon));
    expect_whole(2);
    // After a crash before the move, whatever the clock says now.
    ledger = open();
    ASSERT_TRUE(reject(ledger, "a", 7, noon, ahead));
    ASSERT_TRUE(reject(ledger, "a", 7, ahead, noon));
    expect_whole(2);
}

// What lies outside our reach must not lack a line, whatever fails or crashes after it became durable.
TEST_F(LedgerFile, TellsEachLineOnceWhenItIsDurable) {
    std::vector<std::string> told;
    const auto tell = [&told](const ledger_file::line& l) { told.push_back(l.hash); };
    const auto all = [this] {
        std::vector<std::string> out;
        for (const std::string& line : lines()) out.push_back(sha256_hex(line));
        return out;
    };
    auto ledger = ledger_file::open(dir_, std::nullopt, tell);
    ASSERT_TRUE(ledger);
    ASSERT_TRUE(finish(*ledger, "a"));
    ASSERT_TRUE(reject(*ledger, "b"));
    EXPECT_EQ(told, all());
    ASSERT_TRUE(std::filesystem::create_directory(scratch_.path(".ledger.head.new")));
    EXPECT_FALSE(finish(*ledger, "c"));
    EXPECT_EQ(told.size(), 2U);
    std::filesystem::remove(scratch_.path(".ledger.head.new"));
    ASSERT_TRUE(finish(*ledger, "c"));
    ASSERT_TRUE(finish(*ledger, "d"));
    EXPECT_EQ(lines().size(), 4U);
    EXPECT_EQ(told, all());
    // A crash may have come before the last one was told.
    told.clear();
    ASSERT_TRUE(ledger_file::open(dir_, std::nullopt, tell));
    EXPECT_EQ(told, std::vector<std::string>{all().back()});
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

// Moved, removed, cut, replaced: nothing is added, and as soon as it is back it is gone on with.
TEST_F(LedgerFile, AddsNothingToWhatItDidNotWrite) {
    const std::string file = scratch_.path("ledger.jsonl"), head = scratch_.path("ledger.head");
    ledger_file ledger = open();
    ASSERT_TRUE(finish(ledger, "a"));
    ASSERT_TRUE(finish(ledger, "b"));
    EXPECT_EQ(ledger.look().value_or(true), false);
    const std::string good = text();
    const auto lost = [&](const char* words, const std::function<void()>& change, const std::function<void()>& back) {
        change();
        const std::string changed = std::filesystem::exists(file) ? text() : "";
        for (int i = 0; i < 3; ++i) {
            const auto seen = ledger.look();
            ASSERT_FALSE(seen) << words;
            EXPECT_THAT(seen.error().text(), HasSubstr(words));
            EXPECT_FALSE(finish(ledger, "c"));
            EXPECT_FALSE(reject(ledger, "d"));
        }
        EXPECT_EQ(std::filesystem::exists(file) ? text() : "", changed) << "the evidence stays: " << words;
        back();
        EXPECT_TRUE(ledger.look()) << words;
        EXPECT_EQ(ledger.look().value_or(true), false) << words;
        EXPECT_EQ(text(), good);
    };
    const auto restore = [&] { rewrite(good); };
    lost(
        "is gone", [&] { std::filesystem::rename(file, file + "-"); },
        [&] { std::filesystem::rename(file + "-", file); });
    lost(
        "is gone",
        [&] {
            std::filesystem::remove(file);
            std::filesystem::rename(head, head + "-");
        },
        [&] {
            restore();
            std::filesystem::rename(head + "-", head);
        });
    lost(
        "was cut to 1 lines", [&] { rewrite(good.substr(0, good.find('\n') + 1)); }, restore);
    lost(
        "was cut to 0 lines", [&] { rewrite(""); }, restore);
    lost(
        "is not the line that culld wrote",
        [&] {
            std::filesystem::remove(file);
            std::filesystem::rename(head, head + "-");
            std::string other;
            chain_writer chain;
            job_totals none;
            for (const char* id : {"x", "y"})
                write_ledger_line(chain, other, noon,
                                  {.job_id = id,
                                   .file = "f",
                                   .status = "completed",
                                   .totals = &none,
                                   .journal = "j",
                                   .head = some_head,
                                   .records = 1});
            rewrite(other);
        },
        [&] {
            restore();
            std::filesystem::rename(head + "-", head);
        });
    // A line more that culld did not write, well chained.
    lost(
        "is not the line that culld wrote",
        [&] {
            chain_checker chain;
            record_view record;
            for (const std::string& line : lines()) ASSERT_TRUE(chain.feed(line, true, record));
            chain_writer more({chain.records(), chain.head()});
            std::string out;
            write_ledger_line(more, out, noon, {.file = "f", .status = "rejected", .error = "no"});
            rewrite(good + out);
        },
        restore);
    lost(
        "ledger.head", [&] { std::ofstream(head) << "{}\n"; },
        [&] {
            chain_checker chain;
            record_view record;
            for (const std::string& line : lines()) ASSERT_TRUE(chain.feed(line, true, record));
            std::ofstream(head) << ledger_head_text({chain.records(), chain.head()}, "");
        });
    ASSERT_TRUE(finish(ledger, "c"));
    expect_whole(3);
}

// Byte for byte the same, whatever file it is: it is known by its hash.
TEST_F(LedgerFile, GoesOnWithACopyOfItself) {
    ledger_file ledger = open();
    ASSERT_TRUE(finish(ledger, "a"));
    const std::string file = scratch_.path("ledger.jsonl");
    std::filesystem::copy_file(file, file + "-");
    std::filesystem::rename(file + "-", file);
    EXPECT_EQ(ledger.look().value_or(false), true) << "read again";
    EXPECT_EQ(ledger.look().value_or(true), false);
    ASSERT_TRUE(finish(ledger, "b"));
    expect_whole(2);
    std::filesystem::remove(scratch_.path("ledger.head"));
    EXPECT_EQ(ledger.look().value_or(false), true);
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
    ASSERT_EQ(lines().size(), 3U);
    EXPECT_THAT(lines().at(1),
                AllOf(HasSubstr(R"("type":"ledger.signed_from","from":0,"key":")"), HasSubstr(key().known.id())));
    public_keys keys = key().known;
    keys.add(key(other_key_pem).known);
    ledger_check check(ledger_rules{.keys = &keys});
    for (const std::string& line : lines()) ASSERT_TRUE(check.feed(line, true));
    check.end(head_text());
    for (const problem& p : check.findings()) ADD_FAILURE() << p.text();
}

// By a version that wrote no line about it.
TEST_F(SignedLedgerFile, SaysWhereSigningBeganLongAgo) {
    fill(2);
    {
        ledger_file ledger = open_signed();
        ASSERT_TRUE(finish(ledger, "c"));
    }
    const auto all = lines();
    // As that version left it: without the line, and chained so.
    chain_writer chain;
    std::string out;
    std::filesystem::remove(scratch_.path("ledger.jsonl"));
    std::filesystem::remove(scratch_.path("ledger.head"));
    fill(2);
    const ledger_signing with = key();
    job_totals totals;
    totals.ids = totals.deleted = 3;
    chain_checker check;
    record_view record;
    for (const std::string& line : lines()) ASSERT_TRUE(check.feed(line, true, record));
    chain = chain_writer({check.records(), check.head()});
    write_ledger_line(chain, out, noon,
                      {.job_id = "c",
                       .file = "job.json",
                       .status = "completed",
                       .totals = &totals,
                       .journal = "c.jsonl",
                       .head = some_head,
                       .records = 7,
                       .sig = with.key.sign(some_head)});
    rewrite(text() + out);
    put_head(ledger_head_text(chain.head(), with.key.sign(hex(chain.head().prev))));
    static_cast<void>(open_signed());
    ASSERT_EQ(lines().size(), 4U);
    EXPECT_THAT(lines().at(3), HasSubstr(R"("from":2,)"));
    expect_vouched(4);
    static_cast<void>(open_signed());
    EXPECT_EQ(lines().size(), 4U);
}

// At each write of the line that says where signing begins.
TEST_F(SignedLedgerFile, BeginsToSignThoughACrashComesInBetween) {
    fill(2);
    const std::string before = text(), unsigned_head = head_text();
    static_cast<void>(open_signed());
    const std::string after = text(), signed_head = head_text();
    const auto begin_again = [&](const std::string& ledger, const std::string& head, const std::string& staged) {
        rewrite(ledger);
        put_head(head);
        if (!staged.empty()) std::ofstream(scratch_.path(".ledger.head.new")) << staged;
        static_cast<void>(open_signed());
        EXPECT_EQ(lines().size(), 3U);
        expect_vouched(3);
    };
    const std::string old_head_signed =
        ledger_head_text({2,
                          [this] {
                              digest d{};
                              static_cast<void>(parse_hex(sha256_hex(lines().at(1)), d));
                              return d;
                          }()},
                         key().key.sign(sha256_hex(lines().at(1))));
    begin_again(before, unsigned_head, "");
    begin_again(before, old_head_signed, "");
    begin_again(before, old_head_signed, signed_head);
    begin_again(before + after.substr(before.size(), 30), old_head_signed, signed_head);
    begin_again(after, old_head_signed, signed_head);
    begin_again(after, signed_head, "");
}

TEST_F(SignedLedgerFile, BeginsToSignALedgerThatWasNot) {
    fill(2);
    {
        ledger_file ledger = open_signed();
        ASSERT_EQ(lines().size(), 3U) << "at once";
        EXPECT_THAT(lines().at(2),
                    AllOf(HasSubstr(R"("type":"ledger.signed_from","from":2,"key":")"), HasSubstr(key().known.id())));
        EXPECT_TRUE(is_signed(sha256_hex(lines().at(2)), read_ledger_head(head_text())->sig));
        expect_vouched(3);
        ASSERT_TRUE(finish(ledger, "c"));
        expect_vouched(4);
    }
    {
        ledger_file ledger = open_signed();
        EXPECT_EQ(ledger.lines(), 4U) << "said once";
    }
    ledger_file ledger = open();
    EXPECT_TRUE(ledger.signing_ended());
    const std::string head = head_text();
    EXPECT_FALSE(read_ledger_head(head)->sig.empty()) << "opened without a key, the head stays what it was";
}

TEST_F(SignedLedgerFile, AddsNothingWhereItsHeadIsNotItsOwn) {
    ledger_file ledger = open_signed();
    const std::string head = scratch_.path("ledger.head");
    ASSERT_TRUE(finish(ledger, "a"));
    std::filesystem::rename(head, scratch_.path("kept"));
    ASSERT_TRUE(std::filesystem::create_directory(head));
    EXPECT_FALSE(finish(ledger, "b")) << "nothing is added where the head is not ours";
    EXPECT_EQ(lines().size(), 1U);
    std::filesystem::remove(head);
    std::filesystem::rename(scratch_.path("kept"), head);
    ASSERT_TRUE(finish(ledger, "b"));
    expect_vouched(2);
}

TEST_F(LedgerFile, TellsOfAnAcceptedJobAndOfEachOrderOnce) {
    const acceptance_facts job{.job_id = "job-1",
                               .file = "job.json",
                               .ids = 3,
                               .sha256 = some_head,
                               .journal = "job-1.jsonl",
                               .first = some_head};
    const std::vector<person_order> orders{{.type = "job.paused", .record = 4, .by = {1000, 42}},
                                           {.type = "job.resumed", .record = 5, .by = {1000, 43}}};
    for (int life = 0; life < 2; ++life) {
        ledger_file ledger = open();
        ASSERT_TRUE(ledger.tell_of(job, std::span(orders).first(1), noon));
        ASSERT_TRUE(ledger.tell_of(job, orders, noon));
        EXPECT_EQ(ledger.lines(), 3U) << text();
        EXPECT_FALSE(ledger.holds("job-1")) << "it is open";
    }
    ledger_file ledger = open();
    acceptance_facts anew = job;
    const std::string other(64, 'b');
    anew.first = other;
    ASSERT_TRUE(ledger.tell_of(anew, {}, noon));
    EXPECT_EQ(ledger.lines(), 4U) << "its journal was removed, and it began anew: both are on record";
    ASSERT_TRUE(finish(ledger, "job-1"));
    ASSERT_TRUE(ledger.tell_of(job, orders, noon));
    EXPECT_EQ(ledger.lines(), 5U) << "it is over";
    expect_whole(5);
}

}  // namespace
}  // namespace culld
