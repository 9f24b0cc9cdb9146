#include <gtest/gtest.h>

#include "culld/core/rate/token_bucket.hpp"
#include "support/start.hpp"

namespace culld {
namespace {

using namespace std::chrono_literals;

TEST(TokenBucketLate, TheNextRequestKeepsItsDistanceFromWhenTheLastOneLeft) {
    token_bucket p(50, 1, start, true);
    const auto first = p.sent(start);
    p.left(first, start + 8ms);
    EXPECT_GE(p.ready_at(), start + 8ms + 20ms - 250us);
}

TEST(TokenBucketLate, PlacesGivenOutMeanwhileAreCountedToo) {
    token_bucket p(50, 1, start, true);
    const auto first = p.sent(start);
    static_cast<void>(p.sent(p.ready_at()));
    p.left(first, start + 15ms);
    EXPECT_GE(p.ready_at(), start + 15ms + 40ms - 250us);
}

TEST(TokenBucketLate, LeavingInTimeChangesNothing) {
    token_bucket p(50, 1, start, true);
    const auto first = p.sent(start);
    const steady_time before = p.ready_at();
    p.left(first, start + 50us);
    EXPECT_EQ(p.ready_at(), before);
}

}  // namespace
}  // namespace culld
