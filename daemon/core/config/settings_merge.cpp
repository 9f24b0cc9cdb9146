#include "culld/core/config/settings_merge.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "culld/core/base/did_you_mean.hpp"

namespace culld {

namespace {

bool holds(std::string_view text, char c) {
    return text.find(c) != std::string_view::npos;
}

// `base/value` for a relative path. A secret's name without a `/` is a credential and no path.
std::string resolved(const setting& s, std::string_view base, const std::string& value) {
    const bool is_path = s.type == setting_type::path || (s.type == setting_type::secret_path && holds(value, '/'));
    if (!is_path || base.empty() || value.empty() || value.starts_with('/')) return value;
    std::string_view rest = value;
    while (rest.starts_with("./")) rest.remove_prefix(2);
    return fmt::format("{}{}{}", base, base.ends_with('/') ? "" : "/", rest);
}

// One file's tree on its way into the configuration.
class merger {
  public:
    merger(sourced_config& into, std::string_view file, std::string_view base, std::vector<problem>& out)
        : into_(into), file_(file), base_(base), out_(out) {}

    void merge_section(const yaml_node& node, const std::string& section) {
        // A section all of whose lines are commented out is empty, not wrong.
        if (node.type == yaml_node::kind::none) return;
        if (node.type != yaml_node::kind::map) {
            const std::string what = section.empty() ? "the configuration" : section;
            complain(node.line, node.column, section, what + " must be a map of settings",
                     section.empty() ? "begin with a section, such as api:"
                                     : fmt::format("write {}: and its settings below it, indented", what));
            return;
        }
        for (const yaml_node::member& m : node.members) {
            const std::string name = section.empty() ? m.name : fmt::format("{}.{}", section, m.name);
            const setting* known = holds(m.name, '.') ? nullptr : find_setting(name);
            if (known != nullptr)
                merge_setting(*known, m.value);
            else if (!holds(m.name, '.') && is_section(name))
                merge_section(m.value, name);
            else
                unknown(m, section, name);
        }
    }

  private:
    void complain(std::uint64_t line, std::uint64_t column, std::string_view field, std::string what,
                  std::string hint) {
        out_.push_back(problem{.what = std::move(what),
                               .hint = std::move(hint),
                               .file = std::string(file_),
                               .line = line,
                               .column = column,
                               .field = std::string(field)});
    }

    void unknown(const yaml_node::member& m, const std::string& section, const std::string& name) {
        if (const auto instead = file_setting_for_secret(m.name); !instead.empty()) {
            complain(m.line, m.column, name, fmt::format("{} must not hold a secret: it comes by file only", name),
                     fmt::format("put it into a file of mode 0600 and name that in {}", instead));
            return;
        }
        complain(m.line, m.column, name,
                 section.empty() ? fmt::format("unknown section \"{}\"", m.name)
                                 : fmt::format("unknown setting \"{}\" in {}", m.name, section),
                 hint_for(m.name, section));
    }

    // The nearest name here, else where a setting of that name really belongs.
    [[nodiscard]] static std::string hint_for(std::string_view name, const std::string& section) {
        const auto here = names_in(section);
        if (std::string hint = did_you_mean(name, here); !hint.empty()) return hint;
        for (const setting& s : settings())
            if (s.key() == name || s.name == name) return fmt::format("{} belongs below {}:", s.key(), s.section());
        return fmt::format("known {}: {}", section.empty() ? "sections" : "settings", fmt::join(here, ", "));
    }

    void merge_setting(const setting& s, const yaml_node& value) {
        const auto wrong = [&](std::string_view got, std::string hint) {
            complain(value.line, value.column, s.name, fmt::format("{} must be {}, not {}", s.name, s.takes(), got),
                     std::move(hint));
        };
        std::string text;
        switch (value.type) {
            case yaml_node::kind::none:
                return wrong("nothing", "write a value, or remove the line to keep the default");
            case yaml_node::kind::map: return wrong("a map", {});
            case yaml_node::kind::scalar:
                if (s.type == setting_type::text_list)
                    return wrong("a single text", fmt::format("write [{}]", value.text));
                if (value.quoted && (s.type == setting_type::boolean || s.type == setting_type::count ||
                                     s.type == setting_type::number))
                    return wrong("a text in quotes", "remove the quotes");
                text = resolved(s, base_, value.text);
                break;
            case yaml_node::kind::list:
                if (s.type != setting_type::text_list) return wrong("a list", {});
                for (const yaml_node& item : value.items) {
                    if (item.type != yaml_node::kind::scalar || item.text.empty() || holds(item.text, ',')) {
                        complain(item.line, item.column, s.name,
                                 fmt::format("each element of {} must be a text without commas", s.name), {});
                        return;
                    }
                    text += (text.empty() ? "" : ",") + item.text;
                }
        }
        if (auto done = s.assign(into_.values, text); !done) {
            complain(value.line, value.column, s.name, std::move(done.error().what), std::move(done.error().hint));
            return;
        }
        into_.origins[s.name] = setting_origin{std::string(file_), value.line, value.column};
    }

    sourced_config& into_;
    std::string_view file_;
    std::string_view base_;
    std::vector<problem>& out_;
};

bool is_ours(std::string_view name) {
    return name.starts_with("CULLD_") && name != "CULLD_CONFIG" && !name.starts_with("CULLD_TEST_");
}

}  // namespace

void merge_yaml(sourced_config& into, const yaml_node& root, std::string_view file, std::string_view base,
                std::vector<problem>& out) {
    merger(into, file, base, out).merge_section(root, {});
}

void merge_environment(sourced_config& into, std::span<const std::string> environment, std::vector<problem>& out) {
    std::vector<std::string> variables;
    for (const setting& s : settings()) variables.push_back(s.variable());
    const std::vector<std::string_view> known(variables.begin(), variables.end());

    for (const std::string& entry : environment) {
        const std::size_t equals = std::min(entry.find('='), entry.size());
        const std::string name = entry.substr(0, equals);
        if (!is_ours(name)) continue;
        const std::string value = equals < entry.size() ? entry.substr(equals + 1) : std::string();
        const auto complain = [&](std::string_view field, std::string what, std::string hint) {
            out.push_back(
                problem{.what = std::move(what), .hint = std::move(hint), .file = name, .field = std::string(field)});
        };
        const auto found = std::find(variables.begin(), variables.end(), name);
        if (found == variables.end()) {
            if (const auto instead = file_setting_for_secret(name); !instead.empty()) {
                complain({}, "secrets are not taken from the environment, which others can read",
                         fmt::format("put it into a file of mode 0600 and name that in {}",
                                     find_setting(instead)->variable()));
            } else {
                const std::string hint = did_you_mean(name, known);
                complain({}, "unknown variable",
                         hint.empty() ? "names are CULLD_<SECTION>_<KEY>, such as CULLD_LIMITS_BURST" : hint);
            }
            continue;
        }
        const setting& s = settings()[static_cast<std::size_t>(found - variables.begin())];
        if (auto done = s.assign(into.values, value); !done) {
            complain(s.name, std::move(done.error().what), std::move(done.error().hint));
            continue;
        }
        into.origins[s.name] = setting_origin{name, 0, 0};
    }
}

}  // namespace culld
