// cullctl completion SHELL
#include <memory>

#include "ctl/ui/verb.hpp"
#include "ctl/verbs/completion_model.hpp"

namespace culld::ctl {

verb completion_verb(CLI::App& app) {
    auto* command = app.add_subcommand("completion", "print a script that completes cullctl's command line in a shell");
    auto shell = std::make_shared<std::string>();
    command->add_option("SHELL", *shell, "the shell")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
    return {command,
            [&app, shell](const context& with) -> int {
                const command_line_model model = model_of(app);
                if (*shell == "bash") with.out.data(bash_completion(model));
                if (*shell == "zsh") with.out.data(zsh_completion(model));
                if (*shell == "fish") with.out.data(fish_completion(model));
                return all_well;
            },
            needs::nothing};
}

}  // namespace culld::ctl
