// Power cuts: spool and journal lie on a file system of their own, which is shut down in the middle of the work. All
// that was not on stable storage is gone at once (FS_IOC_SHUTDOWN with "no log flush": dirty pages and the file
// system's own uncommitted transactions), the daemon is killed, the file system mounted again, and what was promised is
// looked for. Needs root, loop devices and the file system's tools.
#include <random>

#include "own_disk.hpp"

namespace culld::programs {
namespace {

class PowerCut : public Programs, public testing::WithParamInterface<const char*> {
  protected:
    void SetUp() override {
        disk_ = std::make_unique<image_disk>(here_.path("image"), here_.path("disk"), here_.path("tools.log"));
        if (const std::string why = disk_->make(GetParam(), 320); !why.empty()) GTEST_SKIP() << "NOT TESTED: " << why;
    }
    void TearDown() override { disk_.reset(); }

    void configure_on_disk(const setup& s) {
        data_ = "disk/";
        configure(s);
        ::sync();
    }
    void power_on() const {
        disk_->unmount();
        ASSERT_TRUE(disk_->mount()) << disk_->told();
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

    std::unique_ptr<image_disk> disk_;
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
        const std::string scenario =
            fmt::format("seed: {}\nfail_ratio: 0.05\nlost_ratio: 0.03\nlatency: 2ms\n", 3 + round);
        configure_on_disk({.scenario = scenario, .limits = "requests_per_second: 400, concurrency: 4"});
        // A server of its own: one names no more than 100,000 ids that it deleted.
        if (round > 0) restart_server(scenario);
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
            disk_->cut();
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
