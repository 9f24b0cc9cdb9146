#include "culld/app/status/disk_usage.hpp"

#include "culld/core/spool/file_kind.hpp"

namespace culld {

namespace {

constexpr auto fresh_for = std::chrono::seconds(5);
// As long as Prometheus takes a sample for the present.
constexpr auto good_for = std::chrono::minutes(5);

template <class T>
std::optional<T> if_known(const result<T>& looked_up) {
    return looked_up ? std::optional(*looked_up) : std::nullopt;
}

result<std::uint64_t> count_incoming(const spool& files) {
    std::uint64_t out = 0;
    auto done = files.scan(spool_folder::incoming, [&out](std::string_view name) {
        if (type_of(name).kind != file_kind::ignored) ++out;
        return out < disk_usage::counted_max;
    });
    if (!done) return fail(std::move(done.error()));
    return out;
}

}  // namespace

const disk_usage::figures& disk_usage::ask() {
    const steady_time now = steady_now();
    if (seen_at_ && now - *seen_at_ > good_for) {
        seen_ = {};
        seen_at_.reset();
    }
    if (!looking_ && (!seen_at_ || now - *seen_at_ >= fresh_for)) {
        looking_ = true;
        auto look = [&with = with_]() -> figures {
            return {.journal = if_known(room_of(with.journals)),
                    .spool = if_known(room_of(with.files.root())),
                    .incoming_files = if_known(count_incoming(with.files))};
        };
        // Whichever disk hangs, no journal waits behind it.
        with_.filing.post(std::move(look), [this](const figures& found) {
            looking_ = false;
            seen_ = found;
            seen_at_ = steady_now();
        });
    }
    return seen_;
}

}  // namespace culld
