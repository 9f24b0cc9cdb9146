// Every power cut of one short story, and some of what is started after it (docs/simulation.md).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "course.hpp"

namespace culld::simulation {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// One way after another to answer a series of questions that depends on the answers; or, with dice, one by chance.
class ways {
  public:
    explicit ways(std::vector<std::uint64_t> given = {}) : picks_(std::move(given)), below_(picks_.size()) {}
    explicit ways(dice* chance) : chance_(chance) {}  // null: one after another

    void rewind() { at_ = 0; }
    std::uint64_t pick(std::uint64_t below) {
        if (at_ == picks_.size()) {
            picks_.push_back(chance_ == nullptr ? 0 : chance_->below(below));
            below_.push_back(below);
        }
        below_[at_] = below;
        return picks_[at_++];
    }
    // The next way; false if that was the last. By chance there is always one more.
    bool next() {
        if (chance_ != nullptr) {
            picks_.clear();
            below_.clear();
            return true;
        }
        picks_.resize(at_);
        below_.resize(at_);
        while (!picks_.empty() && ++picks_.back() >= below_.back()) {
            picks_.pop_back();
            below_.pop_back();
        }
        return !picks_.empty();
    }
    [[nodiscard]] std::string text() const { return fmt::format("{}", fmt::join(picks_.begin(), picks_.end(), ".")); }

  private:
    dice* chance_ = nullptr;
    std::vector<std::uint64_t> picks_, below_;
    std::size_t at_ = 0;
};

struct cut {
    std::uint64_t call = 0;
    ways* how = nullptr;
};

class story : course {
  public:
    explicit story(const run_options& options) : course(1, options) {
        settings with;
        with.rate = 100;
        with.batch_size = 3;
        with.base_delay = milliseconds(20);
        with.max_delay = seconds(1);
        with.max_attempts = 3;
        with.concurrency = 2;
        with.signs = true;
        with.checkpoints = {.every = 1500, .read_whole_up_to = 2000};
        begin(with, jobs());
        on_.subject = "the story without a cut";
        world_.files.now.ordered = false;
        world_.files.now.sync_high = milliseconds(2);
        emulator::scenario rules;
        rules.seed = 5;
        rules.latency_fixed = milliseconds(20);
        rules.fail_ratio = 0.2;
        rules.missing_ratio = 0.1;
        rules.lost_ratio = 0.2;
        rules.status_ratio[503] = 0.1;
        cloud_->behave(rules, token_);
        for (const job_plan& job : truth_->jobs()) on_.at(job.at, [this, n = job.number] { drop(n); });
        on_.at(milliseconds(300), [this] { command("cut-0", "pause", ""); });
        on_.at(milliseconds(500), [this] { command("cut-0", "resume", ""); });
        on_.at(milliseconds(900), [this] { command("cut-3", "cancel", ""); });
    }

    // How many of the cuts were reached before all was over.
    std::size_t run(const std::vector<cut>& cuts) {
        std::size_t reached = 0;
        std::string told;
        for (const cut& c : cuts) {
            on_.on_call = [this, left = c.call]() mutable {
                if (left-- == 0) on_.die("the power fails");
            };
            tend(life_ + 1);
            if (live(false) != -1) break;
            c.how->rewind();
            world_.files.power_cut([&](std::uint64_t below) { return c.how->pick(below); });
            told += fmt::format(" --cut {}:{}", c.call, c.how->text());
            on_.subject = "story with" + told;
            on_.tell("power cut");
            on_.pass(on_.now() + milliseconds(100));
            ++reached;
        }
        finish();
        judge();
        return reached;
    }

  private:
    static std::vector<job_plan> jobs() {
        std::vector<job_plan> out(4);
        const std::array counts{std::size_t(8), std::size_t(5), std::size_t(2), std::size_t(6)};
        for (std::size_t number = 0; number < out.size(); ++number) {
            job_plan& job = out[number];
            job.number = number;
            job.batch_size = 3;
            job.verify = "failed";
            job.at = milliseconds(1 + 150 * number);
            std::string lines;
            for (std::size_t i = 0; i < counts[number]; ++i) {
                std::string id = fmt::format("j{}-{:05}", number, i);
                lines += id + "\n";
                job.place.emplace(id, static_cast<std::uint32_t>(i));
                job.ids.push_back(std::move(id));
            }
            job.file = fmt::format("drop{}.json", number);
            if (number == 0 || number == 3) {
                job.job_id = fmt::format("cut-{}", number);
                job.content = fmt::format("{{\"version\": 1, \"id\": \"{}\", \"ids\": [\"{}\"]}}\n", job.job_id,
                                          fmt::join(job.ids.begin(), job.ids.end(), "\",\""));
            } else if (number == 1) {
                job.list = "drop1.ids";
                job.list_content = lines;
                job.content = "{\"version\": 1, \"ids_file\": \"drop1.ids\"}\n";
            } else {
                job.file = "drop2.txt";
                job.bad = true;
                job.content = lines + "no id\n";
            }
        }
        return out;
    }
};

std::size_t tell_story(const std::vector<cut>& cuts, const run_options& options) {
    story one(options);
    return one.run(cuts);
}

}  // namespace

cut_tally run_every_cut(const cut_plan& plan, const run_options& options) {
    cut_tally out;
    dice chance(1);
    // At most some hundred calls are made in a life. Most second cuts are early ones, in what is done at the start.
    const auto some_call = [&] { return chance.below(std::uint64_t(1) << chance.below(9)); };
    for (std::uint64_t call = plan.part;; call += plan.parts) {
        ways first(plan.ways == 0 ? nullptr : &chance);
        std::uint64_t tried = 0;
        do {
            if (tell_story({{call, &first}}, options) == 0) return out;
            ++out.states;
            for (std::uint64_t again = 0; again < plan.again; ++again) {
                ways second(&chance);
                if (tell_story({{call, &first}, {some_call(), &second}}, options) == 2) ++out.again;
            }
        } while (++tried != plan.ways && first.next());
        ++out.calls;
    }
}

void run_cuts(const std::vector<cut_point>& cuts, const run_options& options) {
    std::vector<ways> how;
    for (const cut_point& c : cuts) how.emplace_back(c.ways);
    std::vector<cut> all;
    for (std::size_t i = 0; i < cuts.size(); ++i) all.push_back({cuts[i].call, &how[i]});
    tell_story(all, options);
}

}  // namespace culld::simulation
