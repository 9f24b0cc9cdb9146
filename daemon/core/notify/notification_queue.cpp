#include "culld/core/notify/notification_queue.hpp"

#include <utility>

namespace culld {

delivery delivery_of_status(unsigned http_status) {
    if (http_status >= 200 && http_status <= 299) return delivery::arrived;
    const bool passing = http_status == 408 || http_status == 425 || http_status == 429 || http_status >= 500;
    return passing ? delivery::again : delivery::never;
}

delivery delivery_of_exit(int code) {
    return code == 0 ? delivery::arrived : delivery::again;
}

bool notification_queue::add(std::string body) {
    if (waiting_.size() >= waiting_max) {
        ++counted_.dropped;
        return false;
    }
    waiting_.push_back(std::move(body));
    return true;
}

const std::string* notification_queue::next(steady_time now) const {
    return waiting_.empty() || due_ > now ? nullptr : &waiting_.front();
}

std::optional<steady_time> notification_queue::due() const {
    return waiting_.empty() ? std::nullopt : std::optional(due_);
}

void notification_queue::pop() {
    waiting_.pop_front();
    tries_ = 0;
    due_ = {};
}

notification_queue::delivery_state notification_queue::came(delivery how, steady_time now, double chance) {
    if (waiting_.empty()) return delivery_state::failed;  // given up meanwhile
    ++tries_;
    if (how == delivery::arrived) {
        ++counted_.arrived;
        pop();
        return delivery_state::arrived;
    }
    if (how == delivery::never || tries_ >= attempts_) {
        ++counted_.failed;
        pop();
        return delivery_state::failed;
    }
    due_ = now + between.delay(tries_, chance);
    return delivery_state::waits;
}

std::size_t notification_queue::clear() {
    const std::size_t out = waiting_.size();
    counted_.failed += out;
    waiting_.clear();
    tries_ = 0;
    due_ = {};
    return out;
}

}  // namespace culld
