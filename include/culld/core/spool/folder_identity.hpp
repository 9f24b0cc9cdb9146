// Does a path still lead to the file or folder that we hold open? Whoever moves, removes, replaces or mounts over it
// leaves us a descriptor that works as before, to something that nobody will find again: no proof is kept there.
#pragma once

#include <cstdint>
#include <optional>

namespace culld {

// What the kernel tells of a file or folder.
struct inode_facts {
    std::uint64_t device = 0;  // with inode: which one it is
    std::uint64_t inode = 0;
    std::uint64_t size = 0;  // bytes; not looked at for folders
    std::uint64_t links = 1;
    bool operator==(const inode_facts&) const = default;
};

enum class path_state {
    one,       // path and descriptor are the same
    gone,      // nothing is at the path: moved, removed, or below another mount
    replaced,  // something else is at the path
    cut,       // shorter than what we wrote: evidence
    grown,     // longer than what we wrote: evidence
};

// `size`: what a file must have, none for a folder.
[[nodiscard]] constexpr path_state path_state_of(const inode_facts& held, const std::optional<inode_facts>& at_path,
                                                 std::optional<std::uint64_t> size) {
    if (!at_path) return path_state::gone;
    if (at_path->device != held.device || at_path->inode != held.inode) return path_state::replaced;
    if (size && at_path->size < *size) return path_state::cut;
    if (size && at_path->size > *size) return path_state::grown;
    return path_state::one;
}

}  // namespace culld
