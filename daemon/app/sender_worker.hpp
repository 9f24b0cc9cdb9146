// One connection of the sender's and what it is busy with; for sender*.cpp only.
#pragma once

#include <string>

#include "culld/app/sender.hpp"

namespace culld {

struct sender::worker {
    worker(const services& with, const route& api)
        : connection(with.loop, api.to, api.tls.get(), with.settings->api.connect_timeout,
                     with.settings->api.request_timeout),
          wake(with.loop) {}

    http_connection connection;
    event wake;
    work now;
    std::uint64_t generation = 0;  // of the credentials that the request in hand was made with
    bool idle = false;
    bool surplus = false;  // there are more of us than the configuration wants now
    std::string ids;       // `"id","id",…` of the batch in hand
    std::string request;
    judge judges;
};

}  // namespace culld
