// Does a path still lead to the file or folder that we hold open? Whoever moves, removes, replaces or mounts over it
// leaves us a descriptor that works as before, to something that nobody will find again: no proof is kept there.
#pragma once

#include <cstdint>
#include <optional>

namespace culld {

// What the kernel tells of a file or folder.
struct node_seen {
    std::uint64_t device = 0;  // with inode: which one it is
    std::uint64_t inode = 0;
    std::uint64_t size = 0;  // bytes; not looked at for folders
    std::uint64_t links = 1;
    bool operator==(const node_seen&) const = default;
};

enum class footing {
    one,       // path and descriptor are the same
    gone,      // nothing is at the path: moved, removed, or below another mount
    replaced,  // something else is at the path
    cut,       // shorter than what we wrote: evidence
    grown,     // longer than what we wrote: evidence
};

// `size`: what a file must have, none for a folder.
[[nodiscard]] constexpr footing footing_of(const node_seen& held, const std::optional<node_seen>& at_path,
                                           std::optional<std::uint64_t> size) {
    if (!at_path) return footing::gone;
    if (at_path->device != held.device || at_path->inode != held.inode) return footing::replaced;
    if (size && at_path->size < *size) return footing::cut;
    if (size && at_path->size > *size) return footing::grown;
    return footing::one;
}

}  // namespace culld
