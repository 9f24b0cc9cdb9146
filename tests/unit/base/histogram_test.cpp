#include "culld/core/base/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace culld {
namespace {

constexpr std::array three{0.1, 1.0, 10.0};

TEST(Histogram, CountsWhatTookAtMostAStep) {
    histogram<three> h;
    for (const double s : {0.0, 0.1, 0.11, 1.0, 9.0, 11.0}) h.seen(s);
    EXPECT_EQ(h.up_to(0), 2U) << "a step holds its own end";
    EXPECT_EQ(h.up_to(1), 4U);
    EXPECT_EQ(h.up_to(2), 5U);
    EXPECT_EQ(h.count(), 6U);
    EXPECT_DOUBLE_EQ(h.sum(), 21.21);
}

TEST(Histogram, HasStepsThatRise) {
    EXPECT_TRUE(std::is_sorted(request_steps.begin(), request_steps.end()));
    EXPECT_TRUE(std::is_sorted(fsync_steps.begin(), fsync_steps.end()));
    EXPECT_TRUE(std::is_sorted(job_steps.begin(), job_steps.end()));
}

}  // namespace
}  // namespace culld
