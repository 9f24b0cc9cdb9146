// Names as a shell takes them: what we print to be pasted. A name of somebody else's making may hold spaces, quotes,
// commands and line ends; as one quoted word it is a name and nothing else. Pure.
#pragma once

#include <string>
#include <string_view>

namespace culld {

// One word for sh, bash and zsh: plain where nothing in it means anything to a shell; else in single quotes; with
// characters that nobody sees or bytes that are no UTF-8 as $'…' with \ooo (bash, zsh, POSIX.1-2024; an older sh takes
// that for another name, and runs nothing). It may begin with "-": a command needs "--" in front of it.
[[nodiscard]] std::string shell_quoted(std::string_view text);
// The same for the name of a file: one that begins with "-" is written "./-…", and is no option.
[[nodiscard]] std::string shell_file(std::string_view name);

}  // namespace culld
