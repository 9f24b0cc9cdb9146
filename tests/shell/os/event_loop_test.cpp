#include "culld/io/os/event_loop.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/loop_fixture.hpp"

namespace culld {
namespace {

using std::chrono::milliseconds;

class Event : public testing::Test {
  protected:
    task<void> wait_for_flag(int& woken) {
        while (!flag_) {
            co_await event_->wait();
            ++woken;
        }
    }

    looped loop_;
    std::unique_ptr<event> event_ = std::make_unique<event>(loop_.executor());
    bool flag_ = false;
};

TEST_F(Event, WakesWhoeverWaits) {
    int first = 0;
    int second = 0;
    loop_.spawn(wait_for_flag(first));
    loop_.spawn(wait_for_flag(second));
    loop_.poll();
    flag_ = true;
    event_->notify();
    loop_.poll();
    EXPECT_EQ(first, 1);
    EXPECT_EQ(second, 1);
}

TEST_F(Event, LetsMoreThanOneWaitWithoutWakingEachOther) {
    int first = 0;
    int second = 0;
    loop_.spawn(wait_for_flag(first));
    loop_.spawn(wait_for_flag(second));
    EXPECT_LT(loop_.poll(), 100U);
    EXPECT_EQ(first + second, 0);
    flag_ = true;
    event_->notify();
    loop_.poll();
}

TEST_F(Event, KeepsTheDeadlineOfEachWhoWaits) {
    const steady_time start = steady_now();
    int other = 0;
    bool over = false;
    const auto timed = [&]() -> task<void> {
        co_await event_->wait_until(start + milliseconds(30));
        over = true;
    };
    loop_.spawn(timed());
    loop_.spawn(wait_for_flag(other));
    loop_.until([&] { return over; });
    EXPECT_GE(steady_now() - start, milliseconds(30));
    EXPECT_LT(steady_now() - start, hang_limit / 2);
    EXPECT_EQ(other, 0);
    flag_ = true;
    event_->notify();
    loop_.poll();
}

TEST_F(Event, NotifiedBeforeItsDeadlineReturnsAtOnce) {
    bool over = false;
    const auto timed = [&]() -> task<void> {
        co_await event_->wait_until(steady_now() + std::chrono::hours(1));
        over = true;
    };
    loop_.spawn(timed());
    loop_.poll();
    EXPECT_FALSE(over);
    event_->notify();
    loop_.poll();
    EXPECT_TRUE(over);
}

TEST_F(Event, ThatIsPastReturnsAtOnce) {
    bool over = false;
    const auto timed = [&]() -> task<void> {
        co_await event_->wait_until(steady_now() - milliseconds(1));
        over = true;
    };
    loop_.spawn(timed());
    loop_.until([&] { return over; });
}

TEST_F(Event, ThatGoesAwayWakesWhoeverWaits) {
    bool over = false;
    const auto waiting = [&]() -> task<void> {
        co_await event_->wait();
        over = true;
    };
    loop_.spawn(waiting());
    loop_.poll();
    event_.reset();
    loop_.poll();
    EXPECT_TRUE(over);
}

TEST_F(Event, AndItsLoopMayEndInEitherOrderWithSomebodyWaiting) {
    for (const bool event_first : {true, false}) {
        int woken = 0;
        auto loop = std::make_unique<looped>();
        auto owned = std::make_unique<event>(loop->executor());
        const auto waiting = [&]() -> task<void> {
            co_await owned->wait();
            ++woken;
        };
        loop->spawn(waiting());
        loop->poll();
        if (event_first) owned.reset();
        loop.reset();  // destroys the coroutine where it waits
        owned.reset();
        EXPECT_EQ(woken, 0);
    }
}

class WorkerThread : public testing::Test {
  protected:
    looped loop_;
};

TEST_F(WorkerThread, WorksInTheOrderOfPostingOffTheLoopAndAnswersOnIt) {
    worker_thread worker(loop_.executor());
    const auto home = std::this_thread::get_id();
    std::vector<int> worked;
    std::vector<int> answered;
    for (int i = 0; i < 100; ++i) {
        const auto work = [&worked, i, home] {
            EXPECT_NE(std::this_thread::get_id(), home);
            worked.push_back(i);
            return i;
        };
        worker.post(work, [&answered, home](int value) {
            EXPECT_EQ(std::this_thread::get_id(), home);
            answered.push_back(value);
        });
    }
    loop_.until([&] { return answered.size() == 100; });
    std::vector<int> order(100);
    for (int i = 0; i < 100; ++i) order[static_cast<std::size_t>(i)] = i;
    EXPECT_EQ(worked, order);
    EXPECT_EQ(answered, order);
}

TEST_F(WorkerThread, HandsAResultToTheCoroutineThatWaits) {
    worker_thread worker(loop_.executor());
    const auto make = [] { return std::make_unique<int>(42); };
    const auto got = loop_.wait(worker.run(make));
    ASSERT_TRUE(got);
    EXPECT_EQ(*got, 42);
}

TEST_F(WorkerThread, SaysSinceWhenNothingGotDone) {
    worker_thread worker(loop_.executor());
    EXPECT_FALSE(worker.busy_since());
    int answered = 0;
    const auto nothing = [] { return 0; };
    const steady_time before = steady_now();
    worker.post(nothing, [&](int) { ++answered; });
    const auto first = worker.busy_since();
    ASSERT_TRUE(first);
    EXPECT_GE(*first, before);
    EXPECT_LE(*first, steady_now());
    worker.post(nothing, [&](int) { ++answered; });
    EXPECT_EQ(worker.busy_since(), first);
    loop_.until([&] { return answered == 1; });
    ASSERT_TRUE(worker.busy_since());
    EXPECT_GE(*worker.busy_since(), *first);
    loop_.until([&] { return answered == 2; });
    EXPECT_FALSE(worker.busy_since());
}

TEST_F(WorkerThread, ThatGetsOnIsNotStalledHoweverLongItsQueue) {
    worker_thread worker(loop_.executor());
    int answered = 0, told = 0;
    worker.watch(std::chrono::milliseconds(60), [&](bool) { ++told; });
    const auto brief = [] {
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
        return 0;
    };
    for (int i = 0; i < 50; ++i) worker.post(brief, [&](int) { ++answered; });
    loop_.until([&] { return answered == 50; });
    EXPECT_EQ(told, 0);
}

TEST_F(WorkerThread, ThatHangsSaysSoOnceAndWhenItGetsOn) {
    worker_thread worker(loop_.executor());
    std::vector<bool> told;
    worker.watch(std::chrono::milliseconds(20), [&](bool stalled) { told.push_back(stalled); });
    std::atomic<bool> go{false};
    bool answered = false;
    const auto hang = [&go] {
        while (!go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return 0;
    };
    worker.post(hang, [&](int) { answered = true; });
    loop_.until([&] { return !told.empty(); });
    EXPECT_EQ(told, std::vector<bool>{true});
    EXPECT_FALSE(answered);
    go = true;
    loop_.until([&] { return answered; });
    EXPECT_EQ(told, (std::vector<bool>{true, false}));
}

// The owner of the work may be a coroutine that nobody looks at: an exception there must not be lost.
TEST(WorkerThreadDeathTest, ExceptionInTheWorkEndsTheProcessLoudly) {
    testing::GTEST_FLAG(death_test_style) = "threadsafe";
    EXPECT_DEATH(
        {
            looped loop;
            worker_thread worker(loop.executor());
            const auto work = []() -> int { throw std::runtime_error("disk on fire"); };
            loop.wait(worker.run(work));
        },
        "disk on fire");
}

}  // namespace
}  // namespace culld
