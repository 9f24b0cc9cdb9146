#include "culld/io/ids/id_reader.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace culld {

const id_segment* id_reader::held(std::uint64_t number) const {
    for (const id_segment& s : held_)
        if (s.number() == number) return &s;
    return nullptr;
}

bool id_reader::at_hand(std::span<const span> at) const {
    return std::ranges::all_of(at, [this](const span& s) {
        if (s.count == 0) return true;
        for (std::uint64_t n = s.first / ids_per_segment; n <= (s.end() - 1) / ids_per_segment; ++n)
            if (held(n) == nullptr) return false;
        return true;
    });
}

void id_reader::append_quoted(std::span<const span> at, std::string& out) {
    std::uint64_t last = 0;
    bool first_id = true;
    for (span rest : at)
        while (rest.count > 0) {
            last = rest.first / ids_per_segment;
            const id_segment* const s = held(last);
            if (s == nullptr) throw std::logic_error("ids that are not at hand");
            const auto from = static_cast<std::size_t>(rest.first % ids_per_segment);
            const auto here = static_cast<std::size_t>(std::min(rest.count, store_->ids_in(last) - from));
            if (!std::exchange(first_id, false)) out.push_back(',');
            const std::size_t begin = s->start(from);
            out.append(s->bytes(), begin, s->start(from + here) - begin - 1);  // its last comma left out
            rest = {rest.first + here, rest.count - here};
        }
    if (!first_id) read_ahead(last + 1);
}

void id_reader::expect(position first) {
    const bool none = std::ranges::none_of(held_, [](const id_segment& s) { return s.number().has_value(); });
    if (none) read_ahead(first / ids_per_segment);
}

void id_reader::read_ahead(std::uint64_t number) {
    if (reading_ || number >= store_->segments() || held(number) != nullptr) return;
    // What lies behind all that is held is an id that is tried again, or what it led to.
    const auto lowest =
        std::ranges::min_element(held_, {}, [](const id_segment& s) { return s.number() ? *s.number() + 1 : 0; });
    if (lowest->number() && number < *lowest->number()) return;
    reading_ = true;
    // Its memory goes along, and comes back.
    auto piece = std::make_shared<id_segment>(std::exchange(*lowest, id_segment()));
    auto work = [store = store_, number, piece] { return store->read(number, *piece); };
    thread_.post(std::move(work), [this, alive = alive_, piece](const result<void>& done) {
        if (!*alive) return;
        reading_ = false;
        // Where it cannot be read, whoever needs it will ask, and hear why.
        if (!done) return;
        *std::ranges::min_element(held_, {}, [](const id_segment& s) { return s.number() ? *s.number() + 1 : 0; }) =
            std::move(*piece);
    });
}

void id_reader::fetch(spans at, std::function<void(result<std::string>)> then) {
    auto work = [store = store_, at = std::move(at)]() -> result<std::string> {
        std::string out;
        id_segment piece;
        for (span rest : at)
            while (rest.count > 0) {
                const std::uint64_t number = rest.first / ids_per_segment;
                if (piece.number() != number)
                    if (auto read = store->read(number, piece); !read) return fail(std::move(read.error()));
                const auto from = static_cast<std::size_t>(rest.first % ids_per_segment);
                const auto here = static_cast<std::size_t>(std::min(rest.count, store->ids_in(number) - from));
                if (!out.empty()) out.push_back(',');
                const std::size_t begin = piece.start(from);
                out.append(piece.bytes(), begin, piece.start(from + here) - begin - 1);
                rest = {rest.first + here, rest.count - here};
            }
        return out;
    };
    thread_.post(std::move(work), [alive = alive_, then = std::move(then)](result<std::string> text) {
        if (*alive) then(std::move(text));
    });
}

}  // namespace culld
