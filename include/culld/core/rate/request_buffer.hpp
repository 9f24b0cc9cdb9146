// A request as it goes out, head and body in one piece, and its body in memory once: though a head may be made only
// when its body is there (a signature covers it), the body is written first, behind room for the head. With a thousand
// ids in each request and one in flight on each connection, a body made elsewhere would be half of what a connection
// costs.
//
// Kept from one request to the next, so that the memory is. Pure; one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace culld {

class request_text {
  public:
    // Begins anew: the body is appended to what it hands out.
    [[nodiscard]] std::string& begin() {
        head_at_ = room_;
        text_.clear();
        text_.resize(room_);
        return text_;
    }
    // Puts `head` before the body, which may move.
    void put_head(std::string_view head) {
        if (head.size() > room_) {
            const std::size_t room = head.size() + spare;
            std::string wider;
            wider.reserve(room + body().size());
            wider.resize(room);
            wider.append(body());
            text_ = std::move(wider);
            room_ = room;
        }
        head_at_ = room_ - head.size();
        std::copy(head.begin(), head.end(), text_.begin() + static_cast<std::ptrdiff_t>(head_at_));
    }

    // Good until the next change.
    [[nodiscard]] std::string_view head() const { return whole().substr(0, room_ - head_at_); }
    [[nodiscard]] std::string_view body() const { return std::string_view(text_).substr(room_); }
    [[nodiscard]] std::string_view whole() const { return std::string_view(text_).substr(head_at_); }

  private:
    static constexpr std::size_t spare = 64;  // heads differ by a few digits

    std::size_t room_ = 1024;  // enough for all but those with a token
    std::size_t head_at_ = room_;
    std::string text_ = std::string(room_, '\0');
};

}  // namespace culld
