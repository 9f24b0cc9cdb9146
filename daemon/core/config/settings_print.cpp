// The configuration as text: canonical for its digest, commented for people, in rows for programs.
#include <fmt/format.h>

#include "culld/core/config/settings.hpp"
#include "culld/core/text/json_writer.hpp"

namespace culld {

namespace {

std::string full_name(std::string_view section, std::string_view key) {
    return section.empty() ? std::string(key) : fmt::format("{}.{}", section, key);
}

void append_section_json(std::string& out, const config& values, std::string_view section) {
    json_object object(out);
    for (const std::string_view key : names_in(section)) {
        const std::string name = full_name(section, key);
        if (const setting* s = find_setting(name))
            object.raw(key, s->json(values));
        else
            append_section_json(object.begin(key), values, name);
    }
    object.close();
}

void append_section_yaml(std::string& out, const sourced_config& configuration, std::string_view section,
                         std::size_t depth, yaml_comments comments) {
    const std::string indent(depth * 2, ' ');
    for (const std::string_view key : names_in(section)) {
        const std::string name = full_name(section, key);
        if (const setting* s = find_setting(name)) {
            const std::string value = fmt::format("{}{}: {}", indent, key, s->json(configuration.values));
            if (comments == yaml_comments::none)
                out.append(value).push_back('\n');
            else
                out += fmt::format("{:<48}  # {}\n", value, configuration.origin_of(s->name).text());
        } else {
            out += fmt::format("{}{}:\n", indent, key);
            append_section_yaml(out, configuration, name, depth + 1, comments);
        }
    }
}

}  // namespace

std::string config_json(const config& values) {
    std::string out;
    append_section_json(out, values, {});
    return out;
}

std::string config_yaml(const sourced_config& configuration, yaml_comments comments) {
    std::string out;
    append_section_yaml(out, configuration, {}, 0, comments);
    return out;
}

std::string config_origins_json(const sourced_config& configuration) {
    std::string out = "[";
    for (const setting& s : settings()) {
        if (out.size() > 1) out += ",";
        json_object row(out);
        row.member("name", s.name).raw("value", s.json(configuration.values));
        row.member("origin", configuration.origin_of(s.name).text()).close();
    }
    return out + "]";
}

}  // namespace culld
