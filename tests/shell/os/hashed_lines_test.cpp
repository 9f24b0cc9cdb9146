#include "culld/io/os/hashed_lines.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "support/loop_fixture.hpp"

namespace culld {
namespace {

std::string hash_of(std::string_view text) {
    sha256 hash;
    hash.update(text);
    return hex(hash.finish());
}

class HashedLines : public testing::Test {
  protected:
    HashedLines() : dir_(std::move(folder::open(scratch_.path()).value())) {}
    unique_fd file_of(std::string_view text) {
        EXPECT_TRUE(dir_.replace("file", text, 0600));
        return std::move(dir_.open_file("file", O_RDONLY).value());
    }
    // What a line_reader, which is tested elsewhere, says of the same file, is what must come.
    void expect_same(std::string_view text) {
        line_reader plain(file_of(text), "file");
        hashed_lines hashed(file_of(text), "file");
        text_line want;
        for (;;) {
            const auto more = plain.next(want);
            ASSERT_TRUE(more);
            const auto got = hashed.next();
            ASSERT_TRUE(got);
            ASSERT_EQ(*got != nullptr, *more);
            if (!*more) break;
            ASSERT_EQ((*got)->read.text, want.text);
            ASSERT_EQ((*got)->read.number, want.number);
            ASSERT_EQ((*got)->read.offset, want.offset);
            ASSERT_EQ((*got)->read.ended, want.ended);
            ASSERT_EQ(hex((*got)->hash), hash_of(want.text));
        }
        const auto after = hashed.next();
        EXPECT_TRUE(after && *after == nullptr) << "the end stays the end";
    }

    scratch_folder scratch_;
    folder dir_;
};

TEST_F(HashedLines, AreThoseOfTheFileWithTheirHashes) {
    for (const char* text : {"", "\n", "a", "a\n", "\n\n", "a\nb", "a\n\nb\n"}) expect_same(text);
    std::mt19937 chance(3);  // NOLINT(cert-msc51-cpp): the same in every run
    std::string text;
    while (text.size() < 9U << 20U) text += std::string(chance() % 20'000, 'x') + "\n";
    expect_same(text);
    expect_same(text + "no end");
}

TEST_F(HashedLines, MayBeLongerThanABlockAndEndWhereItEnds) {
    for (const std::size_t size : {(1U << 20U) - 1, 1U << 20U, (1U << 20U) + 1, 3U << 20U, 5'000'000U}) {
        const std::string one(size, 'y');
        expect_same(one);
        expect_same(one + "\n");
        expect_same(one + "\nz\n" + one + "\n");
    }
}

// A power cut may lose a page of the last write and keep the one behind it.
TEST_F(HashedLines, TheLastWithZerosInItIsTornAndNoOther) {
    const std::string hole("a\0\0b\n", 5);
    const struct {
        std::string text;
        std::size_t whole_lines;
        std::string torn;
    } cases[] = {
        {"one\n" + hole, 1, hole},
        {hole, 0, hole},
        {hole + "one\n", 2, ""},
        {hole + hole, 1, hole},
        {"one\n" + hole + "t", 2, "t"},
        {"one\n" + std::string(1, '\0'), 1, std::string(1, '\0')},
        // Its newline is the last byte of a block, and behind it comes nothing, or more.
        {std::string((1U << 20U) - 5, 'x') + hole, 0, std::string((1U << 20U) - 5, 'x') + hole},
        {std::string((1U << 20U) - 6, 'x') + "\n" + hole, 1, hole},
        {std::string((1U << 20U) - 6, 'x') + "\n" + hole + "more\n", 3, ""},
        {std::string((2U << 20U) - 6, 'x') + "\n" + hole + hole + "more", 3, "more"},
    };
    for (const auto& c : cases) {
        SCOPED_TRACE(c.text.substr(c.text.size() - std::min<std::size_t>(c.text.size(), 20)));
        line_reader lines(file_of(c.text), "file");
        text_line line;
        std::size_t whole = 0;
        std::string torn;
        for (;;) {
            const auto more = lines.next(line);
            ASSERT_TRUE(more);
            if (!*more) break;
            if (line.ended)
                ++whole;
            else
                torn = line.text;
        }
        EXPECT_EQ(whole, c.whole_lines);
        EXPECT_EQ(torn, c.torn);
        EXPECT_EQ(lines.good_bytes(), c.text.size() - torn.size());
        expect_same(c.text);
    }
}

TEST_F(HashedLines, AreRefusedWhereOneIsTooLong) {
    hashed_lines lines(file_of("short\n" + std::string(line_bytes_max + (2U << 20U), 'x')), "file");
    ASSERT_TRUE(lines.next());
    const auto got = lines.next();
    ASSERT_FALSE(got);
    EXPECT_THAT(got.error().text(), testing::HasSubstr("file:2: a line is longer than 64 MiB"));
}

TEST_F(HashedLines, MayBeLeftWhereverOneLikes) {
    std::string text;
    for (int i = 0; i < 40'000; ++i) text += std::string(500, 'x') + "\n";
    for (const int taken : {0, 1, 2'500, 30'000}) {
        hashed_lines lines(file_of(text), "file");
        for (int i = 0; i < taken; ++i) ASSERT_TRUE(lines.next());
    }
}

TEST_F(HashedLines, OfAFileThatCannotBeReadAreAnError) {
    hashed_lines lines(unique_fd(::open(scratch_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), "a folder");
    EXPECT_FALSE(lines.next());
}

}  // namespace
}  // namespace culld
