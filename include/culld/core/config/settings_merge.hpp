// Merging one source of settings over what came before: a YAML tree or the environment. Maps are merged,
// everything else replaces. What is wrong with one setting does not keep the others from being read, so that
// one run names all.
//
// Pure: whoever calls has read the files.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/config/settings.hpp"
#include "culld/core/text/yaml_tree.hpp"

namespace culld {

// Merges the tree of `file`. Relative paths are resolved against `base`, the folder of the file ("" leaves
// them). Appends what is wrong, with file, line, column and field.
void merge_yaml(sourced_config& into, const yaml_node& root, std::string_view file, std::string_view base,
                std::vector<problem>& out);

// Merges CULLD_<SECTION>_<KEY> variables out of "NAME=value" texts, in the order of the table; other names
// are skipped. Which CULLD_ names are no settings and yet allowed is said in io/config/config_files.hpp.
void merge_environment(sourced_config& into, std::span<const std::string> environment, std::vector<problem>& out);

}  // namespace culld
