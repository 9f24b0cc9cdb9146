// Any bytes as a configuration file: no crash, every complaint has words, and what was accepted is printed as
// text that reads back as the same configuration.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "culld/core/config/settings_merge.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace culld;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto tree = parse_strict_yaml(text);
    if (!tree) {
        for (const problem& p : tree.error()) {
            if (p.what.empty()) std::abort();
            static_cast<void>(source_excerpt(text, p.line, p.column));
        }
        return 0;
    }
    sourced_config configuration;
    std::vector<problem> problems;
    merge_yaml(configuration, *tree, "f", "/base", problems);
    for (const problem& p : problems)
        if (p.what.empty() || source_excerpt(text, p.line, p.column).size() > 1000) std::abort();
    derive_settings(configuration.values);
    static_cast<void>(check_config(configuration));
    static_cast<void>(config_warnings(configuration));

    const auto printed = parse_strict_yaml(config_yaml(configuration));
    if (!printed) std::abort();
    sourced_config again;
    problems.clear();
    merge_yaml(again, *printed, "f", "", problems);
    if (!problems.empty() || config_json(again.values) != config_json(configuration.values)) std::abort();
    return 0;
}
