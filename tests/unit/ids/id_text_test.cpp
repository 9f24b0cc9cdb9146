#include "culld/core/ids/id_text.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>

#include <string>

namespace culld {
namespace {

constexpr std::string_view lower = "0f0e6c1e-6a3b-4f0e-9a51-5d1c5f1f0a01";

std::string compared(std::string_view id) {
    return std::string(compared_id(id).text());
}

TEST(IdText, AUuidIsOneInWhateverCase) {
    EXPECT_EQ(compared("0F0E6C1E-6A3B-4F0E-9A51-5D1C5F1F0A01"), lower);
    EXPECT_EQ(compared(lower), lower);
    EXPECT_EQ(compared("0F0e6C1E6A3B4F0E9A515D1C5F1F0A01"), "0f0e6c1e6a3b4f0e9a515d1c5f1f0a01");
    // One capital anywhere.
    for (std::size_t i = 0; i < lower.size(); ++i) {
        std::string id(lower);
        if (id[i] < 'a') continue;
        id[i] = static_cast<char>(id[i] - 'a' + 'A');
        EXPECT_EQ(compared(id), lower) << i;
    }
}

TEST(IdText, WhatIsNoUuidIsComparedByteByByte) {
    for (const char* id : {"ABC", "0F0E6C1E-6A3B-4F0E-9A51-5D1C5F1F0A0G", "0F0E6C1E_6A3B-4F0E-9A51-5D1C5F1F0A01",
                           "0F0E6C1E-6A3B-4F0E-9A51-5D1C5F1F0A011", "0F0E6C1E6A3B4F0E9A515D1C5F1F0A010000",
                           "0F0E6C1E6A3B4F0E9A515D1C5F1F0A0", "0F0E6C1E-A3B-4F0E-9A51-D1C5F1F0A01"})
        EXPECT_EQ(compared(id), id);
}

TEST(IdText, OnlyTheWholeUuidIsOne) {
    EXPECT_TRUE(is_uuid(lower));
    EXPECT_TRUE(is_uuid("0f0e6c1e6a3b4f0e9a515d1c5f1f0a01"));
    for (std::size_t n = 0; n < lower.size(); ++n) EXPECT_FALSE(is_uuid(lower.substr(0, n)));
}

}  // namespace
}  // namespace culld
