// The daemon's life: start, recovery, work, reload, stop.
#pragma once

#include <string>
#include <vector>

#include "culld/app/context/checkpoints.hpp"
#include "culld/io/config/config_files.hpp"

namespace culld {

struct daemon_options {
    config_sources sources;
    std::string credentials_folder;  // $CREDENTIALS_DIRECTORY
    // Checked for the user whom the service runs as, where root does it: what belongs to that one is as good as its
    // own.
    bool for_service = false;
    bool once = false;  // take what is in the spool, finish it, exit
    checkpoint_rules checkpoints{};
};

// Runs until a signal, or with `once` until nothing is left to do; the process's exit code (contract, section 5).
[[nodiscard]] int run_daemon(const daemon_options& options);

// Loads and checks everything that --check-config checks; complaints go to stderr. 0 or 78.
[[nodiscard]] int check_config(const daemon_options& options);

}  // namespace culld
