// culld: see --help, and docs/architecture.md.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "culld/app/daemon/daemon.hpp"
#include "culld/core/base/exit_code.hpp"
#include "culld/io/os/process_setup.hpp"

int main(int argc, char** argv) {
    culld::open_standard_files();
    culld::daemon_options options;
    bool check = false;
    CLI::App app("Bulk-deletes SecMaster incidents named in job files, and journals what happened to every one.");
    app.set_version_flag("-V,--version", std::string("culld ") + CULLD_VERSION);
    app.add_option("--config", options.sources.file, "configuration file")->capture_default_str();
    app.add_flag("--check-config", check, "check the configuration and exit");
    app.add_flag("--once", options.once, "take what is in the spool, finish it, exit");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? 0 : culld::usage;
    }
    try {
        options.sources.environment = culld::process_environment();
        if (const char* folder = std::getenv("CREDENTIALS_DIRECTORY")) options.credentials_folder = folder;
        return check ? culld::check_config(options) : culld::run_daemon(options);
    } catch (const std::exception& e) {
        // A broken invariant: whatever was durable stays so, and a restart goes on from there.
        std::fprintf(stderr, "culld: internal error, please report it: %s\n", e.what());
        return culld::internal_error;
    }
}
