#include "emulator/api/incidents.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>

#include "culld/io/os/file.hpp"

namespace culld::emulator {

namespace {
constexpr std::size_t block_bytes = std::size_t{1} << 20;
constexpr std::size_t stored_id_max = 4096;  // far above the API's 100; longer ones are refused before they get here
}  // namespace

incidents::key incidents::key_of(std::string_view id) {
    const XXH128_hash_t hash = XXH3_128bits(id.data(), id.size());
    return {hash.low64, hash.high64};
}

void incidents::prefetch(key k) const {
    __builtin_prefetch(&slots_[k.low & (slots_.size() - 1)]);
}

std::size_t incidents::find(key k) const {
    const std::size_t mask = slots_.size() - 1;
    const auto tag = static_cast<std::uint32_t>(k.high);
    for (std::size_t i = k.low & mask;; i = (i + 1) & mask) {
        const slot& s = slots_[i];
        if (s.entry == 0) return i;
        if (s.tag != tag) continue;
        const key& other = entries_[s.entry - 1].hash;
        if (other.low == k.low && other.high == k.high) return i;
    }
}

bool incidents::exists(key k) const {
    const slot& s = slots_[find(k)];
    return s.entry == 0 ? !listed_ : entries_[s.entry - 1].deletions == 0;
}

bool incidents::remove(key k, std::string_view id) {
    const slot& s = slots_[find(k)];
    if (s.entry == 0) {
        if (listed_) return false;
        ++deletions_;
        if (!tracking_ || added_ >= track_) {
            tracking_ = false;
            return true;
        }
        ++added_;
        ++deleted_distinct_;
        insert(k, id, 1);
        return true;
    }
    entry& known = entries_[s.entry - 1];
    if (known.deletions < std::numeric_limits<std::uint32_t>::max()) ++known.deletions;
    if (known.deletions == 1) {
        ++deletions_;
        ++deleted_distinct_;
        return true;
    }
    if (known.deletions == 2) ++deleted_again_;
    return false;
}

incidents::row incidents::at(std::size_t index) const {
    const entry& e = entries_[index];
    const char* bytes = blocks_[e.where / block_bytes].get() + e.where % block_bytes;
    return {{bytes, e.length}, e.deletions};
}

void incidents::insert(key k, std::string_view id, std::uint32_t deletions) {
    if ((entries_.size() + 1) * 4 > slots_.size() * 3) grow();
    const std::uint64_t where = keep(id);
    entries_.push_back({k, where, static_cast<std::uint32_t>(id.size()), deletions});
    slots_[find(k)] = {static_cast<std::uint32_t>(entries_.size()), static_cast<std::uint32_t>(k.high)};
}

void incidents::grow() {
    std::vector<slot> wider(slots_.size() * 2);
    slots_.swap(wider);
    for (const slot& s : wider)
        if (s.entry != 0) slots_[find(entries_[s.entry - 1].hash)] = s;
}

std::uint64_t incidents::keep(std::string_view id) {
    if (blocks_.empty() || block_used_ + id.size() > block_bytes) {
        blocks_.push_back(std::make_unique<char[]>(block_bytes));
        block_used_ = 0;
    }
    std::memcpy(blocks_.back().get() + block_used_, id.data(), id.size());
    const std::uint64_t where = (blocks_.size() - 1) * block_bytes + block_used_;
    block_used_ += id.size();
    return where;
}

result<void> incidents::load(const std::string& path) {
    std::ifstream file(path);
    if (!file) return fail(errno_problem("open", path, errno));
    listed_ = true;
    std::string line;
    for (std::uint64_t number = 1; std::getline(file, line); ++number) {
        std::string_view id = line;
        while (!id.empty() && (id.back() == '\r' || id.back() == ' ' || id.back() == '\t')) id.remove_suffix(1);
        while (!id.empty() && (id.front() == ' ' || id.front() == '\t')) id.remove_prefix(1);
        if (id.empty() || id.front() == '#') continue;
        if (id.size() > stored_id_max)
            return fail(problem{.what = fmt::format("an id of {} bytes is too long", id.size()),
                                .hint = "one id a line",
                                .file = path,
                                .line = number,
                                .column = 1});
        const key k = key_of(id);
        if (slots_[find(k)].entry == 0) insert(k, id, 0);
    }
    if (file.bad()) return fail(errno_problem("read", path, errno));
    return {};
}

}  // namespace culld::emulator
