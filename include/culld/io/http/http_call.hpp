// One exchange with a server that is seldom talked to: IAM, the metadata service. The connection is made for it and
// closed behind it; what was sent and received may hold secrets and is wiped. Loop thread.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <string>
#include <string_view>

#include "culld/core/net/endpoint.hpp"
#include "culld/io/http/http_client.hpp"
#include "culld/io/os/event_loop.hpp"
#include "culld/io/secrets/known_secrets.hpp"

namespace culld {

// What came back; wiped at its end.
struct call_answer {
    call_answer() = default;
    call_answer(call_answer&&) = default;
    call_answer& operator=(call_answer&&) = default;
    call_answer(const call_answer&) = delete;
    call_answer& operator=(const call_answer&) = delete;
    ~call_answer();

    transport_failure failure = transport_failure::none;
    std::string detail;  // of a failure
    unsigned status = 0;
    std::string retry_after;
    std::string body;
    std::string header;  // the one that was asked for
    // What must not be told of it: all that we know, and what this request was signed with.
    redactor secrets{known_secrets()};
};

class http_call {
  public:
    // `tls` may be null for a plain endpoint; both outlive it.
    http_call(const api_endpoint& to, asio::ssl::context* tls, nanoseconds connect_timeout, nanoseconds request_timeout)
        : to_(to), tls_(tls), connect_timeout_(connect_timeout), request_timeout_(request_timeout) {}

    // Sends `request`, head and body as they go over the wire, and wipes it. One at a time.
    [[nodiscard]] task<call_answer> operator()(std::string request, std::string_view wanted_header);
    // Ends the exchange under way, with a failure.
    void break_off();

    // Head of a request to that server up to the Host line; further lines, an empty one and the body follow.
    [[nodiscard]] std::string head(std::string_view method, std::string_view target) const;
    [[nodiscard]] const api_endpoint& to() const { return to_; }

  private:
    const api_endpoint& to_;
    asio::ssl::context* tls_;
    nanoseconds connect_timeout_, request_timeout_;
    http_connection* open_ = nullptr;
};

}  // namespace culld
