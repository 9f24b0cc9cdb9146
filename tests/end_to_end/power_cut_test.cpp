// Power cuts: spool and journal lie on a file system of their own, which is shut down in the middle of the work. All
// that was not on stable storage is gone at once (FS_IOC_SHUTDOWN with "no log flush": dirty pages and the file
// system's own uncommitted transactions), the daemon is killed, the file system mounted again, and what was promised is
// looked for. Needs root, loop devices and the file system's tools.
#include <linux/types.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include <random>

#include "programs.hpp"

namespace culld::programs {
namespace {

// The same number for every file system that has it (linux/fs/xfs/libxfs/xfs_fs.h: XFS_IOC_GOINGDOWN;
// EXT4_IOC_SHUTDOWN).
constexpr unsigned long shut_down = _IOR('X', 125, __u32);
constexpr __u32 no_log_flush = 2;

class PowerCut : public Programs, public testing::WithParamInterface<const char*> {
  protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "NOT TESTED: power cuts need root, to mount a file system of their own";
        // Mounts of ours are nobody else's, and go away with this process.
        if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "NOT TESTED: no mount namespace to be had here";
        ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
        const std::string image = here_.write("image", "");
        ASSERT_EQ(::truncate(image.c_str(), 320L << 20U), 0);
        const std::string kind = GetParam();
        const std::string maker = "/sbin/mkfs." + kind;
        if (!fs::exists(maker)) GTEST_SKIP() << "NOT TESTED: " << maker << " is not installed";
        ASSERT_EQ(run({maker, "-q", image}), 0) << read("tools.log");
        fs::create_directories(here_.path("disk"));
        if (!mount_again()) GTEST_SKIP() << "NOT TESTED: no loop device to be had: " << read("tools.log");
    }
    void TearDown() override { static_cast<void>(::umount2(here_.path("disk").c_str(), MNT_DETACH)); }

    int run(std::vector<std::string> command) const {
        return child(std::move(command), here_.path("tools.log")).ends_within(patience).value_or(-2);
    }
    bool mount_again() const { return run({"/bin/mount", "-o", "loop", here_.path("image"), here_.path("disk")}) == 0; }
    void configure_on_disk(const setup& s) {
        configure(s);
        fs::create_directories(here_.path("disk/spool/incoming"));
        fs::create_directories(here_.path("disk/spool/tmp"));
        fs::create_directories(here_.path("disk/journal"));
        std::string text = read("culld.yaml");
        for (const char* folder : {"spool", "journal"}) {
            const std::string from = here_.path(folder);
            for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos;) {
                text.replace(at, from.size(), here_.path(std::string("disk/") + folder));
                at += from.size();
            }
        }
        here_.write("culld.yaml", text);
        ::sync();
    }
    void cut() const {
        const unique_fd root(::open(here_.path("disk").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        __u32 how = no_log_flush;
        ASSERT_EQ(::ioctl(root.get(), shut_down, &how), 0) << "this file system cannot be cut off";
    }
    void power_on() const {
        // The killed daemon's loop device and threads may take a moment to let go.
        ASSERT_TRUE(eventually([&] { return ::umount2(here_.path("disk").c_str(), 0) == 0; }));
        ASSERT_TRUE(mount_again()) << read("tools.log");
    }
    // What the disk says right after a cut, before anybody mends it: whole lines only.
    struct found {
        std::size_t intended = 0;
        std::set<std::string> settled;
    };
    [[nodiscard]] found look(const std::string& job) const {
        found out;
        const std::string text = read("disk/journal/" + job + ".jsonl");
        for (std::size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
            json::error_code ec;
            const json::value line = json::parse(text.substr(at, end - at), ec);
            if (ec || !line.is_object()) break;
            const json::object& r = line.get_object();
            const std::string_view type = r.at("type").as_string();
            if (type == "intent" && r.contains("first"))
                out.intended = std::max(
                    out.intended, r.at("first").to_number<std::size_t>() + r.at("count").to_number<std::size_t>());
            const char* key = type == "batch.result" ? "deleted" : type.starts_with("ids.") ? "ids" : nullptr;
            if (key == nullptr || !r.contains(key)) continue;
            for (const json::value& id : r.at(key).as_array()) {
                EXPECT_TRUE(out.settled.emplace(id.as_string()).second) << id << " has a second verdict";
            }
        }
        return out;
    }
};

TEST_P(PowerCut, LosesNothingThatWasReportedAndEndsEveryIdOnce) {
    const char* wish = std::getenv("CULLD_TEST_CUTS");
    const int cuts = wish == nullptr ? 10 : std::atoi(wish);
    const char* seed = std::getenv("CULLD_TEST_SEED");
    std::mt19937 dice(seed == nullptr ? 1 : static_cast<unsigned>(std::atoi(seed)));
    constexpr std::size_t ids = 3000;
    int round = 0;
    for (int done = 0; done < cuts; ++round) {
        const std::string job = fmt::format("job{}", round);
        configure_on_disk({.scenario = "seed: 3\nfail_ratio: 0.05\nlost_ratio: 0.03\nlatency: 2ms\n",
                           .limits = "requests_per_second: 400, concurrency: 4"});
        here_.write("list.ids", list(job, ids));
        here_.write("list.yaml", fmt::format("version: 1\nid: {}\nids_file: list.ids\n", job));
        // Submitted means on stable storage: from here on the job may not be lost.
        ASSERT_EQ(ctl({"submit", here_.path("list.yaml")}), 0) << told();
        std::size_t reported = 0;
        for (bool over = false; !over && done < cuts; ++done) {
            child daemon = start();
            const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(30 + dice() % 400);
            while (std::chrono::steady_clock::now() < until) {
                const json::value now = status(job);
                if (!now.is_object()) continue;
                const auto& totals = now.at("totals");
                reported = std::max(
                    reported, totals.at("ids").to_number<std::size_t>() - now.at("remaining").to_number<std::size_t>());
                over = now.at("state").as_string() == "finished";
            }
            cut();
            if (HasFatalFailure()) return;
            daemon.kill();
            power_on();
            if (HasFatalFailure()) return;
            const found disk = look(job);
            EXPECT_GE(disk.settled.size(), reported) << "was reported, and is lost";
            const json::value truth = server_->truth();
            for (const auto& [id, times] : truth.at("deleted").as_object()) {
                if (!id.starts_with(job + "-")) continue;
                EXPECT_LT(std::stoul(std::string(id.substr(job.size() + 1))), disk.intended)
                    << id << " was deleted without an intent on the disk";
            }
        }
        const int code = once();
        EXPECT_TRUE(code == 0 || code == 1) << code << "\n" << log();
        expect_true_verdicts(job, ids);
        expect_verified();
        const std::string journal = read("disk/journal/" + job + ".jsonl"), ledger = read("disk/journal/ledger.jsonl");
        EXPECT_EQ(once(), 0) << "nothing is left to do";
        EXPECT_EQ(read("disk/journal/" + job + ".jsonl"), journal) << "a finished journal was changed";
        EXPECT_EQ(read("disk/journal/ledger.jsonl"), ledger);
        if (HasFailure()) {
            ADD_FAILURE() << "round " << round << " after " << done << " cuts\n" << log();
            return;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(FileSystems, PowerCut, testing::Values("ext4", "xfs"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace culld::programs
