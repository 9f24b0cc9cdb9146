#include "emulator/exchange/arrival_clock.hpp"

namespace culld::emulator {

void arrival_clock::add(steady_time at) {
    ++total_;
    last_ = at;
    if (times_.size() < most_) times_.push_back(at.time_since_epoch().count());
}

arrival_clock::window arrival_clock::busiest(nanoseconds width) const {
    window w;
    w.total = total_;
    w.complete = total_ == times_.size();
    w.last = last_;
    if (times_.empty()) return w;
    w.first = steady_time(nanoseconds(times_.front()));
    // A busiest window can be moved right until it begins at an arrival without losing one, so only those
    // starts need be tried; the end moves on with them.
    auto end = times_.begin();
    std::uint64_t inside = 0;
    for (auto begin = times_.begin(); begin != times_.end(); ++begin) {
        while (end != times_.end() && *end - *begin < width.count()) ++end, ++inside;
        if (inside > w.most) {
            w.most = inside;
            w.busiest = steady_time(nanoseconds(*begin));
        }
        --inside;  // `begin` leaves the window
    }
    return w;
}

}  // namespace culld::emulator
