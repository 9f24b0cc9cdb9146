#include "disk.hpp"

#include <fmt/format.h>
#include <stdio.h>
#include <sys/inotify.h>

#include <algorithm>
#include <cerrno>

namespace culld::simulation {

namespace {
constexpr std::uint32_t is_folder = IN_ISDIR;
}

disk::disk(machine& on) : on_(on) {
    root = std::make_shared<node>();
    root->kind = node::kind_type::folder;
    root->number = numbers_++;
    root->mode = 0755;
    root->modified = root->touched = time();
}

timespec disk::time() const {
    const auto since = on_.wall().time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    return {.tv_sec = seconds.count(), .tv_nsec = std::chrono::nanoseconds(since - seconds).count()};
}

node_ptr disk::find(std::string_view path) const {
    if (!ours(path)) return nullptr;
    node_ptr at = root;
    for (std::size_t from = 5; from < path.size();) {
        const std::size_t end = std::min(path.find('/', from), path.size());
        if (end > from) {
            const auto it = at->entries.find(std::string(path.substr(from, end - from)));
            if (it == at->entries.end()) return nullptr;
            at = it->second;
        }
        from = end + 1;
    }
    return at;
}

node_ptr disk::anonymous(mode_t mode) {
    auto out = std::make_shared<node>();
    out->number = numbers_++;
    out->mode = mode;
    out->modified = out->touched = time();
    return out;
}

int disk::make(const node_ptr& folder, const std::string& name, node::kind_type kind, mode_t mode, node_ptr& out) {
    if (folder->entries.contains(name)) return EEXIST;
    out = anonymous(mode);
    out->kind = kind;
    folder->entries[name] = out;
    folder->modified = folder->touched = time();
    note({out, {{folder, name, out}}});
    event(*folder, IN_CREATE | (kind == node::kind_type::folder ? is_folder : 0U), name);
    return 0;
}

int disk::remove(const node_ptr& folder, const std::string& name) {
    const auto it = folder->entries.find(name);
    if (it == folder->entries.end()) return ENOENT;
    if (it->second->kind == node::kind_type::folder) return EISDIR;
    const node_ptr what = it->second;
    what->links = 0;
    folder->entries.erase(it);
    folder->modified = folder->touched = time();
    note({what, {{folder, name, nullptr}}});
    event(*folder, IN_DELETE, name);
    return 0;
}

int disk::rename(const node_ptr& from, const std::string& name, const node_ptr& to, const std::string& new_name,
                 unsigned flags) {
    const auto it = from->entries.find(name);
    if (it == from->entries.end()) return ENOENT;
    const node_ptr what = it->second;
    if ((flags & RENAME_NOREPLACE) != 0 && to->entries.contains(new_name)) return EEXIST;
    from->entries.erase(it);
    to->entries[new_name] = what;
    what->touched = from->modified = from->touched = to->modified = to->touched = time();
    note({what, {{from, name, nullptr}, {to, new_name, what}}});
    event(*from, IN_MOVED_FROM, name);
    event(*to, IN_MOVED_TO, new_name);
    return 0;
}

void disk::apply(node& file, const node::patch& p) {
    if (p.cut) {
        file.stable.resize(p.offset);
        return;
    }
    if (file.stable.size() < p.offset + p.bytes.size()) file.stable.resize(p.offset + p.bytes.size());
    file.stable.replace(p.offset, p.bytes.size(), p.bytes);
}

void disk::write(node& file, std::uint64_t offset, std::string_view bytes) {
    if (file.data.size() < offset + bytes.size()) file.data.resize(offset + bytes.size());
    file.data.replace(offset, bytes.size(), bytes);
    file.unsynced.push_back({.offset = offset, .bytes = std::string(bytes)});
    file.modified = file.touched = time();
}

void disk::cut(node& file, std::uint64_t size) {
    file.data.resize(size);
    file.unsynced.push_back({.offset = size, .bytes = {}, .cut = true});
    file.modified = file.touched = time();
}

void disk::sync(node& file) {
    for (const node::patch& p : file.unsynced)
        if (!p.lost) apply(file, p);
    file.unsynced.clear();  // what was lost stays so
    if (now.ordered) {
        for (const change& c : changes_) apply(c);
        changes_.clear();
    }
    if (on_stable) on_stable();
}

void disk::sync_failed(node& file) {
    for (node::patch& p : file.unsynced) p.lost = true;
}

void disk::apply(const change& c) {
    for (const change::entry& e : c.entries)
        if (e.what)
            e.folder->stable_entries[e.name] = e.what;
        else
            e.folder->stable_entries.erase(e.name);
}

void disk::apply_some(const choice& wanted) {
    std::vector<const change*> chosen;
    std::set<const node*> about;
    for (std::size_t i = changes_.size(); i-- > 0;)
        if (const change& c = changes_[i]; about.contains(c.about.get()) || wanted(i, c)) {
            chosen.push_back(&c);
            about.insert(c.about.get());
        }
    for (auto c = chosen.rbegin(); c != chosen.rend(); ++c) apply(**c);
    const std::set<const change*> done(chosen.begin(), chosen.end());
    std::erase_if(changes_, [&](const change& c) { return done.contains(&c); });
}

void disk::sync_folder(const node& folder) {
    const auto touches = [&](std::size_t, const change& c) {
        return std::any_of(c.entries.begin(), c.entries.end(),
                           [&](const auto& e) { return e.folder.get() == &folder; });
    };
    if (now.ordered) {
        for (const change& c : changes_) apply(c);
        changes_.clear();
    } else {
        apply_some(touches);
    }
    if (on_stable) on_stable();
}

void disk::settle(node& file) {
    if (file.unsynced.empty()) {
        file.data = file.stable;
        return;
    }
    dice& chance = on_.chance;
    const std::uint64_t style = chance.below(4);
    std::size_t whole = style == 0 ? 0 : style == 1 ? file.unsynced.size() : chance.below(file.unsynced.size() + 1);
    const std::size_t size = file.data.size();
    for (std::size_t i = 0; i < whole; ++i)
        if (const node::patch& p = file.unsynced[i]; !p.lost || chance.chance(0.3)) apply(file, p);
    if (style > 1 && whole < file.unsynced.size() && !file.unsynced[whole].cut && !file.unsynced[whole].lost) {
        node::patch torn = file.unsynced[whole];
        torn.bytes.resize(chance.below(torn.bytes.size() + 1));
        if (!torn.bytes.empty()) apply(file, torn);
        if (chance.chance(0.2) && file.stable.size() < size) file.stable.resize(size);
    }
    file.unsynced.clear();
    file.data = file.stable;
}

void disk::settle(node& file, const chooser& pick) {
    constexpr std::size_t one_by_one = 4;
    const std::size_t n = file.unsynced.size(), size = file.data.size();
    const bool each = n <= one_by_one;
    const std::size_t first = each ? n : pick(n + 1);
    for (std::size_t i = 0; i < first; ++i) {
        node::patch& p = file.unsynced[i];
        const std::uint64_t fate = each ? pick(p.bytes.size() > 1 ? 3 : 2) : 1;
        if (fate == 0) continue;
        if (fate == 2) p.bytes.resize(p.bytes.size() / 2);
        apply(file, p);
    }
    if (n > 0 && file.stable.size() < size && pick(2) == 1) file.stable.resize(size);
    file.unsynced.clear();
    file.data = file.stable;
}

void disk::cut_with(const choice& kept, const std::function<void(node&)>& settle) {
    apply_some(kept);
    changes_.clear();
    // Folders are visited by name, not by address: a seed is a run.
    const std::function<void(const node_ptr&)> visit = [&](const node_ptr& it) {
        it->writers = 0;
        if (it->kind != node::kind_type::folder) return settle(*it);
        // A socket's name means nothing without its process, and a file has one name.
        it->entries = it->stable_entries;
        for (const auto& [name, below] : it->entries) visit(below);
    };
    visit(root);
    if (on_stable) on_stable();
}

void disk::power_cut() {
    dice& chance = on_.chance;
    const std::size_t first = now.ordered ? chance.below(changes_.size() + 1) : 0;
    cut_with([&](std::size_t i, const change&) { return now.ordered ? i < first : chance.chance(0.5); },
             [this](node& file) { settle(file); });
}

void disk::power_cut(const chooser& pick) {
    cut_with([&](std::size_t, const change&) { return pick(2) == 1; }, [&](node& file) { settle(file, pick); });
}

std::map<std::string, std::string> disk::snapshot(std::string_view path) const {
    std::map<std::string, std::string> out;
    const std::function<void(const std::string&, const node&)> visit = [&](const std::string& at, const node& it) {
        if (it.kind == node::kind_type::file) out[at] = it.data;
        for (const auto& [name, below] : it.entries)
            if (!name.starts_with('.')) visit(at + "/" + name, *below);
    };
    if (const node_ptr top = find(path)) visit(std::string(path), *top);
    return out;
}

}  // namespace culld::simulation
