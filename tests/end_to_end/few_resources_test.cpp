// Little memory, few descriptors, many files, a kernel that loses events: slower, perhaps, and nothing else.
#include "faults.hpp"
#include "own_disk.hpp"

namespace culld::programs {
namespace {

class FewResources : public WithFaults {
  protected:
    [[nodiscard]] std::size_t files_in(const std::string& folder) const {
        std::size_t out = 0;
        for (const auto& entry : fs::directory_iterator(at("spool/" + folder)))
            out += entry.is_regular_file() ? 1U : 0U;
        return out;
    }
    [[nodiscard]] static std::size_t resident_kib(const child& process) {
        std::size_t pages = 0;
        std::ifstream(fmt::format("/proc/{}/statm", process.pid())) >> pages >> pages;
        return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) / 1024;
    }
};

// A control group of our own with that much memory, page cache included; none where the kernel has no memory
// controller for us (version 1, or 2).
class memory_group {
  public:
    explicit memory_group(std::uint64_t bytes) {
        for (const auto& [root, limit] :
             {std::pair("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), {"/sys/fs/cgroup", "memory.max"}}) {
            const std::string path = fmt::format("{}/culld-test-{}", root, ::getpid());
            std::error_code failed;
            if (!fs::is_directory(root, failed) || !fs::create_directory(path, failed)) continue;
            std::ofstream(path + "/" + limit) << bytes << std::flush;
            if (fs::exists(path + "/" + limit)) {
                path_ = path;
                return;
            }
            fs::remove(path, failed);
        }
    }
    // Whoever was in it has ended.
    ~memory_group() {
        if (path_.empty()) return;
        EXPECT_TRUE(eventually([this] { return ::rmdir(path_.c_str()) == 0; }));
    }
    memory_group(const memory_group&) = delete;
    memory_group& operator=(const memory_group&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

TEST_F(FewResources, AMillionIdsNeedNoMoreMemoryThanThirtyTwoMegabytes) {
    if (sanitized) GTEST_SKIP() << "a sanitizer's own memory is more than that";
    const memory_group group(32U << 20U);
    if (group.path().empty()) GTEST_SKIP() << "NOT TESTED: no memory control group to be had (needs root)";
    configure({.limits = "requests_per_second: 2000, concurrency: 8", .batch_size = 999});
    wrapped_in_ = {"/bin/sh", "-c", "echo $$ > " + group.path() + "/cgroup.procs && exec \"$@\"", "sh"};
    constexpr int ids = 1'000'000;
    // As long as UUIDs with it, so that journal and list are each more than there is memory.
    const std::string job = "a-million-ids-as-long-as-uuid";
    drop_job(job, ids);
    EXPECT_EQ(once(), 0) << log();
    wrapped_in_.clear();
    EXPECT_EQ(finish_of(job).at("totals").at("deleted").to_number<int>(), ids);
    EXPECT_EQ(truth("deleted_distinct"), ids);
    expect_verified();
}

TEST_F(FewResources, AJobThatWaitsHoldsNextToNothing) {
    if (sanitized) GTEST_SKIP() << "a sanitizer keeps what is freed";
    configure({.limits = "requests_per_second: 0.1, burst: 1, concurrency: 4"});
    child daemon = started();
    const auto waiting = [&](int from, int to) {
        for (int i = from; i < to; ++i) {
            std::string list;
            for (int k = 0; k < 500; ++k) list += fmt::format("w{}-{}\n", i, k);
            drop(fmt::format("w{}.txt", i), list);
        }
        return eventually([&] { return log().find(fmt::format("file=w{}.txt", to - 1)) != std::string::npos; },
                          patience);
    };
    ASSERT_TRUE(waiting(0, 50)) << log();
    const std::size_t before = resident_kib(daemon);
    ASSERT_TRUE(waiting(50, 450)) << log();
    EXPECT_LT(resident_kib(daemon) - before, 400U * 64);
}

using Idle = FewResources;
TEST_F(Idle, NothingWakesItWhileThereIsNothingToDo) {
    configure({.limits = "requests_per_second: 1000, concurrency: 4", .rescan = "1h"});
    const child daemon = started();
    drop("a.txt", "a\n");
    ASSERT_TRUE(eventually([&] { return in("done", "a.txt"); })) << log();
    const auto times_run = [&] {
        std::uint64_t out = 0;
        for (const auto& thread : fs::directory_iterator(fmt::format("/proc/{}/task", daemon.pid()))) {
            std::ifstream status(thread.path() / "status");
            for (std::string line; std::getline(status, line);)
                if (line.find("ctxt_switches") != std::string::npos)
                    out += std::stoull(line.substr(line.find(':') + 1));
        }
        return out;
    };
    // What the job left to be done is over within seconds; from then on it does not run at all.
    EXPECT_TRUE(eventually(
        [&] {
            const std::uint64_t before = times_run();
            std::this_thread::sleep_for(std::chrono::seconds(6));
            return times_run() == before;
        },
        std::chrono::seconds(20)));
}

TEST_F(Idle, HoldsLittleMemory) {
    if (sanitized) GTEST_SKIP() << "a sanitizer takes more than culld";
    configure({});
    const child daemon = started();
    EXPECT_LT(resident_kib(daemon), 12U << 10U);
}

TEST_F(FewResources, WithSixtyFourDescriptorsHundredsOfJobsGetTheirTurn) {
    configure({.limits = "requests_per_second: 2000, concurrency: 4"});
    wrapped_in_ = {"/usr/bin/prlimit", "--nofile=64:64"};
    for (int i = 0; i < 200; ++i) drop(fmt::format("l{}.txt", i), fmt::format("id{}\n", i));
    child daemon = started();
    ASSERT_TRUE(eventually([&] { return files_in("done") == 200; }, patience)) << files_in("done") << log();
    EXPECT_TRUE(daemon.runs());
    EXPECT_EQ(truth("deleted_distinct"), 200);
    EXPECT_EQ(ledger().size(), 200U);
}

TEST_F(FewResources, FiveThousandFilesAtOnceAreAllTaken) {
    // In memory: it is the number that is looked at, not the disk.
    const small_disk disk(here_.path("disk"), "size=400m");
    data_ = disk.mounted() ? "disk/" : "";
    configure({.limits = "requests_per_second: 5000, concurrency: 8"});
    const int files = disk.mounted() ? 5000 : 500;
    child daemon = started();
    for (int i = 0; i < files; ++i) drop(fmt::format("f{}.txt", i), i % 10 == 9 ? "no id\n" : fmt::format("f-{}\n", i));
    const auto all = [&] { return files_in("done") + files_in("rejected") / 2 == static_cast<std::size_t>(files); };
    ASSERT_TRUE(eventually(all, patience)) << files_in("done") << " done, " << files_in("incoming") << " left";
    EXPECT_EQ(files_in("rejected"), static_cast<std::size_t>(files / 10 * 2));
    EXPECT_EQ(truth("deleted_distinct"), files / 10 * 9);
    EXPECT_EQ(ledger().size(), static_cast<std::size_t>(files));
}

// The kernel keeps 16,384 events (fs.inotify.max_queued_events); what comes then is dropped, and nobody is told of it
// but by one event that says so.
TEST_F(FewResources, WhatTheKernelsQueueHadNoRoomForIsFoundAtOnce) {
    configure({.limits = "requests_per_second: 2000, concurrency: 4", .rescan = "1h"});
    const int queue = std::stoi(read_small_file("/proc/sys/fs/inotify/max_queued_events", 64).value_or("0"));
    ASSERT_GT(queue, 0);
    if (queue > 20'000) GTEST_SKIP() << "NOT TESTED: fs.inotify.max_queued_events is " << queue;
    child daemon = started();
    drop("first.txt", "first\n");
    ASSERT_TRUE(eventually([&] { return in("done", "first.txt"); })) << log();
    daemon.signal(SIGSTOP);
    // Created, opened, closed: three events each, of a file that is no business of ours.
    for (int i = 0; i < queue / 3 + 200; ++i)
        static_cast<void>(unique_fd(::open(at("spool/incoming/noise.part").c_str(), O_WRONLY | O_CREAT, 0600))),
            fs::remove(at("spool/incoming/noise.part"));
    for (int i = 0; i < 20; ++i) drop(fmt::format("unseen{}.txt", i), fmt::format("unseen-{}\n", i));
    daemon.signal(SIGCONT);
    ASSERT_TRUE(eventually([&] { return files_in("done") == 21; })) << files_in("done") << log();
    EXPECT_EQ(truth("deleted_distinct"), 21);
}

// Each of these runs is ended somewhere by an allocation that fails, or gets over it. What it leaves, the next goes on
// from. (The core alone, with every single allocation: tests/memory.)
TEST_F(FewResources, AnAllocationThatFailsCostsARunAndNoMore) {
    configure({.scenario = "seed: 2\nfail_ratio: 0.2\n"});
    if (!arm({"FAILING_MALLOC=0"})) GTEST_SKIP() << "NOT TESTED: allocations are not made to fail under a sanitizer";
    drop_job("counts", 12);
    static_cast<void>(once());
    const std::string told = read("faults.hits");
    const std::size_t at = told.find("allocations ");
    ASSERT_NE(at, std::string::npos) << told;
    const int all = std::stoi(told.substr(at + 12));
    ASSERT_GT(all, 1000);
    const char* wish = std::getenv("CULLD_TEST_ALLOCATIONS");
    const int points = wish == nullptr ? 24 : std::atoi(wish);
    int ended = 0;
    for (int i = 0; i < points; ++i) {
        // The last ones are those of a run that got far.
        const int n = all - 1 - static_cast<int>(static_cast<std::int64_t>(all) * i / points * 9 / 10);
        ASSERT_TRUE(arm({fmt::format("FAILING_MALLOC={}", n)}));
        const std::string job = fmt::format("point{}", n);
        drop_job(job, 12);
        const int code = once();
        ended += code == 0 || code == 1 ? 0 : 1;
        wrapped_in_.clear();
        const int next = once();
        ASSERT_TRUE(next == 0 || next == 1)
            << "allocation " << n << ", ended with " << code << ", then " << next << "\n"
            << log();
        ASSERT_TRUE(in("done", job + ".yaml") || in("failed", job + ".yaml")) << n << log();
        expect_true_verdicts(job, 12);
    }
    EXPECT_GT(ended, 0) << "no allocation failed";
    expect_verified();
}

}  // namespace
}  // namespace culld::programs
