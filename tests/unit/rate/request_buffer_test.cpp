#include "culld/core/rate/request_buffer.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>

namespace culld {
namespace {

TEST(RequestBuffer, IsTheHeadAndThenTheBody) {
    request_text text;
    text.begin() += "{}";
    EXPECT_EQ(text.body(), "{}");
    EXPECT_EQ(text.whole(), "{}");
    text.put_head("GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(text.head(), "GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(text.body(), "{}");
    EXPECT_EQ(text.whole(), "GET / HTTP/1.1\r\n\r\n{}");
}

TEST(RequestBuffer, IsEmptyBeforeItsFirst) {
    const request_text text;
    EXPECT_EQ(text.whole(), "");
    EXPECT_EQ(text.head(), "");
    EXPECT_EQ(text.body(), "");
}

// A head that needs more room than there is, one that needs less than the one before, and a body that grows.
TEST(RequestBuffer, NothingOfTheOneBeforeIsLeft) {
    EXPECT_TRUE(rc::check([] {
        request_text text;
        for (int i = 0; i < 4; ++i) {
            const std::string head(*rc::gen::inRange<std::size_t>(0, 5000), static_cast<char>('a' + i));
            const std::string body(*rc::gen::inRange<std::size_t>(0, 5000), static_cast<char>('A' + i));
            std::string& out = text.begin();
            out += body;
            text.put_head(head);
            RC_ASSERT(text.head() == head);
            RC_ASSERT(text.body() == body);
            RC_ASSERT(text.whole() == head + body);
        }
    }));
}

}  // namespace
}  // namespace culld
