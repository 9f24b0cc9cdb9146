// The simulated file system, /sim: what the programs see of it, and what of that a power cut leaves.
//
// A file's content is stable up to its last fsync. What came after is a list of patches, of which a power cut by chance
// keeps none, all, or a first part with the last patch torn at any byte; the file may then be longer than its content,
// with zeros at the end. Patches of which fsync said that they could not be written are still read back, as from the
// page cache, and no later fsync makes them stable (Rebello, ATC '20).
//
// A folder's names are stable up to its last fsync. Later changes are kept by a power cut in the order they were made
// (as by a journalling file system; there any fsync commits all names) or each by chance, with those before it that are
// about the same file. A rename is one change, and stable once either folder was fsynced.
#pragma once

#include <time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "machine.hpp"

namespace culld::simulation {

struct node;
using node_ptr = std::shared_ptr<node>;

struct node {
    enum class kind_type { file, folder, socket };
    struct patch {
        std::uint64_t offset = 0;
        std::string bytes;
        bool cut = false;   // a truncation to `offset`
        bool lost = false;  // fsync failed
    };
    kind_type kind = kind_type::file;
    std::uint64_t number = 0;
    mode_t mode = 0;
    uid_t uid = 0;  // of another user; 0: the program's own
    std::string data, stable;
    std::vector<patch> unsynced;
    std::map<std::string, node_ptr> entries, stable_entries;
    unsigned links = 1;
    timespec modified{}, touched{};
    unsigned writers = 0;  // of the world's, not the program's
};

class disk {
  public:
    explicit disk(machine& on);

    struct weather {
        double write = 0, sync = 0, name = 0, read = 0;  // how often each kind of call fails
        double short_write = 0;
        moment full_from = moment::max(), full_to{};  // ENOSPC
        moment sync_low = std::chrono::microseconds(200), sync_high = std::chrono::milliseconds(15);
        bool ordered = true;  // names are kept in order
    } now;

    // Planted bugs: what the program believes to have happened has not.
    struct plant {
        bool journal_sync = false;  // fdatasync of a journal does nothing
        bool late_sync = false;     // … says so before it has done it
        bool cut = false;           // ftruncate does nothing
        bool folder_sync = false;   // fsync of a folder does nothing
    } planted;

    node_ptr root;
    std::function<void()> on_stable;  // something became so
    // An inotify event of a folder.
    std::function<void(const node& folder, std::uint32_t what, const std::string& name)> on_event;

    // Null where there is none. Absolute, below /sim.
    [[nodiscard]] node_ptr find(std::string_view path) const;
    [[nodiscard]] static bool ours(std::string_view path) { return path == "/sim" || path.starts_with("/sim/"); }

    // 0 or errno.
    int make(const node_ptr& folder, const std::string& name, node::kind_type kind, mode_t mode, node_ptr& out);
    [[nodiscard]] node_ptr anonymous(mode_t mode);
    int remove(const node_ptr& folder, const std::string& name);
    int rename(const node_ptr& from, const std::string& name, const node_ptr& to, const std::string& new_name,
               unsigned flags);
    void write(node& file, std::uint64_t offset, std::string_view bytes);
    void cut(node& file, std::uint64_t size);
    void sync(node& file);
    void sync_failed(node& file);
    void sync_folder(const node& folder);
    void event(const node& folder, std::uint32_t what, const std::string& name) {
        if (on_event) on_event(folder, what, name);
    }

    // The power fails: what was not stable is kept or lost, by chance.
    void power_cut();
    // The same, with every say in it left to `pick`, which is asked for one of the numbers below its argument: a name's
    // change kept or not; each patch of a file lost, kept or torn, whatever became of those before it; a file whose end
    // is lost as long as it was or not. Where a file has more patches than can be tried one by one, a first part of
    // them is kept. All that POSIX allows, but for the byte at which a write tears. Not with `ordered`.
    using chooser = std::function<std::uint64_t(std::uint64_t)>;
    void power_cut(const chooser& pick);
    [[nodiscard]] timespec time() const;

    // Every file below `path` with its content, for comparing; names that start with a dot left out.
    [[nodiscard]] std::map<std::string, std::string> snapshot(std::string_view path) const;

  private:
    struct change {
        struct entry {
            node_ptr folder;
            std::string name;
            node_ptr what;  // null: gone
        };
        node_ptr about;  // what was made, moved or removed
        std::vector<entry> entries;
    };
    // Applies the changes that `wanted` picks (the newest is asked for first), and those before them that are about the
    // same file: no file system keeps a rename and forgets that the file was renamed before.
    using choice = std::function<bool(std::size_t number, const change&)>;
    void apply_some(const choice& wanted);
    void note(change c) { changes_.push_back(std::move(c)); }
    static void apply(const change& c);
    static void apply(node& file, const node::patch& p);
    void cut_with(const choice& kept, const std::function<void(node&)>& settle);
    void settle(node& file);
    static void settle(node& file, const chooser& pick);

    machine& on_;
    std::uint64_t numbers_ = 100;
    std::vector<change> changes_;  // not stable
};

}  // namespace culld::simulation
