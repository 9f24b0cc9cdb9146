#include "culld/io/spool/incoming_watcher.hpp"

#include <gmock/gmock.h>
#include <linux/capability.h>
#include <sys/syscall.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <map>

#include "support/spool_fixture.hpp"

namespace culld {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
namespace asio = boost::asio;

steady_time now() {
    return std::chrono::steady_clock::now();
}

// Runs a real loop until what is expected has come, or ten seconds are over. What is handed out is settled as
// the app does it: taken, or rejected.
class IncomingWatcherTest : public SpoolTest {
  protected:
    void start(arrivals_limits limits = {}) {
        arrivals_.emplace(loop_.get_executor(), spool_, limits);
        asio::co_spawn(loop_.get_executor(), collect(), asio::detached);
    }
    ~IncomingWatcherTest() override {
        if (arrivals_) arrivals_->stop();
        loop_.restart();
        loop_.run_for(seconds(5));
    }

    template <class Condition>
    bool run_until(const Condition& condition, nanoseconds patience = seconds(10)) {
        const steady_time end = now() + patience;
        loop_.restart();
        while (!condition() && now() < end) loop_.run_one_for(milliseconds(20));
        return condition();
    }
    void run(nanoseconds time) {
        static_cast<void>(run_until([] { return false; }, time));
    }
    bool run_until_idle() {
        return run_until([this] { return arrivals_->idle(); });
    }

    task<void> collect() {
        for (;;) {
            const auto batch = co_await arrivals_->next();
            if (!batch) {
                ended_ = true;
                co_return;
            }
            ++batches_;
            for (const problem& trouble : batch->troubles) troubles_.push_back(trouble.text());
            for (const arrived_file& file : batch->files) {
                ++handed_[file.name];
                if (hold_) continue;
                if (file.refuse) {
                    reasons_[file.name] = file.refuse->what;
                    EXPECT_TRUE(spool_.reject(spool_folder::incoming, file.name, *file.refuse, wall_time()));
                } else {
                    const auto taken = spool_.take(file.name);
                    EXPECT_TRUE(taken);
                    if (taken->what == take_result::outcome::taken) taken_.insert(file.name);
                }
                arrivals_->settled(file.name);
            }
        }
    }

    asio::io_context loop_;
    std::optional<incoming_watcher> arrivals_;
    std::map<std::string, int> handed_;
    std::set<std::string> taken_;
    std::map<std::string, std::string> reasons_;
    std::vector<std::string> troubles_;
    int batches_ = 0;
    bool hold_ = false;
    bool ended_ = false;
};

TEST_F(IncomingWatcherTest, FindsWhatWasThereAtTheStart) {
    rename_in("a.json");
    copy_in("b.txt", "1\n");
    start();
    ASSERT_TRUE(run_until_idle());
    EXPECT_THAT(taken_, ElementsAre("a.json", "b.txt"));
    EXPECT_THAT(troubles_, IsEmpty());
}

// Whoever asks for idle() while a scan is due is told no, and asks again only when told to.
TEST_F(IncomingWatcherTest, TellsAfterEachScanThatThereIsNothing) {
    start();
    ASSERT_TRUE(run_until([&] { return batches_ == 1; }));
    for (int scans = 2; scans < 5; ++scans) {
        arrivals_->rescan();
        EXPECT_FALSE(arrivals_->idle());
        ASSERT_TRUE(run_until([&] { return batches_ == scans; }, seconds(2)));
        EXPECT_TRUE(arrivals_->idle());
    }
}

TEST_F(IncomingWatcherTest, CopiedRenamedAndLinkedInAreEachTakenOnce) {
    start();
    ASSERT_TRUE(run_until_idle());
    copy_in("copied.json");
    rename_in("renamed.json");
    std::ofstream(path("tmp", "l")) << "[]";
    ASSERT_EQ(::link(path("tmp", "l").c_str(), path("incoming", "linked.json").c_str()), 0);
    run(milliseconds(30));
    ASSERT_EQ(::unlink(path("tmp", "l").c_str()), 0);
    ASSERT_TRUE(run_until([this] { return taken_.size() == 3; }, seconds(2)));
    run(milliseconds(100));
    EXPECT_EQ(handed_, (std::map<std::string, int>{{"copied.json", 1}, {"renamed.json", 1}, {"linked.json", 1}}));
    EXPECT_TRUE(arrivals_->idle());
}

TEST_F(IncomingWatcherTest, ARenamedFileIsReadyWithinMilliseconds) {
    start();
    ASSERT_TRUE(run_until_idle());
    rename_in("a.json");
    const steady_time began = now();
    ASSERT_TRUE(run_until([this] { return taken_.size() == 1; }));
    EXPECT_LT(now() - began, milliseconds(500));
}

TEST_F(IncomingWatcherTest, APausedWriterIsWaitedFor) {
    start();
    ASSERT_TRUE(run_until_idle());
    std::ofstream writing(path("incoming", "a.json"));
    writing << "half" << std::flush;
    run(milliseconds(2500));  // longer than any quiet time
    EXPECT_THAT(handed_, IsEmpty());
    EXPECT_TRUE(arrivals_->idle()) << "a file being written is nobody's work yet";
    writing.close();
    ASSERT_TRUE(run_until([this] { return taken_.size() == 1; }, seconds(1)));
}

TEST_F(IncomingWatcherTest, AWriterWhoWasThereBeforeTheStartIsWaitedFor) {
    std::ofstream writing(path("incoming", "a.json"));
    writing << "half" << std::flush;
    start();
    run(milliseconds(2500));
    EXPECT_THAT(handed_, IsEmpty());
    writing.close();
    ASSERT_TRUE(run_until([this] { return taken_.size() == 1; }, seconds(1)));
}

// As in production: the files belong to their submitters, and the daemon has no CAP_LEASE.
class WithoutLeaseTest : public IncomingWatcherTest {
  protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "only root can make other users' files";
        set_lease(false);
    }
    void TearDown() override {
        if (::geteuid() == 0) set_lease(true);
    }
    static void set_lease(bool on) {
        __user_cap_header_struct head{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
        __user_cap_data_struct data[2]{};
        ASSERT_EQ(::syscall(SYS_capget, &head, data), 0);
        constexpr std::uint32_t bit = 1U << CAP_LEASE;
        data[0].effective = on ? data[0].effective | bit : data[0].effective & ~bit;
        ASSERT_EQ(::syscall(SYS_capset, &head, data), 0);
    }
    void give_away(std::string_view where, std::string_view name) const {
        ASSERT_EQ(::chown(path(where, name).c_str(), 65534, 65534), 0);
    }
};

TEST_F(WithoutLeaseTest, APausedWriterIsKnownByHisOpen) {
    start({.rescan = milliseconds(500)});
    ASSERT_TRUE(run_until_idle());
    std::ofstream writing(path("incoming", "a.json"));
    give_away("incoming", "a.json");
    ASSERT_EQ(spool_.ask_writer(*spool_.at(spool_folder::incoming), "a.json"), writer::not_allowed);
    writing << "half" << std::flush;
    run(milliseconds(3000));
    EXPECT_THAT(handed_, IsEmpty());
    writing.close();
    ASSERT_TRUE(run_until([this] { return taken_.size() == 1; }, seconds(5)));
}

TEST_F(WithoutLeaseTest, ALinkedFileIsTakenOnceItIsQuiet) {
    start();
    ASSERT_TRUE(run_until_idle());
    std::ofstream(path("tmp", "l")) << "[]";
    give_away("tmp", "l");
    ASSERT_EQ(::link(path("tmp", "l").c_str(), path("incoming", "a.json").c_str()), 0);
    ASSERT_EQ(::unlink(path("tmp", "l").c_str()), 0);
    ASSERT_TRUE(run_until([this] { return taken_.size() == 1; }, seconds(5)));
}

TEST_F(WithoutLeaseTest, AYoungFileThatWasThereAtTheStartMustBeQuiet) {
    copy_in("a.json");
    give_away("incoming", "a.json");
    start();
    run(milliseconds(3000));
    EXPECT_THAT(handed_, IsEmpty());
    ASSERT_TRUE(run_until([this] { return taken_.size() == 1; }, seconds(12)));
    EXPECT_THAT(troubles_, ElementsAre(HasSubstr("CAP_LEASE")));
}

TEST_F(IncomingWatcherTest, HostileThingsAreEachRejectedUnopenedWithTheirReason) {
    std::ofstream(top_ + "/secret") << "secret";
    ASSERT_EQ(::chmod((top_ + "/secret").c_str(), 0600), 0);
    const auto in = [this](const std::string& name) { return path("incoming", name); };
    const auto plant = [&] {
        ASSERT_EQ(::symlink((top_ + "/secret").c_str(), in("link.json").c_str()), 0);
        ASSERT_EQ(::symlink("nowhere", in("dangling.json").c_str()), 0);
        ASSERT_EQ(::symlink("loop.json", in("loop.json").c_str()), 0);
        ASSERT_EQ(::link((top_ + "/secret").c_str(), in("hard.json").c_str()), 0);
        ASSERT_EQ(::mkfifo(in("fifo.json").c_str(), 0666), 0);
        ASSERT_EQ(::mkfifo(in("list.ids").c_str(), 0666), 0);
        ASSERT_EQ(::mkdir(in("dir.json").c_str(), 0700), 0);
        for (const char* name : {"new\nline.json", "\x1b[2Jesc.json", "bad\xff\xfe.json", "tool.exe", "job.json.gz"})
            rename_in(name);
        for (const char* name : {"-rf.json", "%s%n.json"}) rename_in(name);
        rename_in(std::string(249, 'x') + ".json");
        std::ofstream(in(".hidden.json")) << "x";
        std::ofstream(in("a.json.tmp")) << "x";
    };
    start();
    ASSERT_TRUE(run_until_idle());
    plant();
    ASSERT_TRUE(run_until([this] { return taken_.size() == 3 && reasons_.size() == 12; }))
        << testing::PrintToString(reasons_);
    EXPECT_THAT(reasons_["link.json"], HasSubstr("symbolic link"));
    EXPECT_THAT(reasons_["dangling.json"], HasSubstr("symbolic link"));
    EXPECT_THAT(reasons_["loop.json"], HasSubstr("symbolic link"));
    EXPECT_THAT(reasons_["hard.json"], HasSubstr("2 hard links"));
    EXPECT_THAT(reasons_["fifo.json"], HasSubstr("FIFO"));
    EXPECT_THAT(reasons_["list.ids"], HasSubstr("FIFO"));
    EXPECT_THAT(reasons_["dir.json"], HasSubstr("folder"));
    EXPECT_THAT(reasons_["new\nline.json"], HasSubstr("control character"));
    EXPECT_THAT(reasons_["\x1b[2Jesc.json"], HasSubstr("control character"));
    EXPECT_THAT(reasons_["bad\xff\xfe.json"], HasSubstr("UTF-8"));
    EXPECT_THAT(reasons_["tool.exe"], HasSubstr("suffix"));
    EXPECT_THAT(reasons_["job.json.gz"], HasSubstr("suffix"));
    EXPECT_THAT(names(spool_folder::incoming), UnorderedElementsAre(".hidden.json", "a.json.tmp"));
    EXPECT_EQ(names(spool_folder::rejected).size(), 24U);
    EXPECT_EQ(read_small_file(top_ + "/secret", 100), "secret");
}

// One owner's files, however many and however slow, take nothing from another's.
TEST_F(IncomingWatcherTest, AnOwnerWhoseFilesHaveNoRoomHoldsUpNobodyElse) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make other users' files";
    const auto give = [this](const std::string& name) {
        ASSERT_EQ(::chown(path("incoming", name).c_str(), 64912, 64912), 0);
    };
    for (int i = 0; i < 500; ++i) copy_in(fmt::format("{}.txt", i), "1\n");
    copy_in("there-before.txt", "1\n");
    give("there-before.txt");
    hold_ = true;
    start({.rescan = seconds(30), .handed_max = 10, .waiting_max = 10, .batch_max = 4});
    ASSERT_TRUE(run_until([this] { return handed_.size() >= 10; }));
    rename_in("comes-now.txt", "1\n");
    give("comes-now.txt");
    EXPECT_TRUE(
        run_until([this] { return handed_.contains("comes-now.txt") && handed_.contains("there-before.txt"); }));
    EXPECT_EQ(handed_.size(), 12U);
    EXPECT_FALSE(arrivals_->idle());
}

TEST_F(IncomingWatcherTest, WhoMayNotTakeNowWaitsAndNobodyElse) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make other users' files";
    bool closed = true;
    start();
    arrivals_->may_take = [&closed](std::uint32_t uid) { return uid != 64912 || !closed; };
    copy_in("his.txt", "1\n");
    ASSERT_EQ(::chown(path("incoming", "his.txt").c_str(), 64912, 64912), 0);
    copy_in("ours.txt", "1\n");
    ASSERT_TRUE(run_until([this] { return taken_.contains("ours.txt"); }));
    run(milliseconds(100));
    EXPECT_THAT(taken_, ElementsAre("ours.txt"));
    closed = false;
    arrivals_->more();
    EXPECT_TRUE(run_until([this] { return taken_.contains("his.txt"); }));
}

TEST_F(IncomingWatcherTest, AFileThatWePutBackIsNotTakenForOneThatWasRenamedIn) {
    start();
    copy_in("a.json");
    ASSERT_TRUE(run_until([this] { return taken_.size() == 1; }));
    const auto facts = spool_.look(spool_folder::active, "a.json");
    arrivals_->comes_back(**facts);
    open_job job;
    job.name = "a.json";
    job.facts = **facts;
    ASSERT_TRUE(spool_.put_back(job, "a.json"));
    taken_.clear();
    run(milliseconds(1000));
    EXPECT_THAT(taken_, IsEmpty());
    EXPECT_TRUE(run_until([this] { return taken_.size() == 1; }, seconds(4)));
}

TEST_F(IncomingWatcherTest, AFileThatComesWhileItsNameIsHandedOutIsFoundWhenThatIsSettled) {
    hold_ = true;
    start();
    rename_in("a.json", "first");
    ASSERT_TRUE(run_until([this] { return handed_["a.json"] == 1; }));
    ASSERT_EQ(spool_.take("a.json")->what, take_result::outcome::taken);
    rename_in("a.json", "second");
    run(milliseconds(50));
    EXPECT_EQ(handed_["a.json"], 1);
    arrivals_->settled("a.json");
    ASSERT_TRUE(run_until([this] { return handed_["a.json"] == 2; }, seconds(1)));
}

TEST_F(IncomingWatcherTest, TwentyThousandFilesAreAllFoundOnceWithLittleRoom) {
    for (int i = 0; i < 10'000; ++i) copy_in(fmt::format("{}.txt", i), "1\n");
    hold_ = true;
    start({.rescan = seconds(30), .handed_max = 100, .waiting_max = 10, .batch_max = 7});
    int settled = 0;
    const auto settle_all = [&] {
        for (auto& [name, times] : handed_) {
            if (times != 1) continue;
            std::filesystem::remove(path("incoming", name));
            ++times;
            ++settled;
            arrivals_->settled(name);
        }
        return settled;
    };
    ASSERT_TRUE(run_until([&] { return settle_all() >= 2'000; }, seconds(60)));
    // The other half comes by event while there is no room for it: what is lost is scanned for.
    for (int i = 10'000; i < 20'000; ++i) copy_in(fmt::format("{}.txt", i), "1\n");
    ASSERT_TRUE(run_until([&] { return settle_all() == 20'000; }, seconds(60))) << settled;
    EXPECT_THAT(names(spool_folder::incoming), IsEmpty());
    ASSERT_TRUE(run_until_idle());
}

TEST_F(IncomingWatcherTest, AfterTheKernelsQueueOverflowedAScanFindsTheRest) {
    start();
    ASSERT_TRUE(run_until_idle());
    // Each file makes three events or more; the queue holds 16,384 by default. Nobody reads meanwhile.
    for (int i = 0; i < 8'000; ++i) copy_in(fmt::format("{}.txt", i), "1\n");
    hold_ = true;
    std::size_t settled = 0;
    ASSERT_TRUE(run_until(
        [&] {
            for (auto& [name, times] : handed_) {
                if (times != 1) continue;
                std::filesystem::remove(path("incoming", name));
                ++times;
                ++settled;
                arrivals_->settled(name);
            }
            return settled == 8'000;
        },
        seconds(60)))
        << settled;
}

TEST_F(IncomingWatcherTest, AFolderRemovedAndMadeAgainIsWatchedAgain) {
    start();
    ASSERT_TRUE(run_until_idle());
    std::filesystem::remove(dir_ + "/incoming");
    ASSERT_TRUE(run_until([this] { return !troubles_.empty(); }));
    EXPECT_THAT(troubles_.front(), HasSubstr("the folder incoming/ was removed"));
    run(milliseconds(100));
    std::filesystem::create_directory(dir_ + "/incoming");
    rename_in("a.json");
    ASSERT_TRUE(run_until([this] { return taken_.size() == 1; }, seconds(3)));
    ASSERT_TRUE(run_until([this] { return arrivals_->idle(); }));
    rename_in("b.json");
    ASSERT_TRUE(run_until([this] { return taken_.size() == 2; }, seconds(1)));
    EXPECT_LE(troubles_.size(), 3U) << testing::PrintToString(troubles_);
}

TEST_F(IncomingWatcherTest, AFolderReplacedWhileSomebodyHasItOpenIsNoticedByTheRescan) {
    start({.rescan = milliseconds(300)});
    ASSERT_TRUE(run_until_idle());
    const unique_fd shell(::open((dir_ + "/incoming").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    std::filesystem::remove(dir_ + "/incoming");
    std::filesystem::create_directory(dir_ + "/incoming");
    rename_in("a.json");
    ASSERT_TRUE(run_until([this] { return taken_.size() == 1; }, seconds(4)));
    ASSERT_TRUE(run_until([this] { return arrivals_->idle(); }));
    EXPECT_THAT(troubles_, ElementsAre(HasSubstr("was removed"), HasSubstr("watched again")));
}

TEST_F(IncomingWatcherTest, AnIdleSpoolWakesNobody) {
    start({.rescan = std::chrono::hours(1)});
    ASSERT_TRUE(run_until_idle());
    loop_.restart();
    while (loop_.run_one_for(milliseconds(50)) != 0) {
    }
    const int before = batches_;
    loop_.restart();
    EXPECT_EQ(loop_.run_for(milliseconds(500)), 0U);
    EXPECT_EQ(batches_, before);
}

TEST_F(IncomingWatcherTest, TheRegularRescanFindsWhatNoEventTold) {
    hold_ = true;
    start({.rescan = milliseconds(300)});
    rename_in("a.json");
    ASSERT_TRUE(run_until([this] { return handed_["a.json"] == 1; }));
    arrivals_->settled("a.json");  // left where it was: no event will tell of it again
    EXPECT_TRUE(run_until([this] { return handed_["a.json"] == 2; }, seconds(2)));
}

TEST_F(IncomingWatcherTest, EndsWhenStopped) {
    start();
    ASSERT_TRUE(run_until_idle());
    arrivals_->stop();
    EXPECT_TRUE(run_until([this] { return ended_; }, seconds(1)));
}

TEST_F(IncomingWatcherTest, EndsWhenCancelled) {
    arrivals_.emplace(loop_.get_executor(), spool_, arrivals_limits{});
    asio::cancellation_signal signal;
    asio::co_spawn(loop_.get_executor(), collect(), asio::bind_cancellation_slot(signal.slot(), asio::detached));
    ASSERT_TRUE(run_until_idle());
    run(milliseconds(20));
    signal.emit(asio::cancellation_type::terminal);
    EXPECT_TRUE(run_until([this] { return ended_; }, seconds(1)));
}

class SidecarTest : public IncomingWatcherTest {
  protected:
    void ask(const std::string& name, nanoseconds patience) {
        asio::co_spawn(loop_.get_executor(), arrivals_->sidecar(name, now() + patience),
                       [this](std::exception_ptr broken, sidecar_answer answer) {
                           EXPECT_FALSE(broken);
                           answer_ = std::move(answer);
                       });
    }
    bool answered(nanoseconds within) {
        return run_until([this] { return answer_.has_value(); }, within);
    }
    std::optional<sidecar_answer> answer_;
};

TEST_F(SidecarTest, IsNeverReadyByItself) {
    copy_in("a.ids", "1\n");
    start();
    rename_in("b.ids.gz", "1\n");
    ASSERT_TRUE(run_until_idle());
    run(milliseconds(100));
    EXPECT_THAT(handed_, IsEmpty());
}

TEST_F(SidecarTest, ThatIsThereIsCompleteAtOnce) {
    start();
    ASSERT_TRUE(run_until_idle());
    rename_in("a.ids", "1\n");
    run(milliseconds(50));
    ask("a.ids", seconds(5));
    ASSERT_TRUE(answered(milliseconds(500)));
    EXPECT_EQ(answer_->state, sidecar_state::complete);
    EXPECT_EQ(spool_.take("a.ids")->what, take_result::outcome::taken);
}

TEST_F(SidecarTest, ThatComesLaterIsWaitedFor) {
    start();
    ask("a.ids", seconds(5));
    run(milliseconds(100));
    EXPECT_FALSE(answer_);
    rename_in("a.ids", "1\n");
    ASSERT_TRUE(answered(milliseconds(1000)));
    EXPECT_EQ(answer_->state, sidecar_state::complete);
}

TEST_F(SidecarTest, ThatNeverComesIsMissingAtTheDeadline) {
    start();
    const steady_time began = now();
    ask("a.ids", milliseconds(300));
    ASSERT_TRUE(answered(seconds(2)));
    EXPECT_GE(now() - began, milliseconds(300));
    EXPECT_EQ(answer_->state, sidecar_state::missing);
    EXPECT_THAT(answer_->why.text(), HasSubstr("a.ids: the list is not in incoming/"));
}

TEST_F(SidecarTest, ThatIsBeingWrittenIsUnfinishedUntilClosed) {
    start();
    ASSERT_TRUE(run_until_idle());
    std::ofstream writing(path("incoming", "a.ids"));
    writing << "1\n" << std::flush;
    ask("a.ids", milliseconds(300));
    ASSERT_TRUE(answered(seconds(2)));
    EXPECT_EQ(answer_->state, sidecar_state::unfinished);
    answer_.reset();
    ask("a.ids", seconds(5));
    run(milliseconds(100));
    writing.close();
    ASSERT_TRUE(answered(milliseconds(1000)));
    EXPECT_EQ(answer_->state, sidecar_state::complete);
}

TEST_F(SidecarTest, ThatIsALinkIsRefused) {
    hold_ = true;
    start();
    ASSERT_EQ(::symlink("/etc/hostname", path("incoming", "a.ids").c_str()), 0);
    ask("a.ids", seconds(5));
    ASSERT_TRUE(answered(milliseconds(1000)));
    EXPECT_EQ(answer_->state, sidecar_state::refused);
    EXPECT_THAT(answer_->why.text(), HasSubstr("a.ids: it is a symbolic link"));
}

TEST_F(SidecarTest, StopEndsTheWait) {
    start();
    ask("a.ids", seconds(60));
    run(milliseconds(20));
    arrivals_->stop();
    ASSERT_TRUE(answered(seconds(1)));
    EXPECT_EQ(answer_->state, sidecar_state::stopped);
}

}  // namespace
}  // namespace culld
