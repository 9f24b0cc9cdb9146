// Where cullctl finds things: the spool, the journals, the daemon's socket. From the flags, else from the
// same files and environment as culld (contract, section 5).
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "ctl/ui/console.hpp"
#include "culld/core/base/exit_code.hpp"
#include "culld/core/base/problem.hpp"
#include "culld/core/config/config.hpp"

namespace culld::ctl {

// What the command line said; empty: nothing.
struct common_options {
    std::string config_file;
    std::string socket;
    std::string spool;
    std::string journal_dir;
    std::string public_key;
    bool json = false;
    bool no_colour = false;
    bool quiet = false;
    bool verbose = false;
};

struct context {
    config settings;  // with spool.dir, journal.dir, http.socket and journal.public_key_file as they apply
    // False with --journal-dir and no --socket: what is read are copies, and no daemon is asked about them.
    bool ask_daemon = true;
    bool have_config = false;  // a configuration file was read
    bool json = false;
    bool verbose = false;
    console& out;
};

// Why a verb cannot go on, and the exit code that says so.
struct failure {
    exit_code code = io_error;
    problem about;
};
template <class T>
using outcome = tl::expected<T, failure>;

[[nodiscard]] inline tl::unexpected<failure> give_up(exit_code code, problem about) {
    return tl::unexpected(failure{code, std::move(about)});
}
// `about` concerns the file or folder `path`: 66 if it is not there, 77 if this user may not use it, else 74.
[[nodiscard]] tl::unexpected<failure> give_up_on(const std::string& path, problem about);

// A broken configuration is an error (exit 78). Without --config a file that is not there, or that this user
// may not read, leaves the built-in settings and the environment.
struct found_settings {
    config settings;
    bool from_file = false;
};
[[nodiscard]] result<found_settings> find_settings(const common_options& options);

}  // namespace culld::ctl
