// Looks whether paths still lead to what we hold open (core/spool/folder_identity.hpp), each time by the whole path, so
// that a folder above that was moved or mounted over is seen too. Two calls of the kernel, some 3 µs.
//
// Blocking; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "culld/core/base/problem.hpp"
#include "culld/core/spool/folder_identity.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

struct path_check {
    path_state what = path_state::one;
    inode_facts held;  // what is open
    problem why;       // where it is not `one`: what stands at the path now, and what to do
};

// A file held open as `held`, `name` in `dir`, into which `size` bytes were written. Where it is not what it was since
// its folder is not, that is what is said, and it is `gone`: it will be itself again when the folder is back.
[[nodiscard]] path_check look_at_file(int held, const folder& dir, const std::string& name, std::uint64_t size);
// A folder, by the path it was opened by.
[[nodiscard]] path_check look_at_folder(const folder& held);

// What is at a path, no link followed; none if nothing is.
[[nodiscard]] result<std::optional<inode_facts>> seen_at(const std::string& path);
[[nodiscard]] result<inode_facts> seen(int fd, const std::string& path);

}  // namespace culld
