// The reasons that culld writes beside files it rejects.
#pragma once

#include <optional>
#include <string>

#include "culld/io/os/file.hpp"

namespace culld::ctl {

inline constexpr std::string_view reason_suffix = ".reason.json";

// What stands in `name` of spool.dir/rejected, where culld wrote it: whoever drops a file of such a name finds it there
// too, under his own uid, and nobody is to believe him. None for what is no file of culld's.
[[nodiscard]] std::optional<std::string> read_reason(const folder& rejected, const std::string& name);

}  // namespace culld::ctl
