// The course of one run: a world, jobs dropped into it, culld started in it again and again. What happens to it
// meanwhile is up to who derives from this (storm.cpp, cuts.cpp); in the end it has to finish everything, and the judge
// looks.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cloud.hpp"
#include "culld/app/context/checkpoints.hpp"
#include "run.hpp"
#include "truth.hpp"
#include "world.hpp"

namespace culld::simulation {

// What stands in culld's configuration.
struct settings {
    double rate = 20;
    std::uint32_t burst = 1, batch_size = 10;
    std::chrono::seconds request_timeout{5}, rescan{5}, max_delay{5}, give_up_after{600}, probe{1};
    std::chrono::milliseconds base_delay{100};
    std::uint64_t concurrency = 4, max_attempts = 5, breaker_failures = 10;
    bool adaptive = true;
    bool signs = false;  // the ledger
    checkpoint_rules checkpoints;
};

class course {
  protected:
    course(std::uint64_t seed, const run_options& options);
    ~course() = default;
    course(const course&) = delete;
    course& operator=(const course&) = delete;

    // The world begins: an empty spool, a token, a configuration. Once, before anything else.
    void begin(const settings& with, std::vector<job_plan> jobs);

    // ---- the spool's users ----
    void drop(std::size_t job);
    // What was not yet durable when the power fails may be gone, or cut short. To be called right before it does.
    void doubt_unsynced();

    // ---- operators ----
    // `cullctl VERB JOB`; an empty verb: a look at the job.
    void command(const std::string& job, const std::string& verb, const std::string& body);
    void new_token();

    // ---- lives ----
    // The program from its start to its end or death; its exit code, -1 if it died.
    int live(bool once);
    void raise_term();
    void raise_hup();
    // In life number `which`, if it lasts so long.
    void in_life(std::uint64_t which, moment span, std::function<void()> what);
    void check_stop(int code);

    // ---- the end ----
    // The weather clears.
    void calm();
    // The operators resume what was paused, as often as culld must be started: everything must end.
    void finish();
    // In the next life: the same, until all is over; then SIGTERM.
    void tend(std::uint64_t life);
    // Everything is over: looks whether all is as promised.
    void judge();

    const run_options& options_;
    world world_;
    machine& on_;
    dice& chance_;
    std::unique_ptr<truth> truth_;
    std::unique_ptr<cloud> cloud_;
    settings with_;
    run_outcome out_;
    std::string token_;
    std::uint64_t life_ = 0;
    std::optional<moment> told_to_stop_;
    bool alive_ = false;

  private:
    void prepare_disk();
    void write_config(const std::string& key);
    void rename_in(const std::string& name, const std::string& content, std::size_t number);
    [[nodiscard]] static uid_t owner_of(std::size_t number);
    void write_slowly(std::size_t job);
    void write_on(std::size_t job, const node_ptr& file, std::size_t at, std::uint64_t cuts);
    [[nodiscard]] bool over() const { return dropped_ == truth_->jobs().size() && truth_->all_over(); }
    void once_more();

    // A signing key in a real file; the setting that names it.
    std::string make_key();

    std::string config_;
    std::optional<public_keys> keys_;
    std::size_t dropped_ = 0;
    std::uint64_t tended_ = 0, tends_max_ = 0;
};

}  // namespace culld::simulation
