// One connection of the sender's and what it is busy with; for sender*.cpp only.
#pragma once

#include <string_view>

#include "culld/app/send/sender.hpp"
#include "culld/core/rate/request_buffer.hpp"

namespace culld {

inline constexpr std::string_view body_opening = "{\"batch_ids\":[", body_closing = "]}";

struct sender::worker {
    worker(const daemon_context& with, const route& api)
        : connection(with.loop, api.to, api.tls.get(), with.settings->api.connect_timeout,
                     with.settings->api.request_timeout),
          wake(with.loop) {}

    http_connection connection;
    event wake;
    work now;
    std::uint64_t generation = 0;  // of the credentials that the request in hand was made with
    bool idle = false;
    bool surplus = false;  // there are more of us than the configuration wants now
    request_text request;  // to delete the batch in hand; where it asks for an id, only the head of it goes out
    judge judges;
    redactor secrets;  // what must not be told of the answer in hand

    // What goes out, or went.
    [[nodiscard]] std::string_view sent() const {
        return now.what->what == batch::purpose::lookup ? request.head() : request.whole();
    }
    // `"id","id",…` of the batch in hand.
    [[nodiscard]] std::string_view ids() const {
        const std::string_view body = request.body();
        return body.substr(body_opening.size(), body.size() - body_opening.size() - body_closing.size());
    }
};

}  // namespace culld
