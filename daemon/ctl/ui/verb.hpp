// The verbs of cullctl. Each adds itself to the command line and hands back what runs it; the function runs
// after parsing and returns the exit code.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "ctl/ui/context.hpp"
#include "culld/core/journal/ledger_check.hpp"

namespace culld::ctl {

// What a verb needs before it runs.
enum class needs {
    settings,  // the configuration that applies; a broken one is an error
    nothing,
};

struct verb {
    CLI::App* command = nullptr;
    std::function<int(const context&)> run;
    needs before = needs::settings;
};

[[nodiscard]] verb submit_verb(CLI::App& app);
[[nodiscard]] verb list_verb(CLI::App& app);
[[nodiscard]] verb status_verb(CLI::App& app);
[[nodiscard]] verb watch_verb(CLI::App& app);
[[nodiscard]] verb pause_verb(CLI::App& app);
[[nodiscard]] verb resume_verb(CLI::App& app);
[[nodiscard]] verb cancel_verb(CLI::App& app);
[[nodiscard]] verb rate_verb(CLI::App& app);
[[nodiscard]] verb result_verb(CLI::App& app);
[[nodiscard]] verb report_verb(CLI::App& app, common_options& options);
[[nodiscard]] verb verify_verb(CLI::App& app, common_options& options);
[[nodiscard]] verb lint_verb(CLI::App& app);
[[nodiscard]] verb sign_verb(CLI::App& app);
[[nodiscard]] verb demo_verb(CLI::App& app);
[[nodiscard]] verb completion_verb(CLI::App& app);
[[nodiscard]] verb config_verb(CLI::App& app, common_options& options);

// --signed-from and --anchor, for the verbs that say whether a ledger can be believed.
void add_ledger_rules(CLI::App& command, ledger_rules& rules);

// Says what went wrong; the code to exit with.
[[nodiscard]] inline int report(const context& with, const failure& why) {
    with.out.error(why.about);
    return why.code;
}

}  // namespace culld::ctl
