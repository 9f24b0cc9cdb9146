#include "culld/core/notify/notification_queue.hpp"

#include <gtest/gtest.h>

namespace culld {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using delivery_state = notification_queue::delivery_state;

const steady_time begun = steady_time() + std::chrono::hours(1);

std::string first_of(const notification_queue& q, steady_time now) {
    const std::string* const out = q.next(now);
    return out == nullptr ? "none" : *out;
}

TEST(NotificationQueue, HandsOutOneAtATimeInTheOrderOfTheEvents) {
    notification_queue q(3);
    EXPECT_EQ(first_of(q, begun), "none");
    EXPECT_FALSE(q.due());
    EXPECT_TRUE(q.add("a"));
    EXPECT_TRUE(q.add("b"));
    EXPECT_EQ(first_of(q, begun), "a");
    EXPECT_EQ(first_of(q, begun), "a") << "until it is told what came of it";
    EXPECT_EQ(q.came(delivery::arrived, begun, 0.5), delivery_state::arrived);
    EXPECT_EQ(first_of(q, begun), "b");
    EXPECT_EQ(q.came(delivery::arrived, begun, 0.5), delivery_state::arrived);
    EXPECT_EQ(q.size(), 0U);
    EXPECT_EQ(q.counted().arrived, 2U);
}

TEST(NotificationQueue, TriesAgainLaterAndLater) {
    notification_queue q(10);
    ASSERT_TRUE(q.add("a"));
    ASSERT_TRUE(q.add("b"));
    steady_time now = begun;
    nanoseconds last{};
    for (int tries = 1; tries < 10; ++tries) {
        EXPECT_EQ(first_of(q, now), "a");
        EXPECT_EQ(q.came(delivery::again, now, 0.999), delivery_state::waits);
        EXPECT_EQ(q.tries(), static_cast<std::uint32_t>(tries));
        ASSERT_TRUE(q.due());
        const nanoseconds wait = *q.due() - now;
        EXPECT_GE(wait, last);
        EXPECT_LE(wait, minutes(5));
        EXPECT_EQ(first_of(q, *q.due() - milliseconds(1)), "none") << "those behind it keep their place";
        now = *q.due();
        last = wait;
    }
    EXPECT_GT(now - begun, minutes(10)) << "a receiver may be away that long";
    EXPECT_EQ(q.came(delivery::again, now, 0.999), delivery_state::failed);
    EXPECT_EQ(first_of(q, now), "b") << "at once: it has had no try";
    EXPECT_EQ(q.tries(), 0U);
    EXPECT_EQ(q.counted().failed, 1U);
}

TEST(NotificationQueue, GivesUpAtOnceWhatIsRefused) {
    notification_queue q(10);
    ASSERT_TRUE(q.add("a"));
    EXPECT_EQ(q.came(delivery::never, begun, 0.5), delivery_state::failed);
    EXPECT_EQ(q.size(), 0U);
}

TEST(NotificationQueue, TakesFewerAttemptsFromAReloadOn) {
    notification_queue q(10);
    ASSERT_TRUE(q.add("a"));
    EXPECT_EQ(q.came(delivery::again, begun, 0.5), delivery_state::waits);
    q.set_attempts(2);
    EXPECT_EQ(q.came(delivery::again, begun + seconds(9), 0.5), delivery_state::failed);
}

TEST(NotificationQueue, DropsWhatComesWhileItIsFull) {
    notification_queue q(10);
    for (std::size_t i = 0; i < notification_queue::waiting_max; ++i) ASSERT_TRUE(q.add(std::to_string(i)));
    EXPECT_FALSE(q.add("too many"));
    EXPECT_EQ(q.counted().dropped, 1U);
    EXPECT_EQ(q.came(delivery::arrived, begun, 0.5), delivery_state::arrived);
    EXPECT_TRUE(q.add("fits again"));
    EXPECT_EQ(q.clear(), notification_queue::waiting_max);
    EXPECT_EQ(q.counted().failed, notification_queue::waiting_max) << "each has one fate";
    EXPECT_FALSE(q.due());
}

TEST(NotificationQueue, AddingDoesNotMoveTheOneUnderWay) {
    notification_queue q(10);
    ASSERT_TRUE(q.add("a"));
    const std::string* const first = q.next(begun);
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(q.add("more"));
    EXPECT_EQ(first, q.next(begun));
}

TEST(Delivery, GoesByStatusAndExitCode) {
    for (const unsigned good : {200U, 201U, 202U, 204U}) EXPECT_EQ(delivery_of_status(good), delivery::arrived);
    for (const unsigned later : {408U, 425U, 429U, 500U, 502U, 503U, 504U})
        EXPECT_EQ(delivery_of_status(later), delivery::again) << later;
    for (const unsigned no : {301U, 302U, 307U, 400U, 401U, 403U, 404U, 405U, 410U, 413U})
        EXPECT_EQ(delivery_of_status(no), delivery::never) << no;
    EXPECT_EQ(delivery_of_exit(0), delivery::arrived);
    for (const int code : {1, 75, 126, 127, 255, -1}) EXPECT_EQ(delivery_of_exit(code), delivery::again) << code;
}

}  // namespace
}  // namespace culld
