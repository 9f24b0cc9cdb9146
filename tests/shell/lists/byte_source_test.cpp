#include "culld/io/lists/byte_source.hpp"

#include <gtest/gtest.h>

#include "support/packed.hpp"
#include "support/scratch.hpp"

namespace culld {
namespace {

class ByteSource : public testing::Test {
  protected:
    result<std::string> read(std::string_view content, compression packed) {
        const unique_fd fd = dir_.file("f", content);
        byte_source from(fd.get(), "f", packed);
        std::string out;
        for (;;) {
            const auto block = from.next();
            if (!block) return fail(block.error());
            if (block->empty()) break;
            out.append(*block);
        }
        EXPECT_TRUE(from.next()->empty());  // the end stays the end
        facts_ = from.facts();
        return out;
    }

    static std::string long_text() {
        std::string out;
        for (std::uint64_t i = 0; i < 40'000; ++i) out += uuid(i) + "\n";
        return out;
    }

    scratch dir_;
    source_facts facts_;
};

TEST_F(ByteSource, GivesWhatIsThereAndItsFacts) {
    EXPECT_EQ(read("", compression::none), "");
    EXPECT_EQ(facts_.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(read("abc", compression::none), "abc");
    EXPECT_EQ(facts_.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(facts_.bytes, 3U);
    EXPECT_EQ(facts_.file, "f");
    EXPECT_EQ(read(long_text(), compression::none), long_text());
}

TEST_F(ByteSource, UnpacksAndHashesThePackedBytes) {
    const std::string text = long_text();
    for (const auto& [packed, kind] :
         {std::pair(gzipped(text), compression::gzip), std::pair(zstd_frame(text), compression::zstd)}) {
        EXPECT_EQ(read(packed, kind), text);
        EXPECT_EQ(facts_.bytes, packed.size());
        sha256 hash;
        hash.update(packed);
        EXPECT_EQ(facts_.sha256, hex(hash.finish()));
    }
}

TEST_F(ByteSource, SeveralMembersAreOneStream) {
    const std::string text = long_text();
    EXPECT_EQ(read(gzipped("a\n") + gzipped("") + gzipped(text), compression::gzip), "a\n" + text);
    EXPECT_EQ(read(zstd_frame("a\n") + zstd_frame("") + zstd_frame(text), compression::zstd), "a\n" + text);
}

TEST_F(ByteSource, ACutStreamIsAnErrorWhereverItIsCut) {
    const std::string text = "one\ntwo\nthree\n";
    for (const auto& [packed, kind] :
         {std::pair(gzipped(text), compression::gzip), std::pair(zstd_frame(text), compression::zstd)})
        for (std::size_t keep = 0; keep < packed.size(); ++keep)
            EXPECT_FALSE(read(packed.substr(0, keep), kind)) << keep << " of " << packed.size();
}

TEST_F(ByteSource, BytesBehindTheEndAreAnError) {
    for (const std::string& garbage : {std::string("x"), std::string("garbage!"), std::string(512, '\0')}) {
        EXPECT_FALSE(read(gzipped("a\n") + garbage, compression::gzip));
        EXPECT_FALSE(read(zstd_frame("a\n") + garbage, compression::zstd));
    }
}

TEST_F(ByteSource, ADamagedStreamIsAnError) {
    std::string packed = gzipped(long_text());
    packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 1);  // in the checksum
    EXPECT_FALSE(read(packed, compression::gzip));
    EXPECT_FALSE(read("not packed at all", compression::gzip));
    EXPECT_FALSE(read("not packed at all", compression::zstd));
}

TEST_F(ByteSource, AZstdWindowOfMoreThan8MiBIsRefused) {
    EXPECT_TRUE(read(zstd_frame(long_text(), 23), compression::zstd));
    const auto wide = read(zstd_frame(long_text(), 27), compression::zstd);
    ASSERT_FALSE(wide);
    EXPECT_EQ(wide.error().what, "cannot be unpacked: it was packed with a window of more than 8 MiB");
    EXPECT_NE(wide.error().hint.find("without --long"), std::string::npos) << wide.error().hint;
}

// 200 KB of it would be 4 GiB to read.
TEST_F(ByteSource, WhatUnpacksToHundredsOfTimesItsSizeIsRefusedEarly) {
    const std::string blank(std::size_t{96} << 20U, '\n');
    for (const auto& [content, packed] :
         {std::pair(gzipped(blank), compression::gzip), std::pair(zstd_frame(blank), compression::zstd)}) {
        const unique_fd fd = dir_.file("f", content);
        byte_source from(fd.get(), "f", packed);
        std::uint64_t bytes = 0;
        auto block = from.next();
        for (; block && !block->empty(); block = from.next()) bytes += block->size();
        ASSERT_FALSE(block);
        EXPECT_EQ(block.error().what, "unpacks to more than 300 times its size");
        EXPECT_FALSE(from.failed_to_read());
        EXPECT_LE(bytes, unpacked_bytes_free);
    }
}

TEST_F(ByteSource, AHugeRatioStreamsThrough) {
    const std::string zeros(std::size_t{64} << 20U, 'x');
    EXPECT_EQ(read(gzipped(zeros), compression::gzip)->size(), zeros.size());
    EXPECT_EQ(read(zstd_frame(zeros), compression::zstd)->size(), zeros.size());
}

TEST_F(ByteSource, StopsWhenAsked) {
    reading_watch watch;
    for (const auto& [content, packed] : {std::pair(long_text(), compression::none),
                                          std::pair(gzipped(std::string(1U << 20U, 'x')), compression::gzip)}) {
        const unique_fd fd = dir_.file("f", content);
        byte_source from(fd.get(), "f", packed, &watch);
        watch.stop = false;
        EXPECT_TRUE(from.next());
        watch.stop = true;
        EXPECT_FALSE(from.next());
        EXPECT_TRUE(from.failed_to_read());
    }
}

TEST_F(ByteSource, AnUnreadableFileIsNotTheFilesFault) {
    byte_source from(dir_.here().fd(), "f", compression::none);  // a folder cannot be read
    EXPECT_FALSE(from.next());
    EXPECT_TRUE(from.failed_to_read());
}

}  // namespace
}  // namespace culld
