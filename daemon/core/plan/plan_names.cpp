// The words that journals and stores have for what a plan knows.
#include <iterator>

#include "culld/core/plan/plan.hpp"

namespace culld {

namespace {

constexpr std::string_view word_names[] = {"unsent",  "lost",     "refused", "unaccounted", "reported",
                                           "present", "rejected", "doubted", "withheld"};

}  // namespace

std::string_view name_of(last_outcome w) {
    return word_names[static_cast<std::size_t>(w)];
}

std::optional<last_outcome> last_outcome_named(std::string_view name) {
    for (std::size_t i = 0; i < std::size(word_names); ++i)
        if (word_names[i] == name) return static_cast<last_outcome>(i);
    return std::nullopt;
}

std::string_view name_of(skip_reason r) {
    switch (r) {
        case skip_reason::cancelled: return "cancelled";
        case skip_reason::aborted: return "aborted";
        case skip_reason::deadline: return "deadline";
        case skip_reason::dry_run: return "dry_run";
        case skip_reason::protected_id: break;
    }
    return "protected";
}

}  // namespace culld
