#include "culld/app/load.hpp"

namespace culld {

tl::expected<loaded, std::vector<config_complaint>> load_everything(const daemon_options& options,
                                                                    std::shared_ptr<credential_memory> memory) {
    auto file = load_config(options.sources);
    if (!file) return tl::unexpected(std::move(file.error()));
    loaded out{
        .file = std::move(*file), .settings = {}, .rules = {}, .who = {}, .project = {}, .api = {}, .signing = {}};
    out.settings = std::make_shared<const config>(out.file.effective.values);
    std::vector<config_complaint> wrong;
    const auto wrong_if = [&](problem p) {
        if (p.file.empty()) p.file = options.sources.file;
        wrong.push_back({std::move(p), {}});
    };
    if (auto rules = intake_settings::load(out.settings); rules)
        out.rules = std::move(*rules);
    else
        wrong_if(std::move(rules.error()));
    if (auto api =
            find_route(out.settings->api.endpoint, *out.settings, options.credentials_folder, read_proxy_environment());
        api)
        out.api = std::move(*api);
    else
        wrong_if(std::move(api.error()));
    const credential_places places{options.credentials_folder, options.sources.environment};
    if (auto who = make_credentials(*out.settings, places, std::move(memory)); who)
        out.who = std::move(*who);
    else
        wrong_if(std::move(who.error()));
    if (auto project = project_lookup::make(*out.settings, options.credentials_folder); project)
        out.project = std::move(*project);
    else
        wrong_if(std::move(project.error()));
    if (auto signing = load_ledger_signing(*out.settings, options.credentials_folder); signing)
        out.signing = std::move(*signing);
    else
        wrong_if(std::move(signing.error()));
    if (!wrong.empty()) return tl::unexpected(std::move(wrong));
    return out;
}

}  // namespace culld
