#include "culld/io/spool/inotify_watch.hpp"

#include <gmock/gmock.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "support/spool_fixture.hpp"

namespace culld {
namespace {

namespace asio = boost::asio;

class SpoolWatchTest : public SpoolTest {
  protected:
    SpoolWatchTest() {
        auto opened = spool_watch::open(loop_.get_executor(), *spool_.at(spool_folder::incoming));
        EXPECT_TRUE(opened);
        watch_.emplace(std::move(*opened));
    }
    // The next batch, waited for at most two seconds.
    std::optional<watch_batch> next() {
        std::optional<watch_batch> out;
        asio::co_spawn(
            loop_.get_executor(), watch_->next(),
            asio::bind_cancellation_slot(signal_.slot(), [&](std::exception_ptr broken, result<watch_batch> batch) {
                EXPECT_FALSE(broken);
                EXPECT_TRUE(batch);
                out = *std::move(batch);
            }));
        loop_.restart();
        loop_.run_for(std::chrono::seconds(2));
        return out;
    }
    static std::vector<std::pair<std::string, file_event>> events(const watch_batch& batch) {
        std::vector<std::pair<std::string, file_event>> out;
        for (const watch_event& event : batch.events) out.emplace_back(event.name, event.what);
        return out;
    }

    asio::io_context loop_;
    asio::cancellation_signal signal_;
    std::optional<spool_watch> watch_;
};

TEST_F(SpoolWatchTest, TellsHowEachFileCame) {
    copy_in("copied");
    rename_in("renamed");
    ASSERT_EQ(::link(path("incoming", "copied").c_str(), path("incoming", "linked").c_str()), 0);
    ASSERT_EQ(::unlink(path("incoming", "renamed").c_str()), 0);
    const auto batch = next();
    ASSERT_TRUE(batch);
    const std::vector<std::pair<std::string, file_event>> expected{
        {"copied", file_event::created},   {"copied", file_event::opened},  {"copied", file_event::closed},
        {"renamed", file_event::moved_in}, {"linked", file_event::created}, {"renamed", file_event::left}};
    EXPECT_EQ(events(*batch), expected);
}

TEST_F(SpoolWatchTest, TellsOfLostEvents) {
    for (int i = 0; i < 20'000; ++i) copy_in(std::to_string(i % 100));
    bool overflow = false;
    std::size_t count = 0;
    for (;;) {
        const auto batch = watch_->poll();
        ASSERT_TRUE(batch);
        overflow = overflow || batch->overflow;
        if (batch->events.empty()) break;
        EXPECT_LE(batch->events.size(), 512U);
        count += batch->events.size();
    }
    EXPECT_TRUE(overflow) << count;
}

TEST_F(SpoolWatchTest, IsOverWhenTheFolderGoes) {
    std::filesystem::remove(dir_ + "/incoming");
    const auto removed = next();
    ASSERT_TRUE(removed);
    EXPECT_TRUE(removed->gone);
}

TEST_F(SpoolWatchTest, IsOverWhenTheFolderIsRenamed) {
    std::filesystem::rename(dir_ + "/incoming", dir_ + "/elsewhere");
    const auto renamed = next();
    ASSERT_TRUE(renamed);
    EXPECT_TRUE(renamed->gone);
}

TEST_F(SpoolWatchTest, WaitsUntilCancelled) {
    // Posted twice over, so that the wait has begun.
    asio::post(loop_, [this] { asio::post(loop_, [this] { signal_.emit(asio::cancellation_type::terminal); }); });
    const auto batch = next();
    ASSERT_TRUE(batch);
    EXPECT_TRUE(batch->closed);
}

TEST_F(SpoolWatchTest, EndsWhenClosed) {
    watch_->close();
    const auto batch = next();
    ASSERT_TRUE(batch);
    EXPECT_TRUE(batch->closed);
}

}  // namespace
}  // namespace culld
