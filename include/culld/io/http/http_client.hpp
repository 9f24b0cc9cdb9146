// One keep-alive connection to the API: HTTP/1.1 over TCP, through a proxy where one is named, with TLS where the
// endpoint is https (Beast).
//
// Bounded whatever the other side does: one deadline for a whole exchange (a server that drips a byte a
// second gains nothing), header at most 64 KiB, body at most 4 MiB, also when it was packed (gzip, deflate); of a large
// body's memory 1 MiB is kept.
// Redirects are not followed, at most eight interim answers (1xx) skipped. Bytes left over after an answer,
// also such as TLS holds back, or a `Connection: close`, end the connection. Loop thread; one exchange at a
// time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/time.hpp"
#include "culld/core/net/endpoint.hpp"
#include "culld/io/http/tls_context.hpp"
#include "culld/io/os/event_loop.hpp"

namespace culld {

// How an exchange that brought no answer ended; journal's batch.error class.
enum class transport_failure : std::uint8_t {
    none,
    connect,    // no connection: nothing was sent
    tls,        // no trust: nothing was sent
    timeout,    // sent, and no answer in time
    transport,  // sent, then the connection broke
    protocol,   // the answer is no HTTP/1.1 answer, or over a limit
};
[[nodiscard]] std::string_view name_of(transport_failure f);

struct http_answer {
    transport_failure failure = transport_failure::none;
    bool sent = false;   // some byte of the request may have reached the server
    std::string detail;  // of a failure
    unsigned status = 0;
    std::string retry_after;
    std::vector<std::string>
        request_ids;        // the first four X-Request-Id, in order; the gateway's and the service's differ
    std::string_view body;  // good until the next exchange
    milliseconds took{};
};

class http_connection {
  public:
    // All referred to must outlive it; `tls` may be null for a plain endpoint.
    http_connection(loop_executor on, const api_endpoint& to, asio::ssl::context* tls, nanoseconds connect_timeout,
                    nanoseconds request_timeout);
    ~http_connection();
    http_connection(const http_connection&) = delete;
    http_connection& operator=(const http_connection&) = delete;

    // An exchange in steps, for whoever must know when the request left: open() where !is_open(), send(), receive().
    // Each hands back a failure, or an answer without one; after a failure the connection is closed.
    [[nodiscard]] bool is_open();
    [[nodiscard]] task<http_answer> open();
    [[nodiscard]] task<http_answer> send(std::string_view request);
    [[nodiscard]] task<http_answer> receive();
    // All of it: sends a whole request (head and body) and reads its answer, connecting first where needed.
    [[nodiscard]] task<http_answer> exchange(std::string_view request);
    // A header of the last answer, empty if it has none of that name; good until the next exchange.
    [[nodiscard]] std::string_view answer_header(std::string_view name) const;
    // Other limits, from the next connection or request on.
    void set_limits(nanoseconds connect_timeout, nanoseconds request_timeout);
    // Breaks off whatever is under way: the exchange ends as `transport`, or as `connect` if nothing was sent
    // yet. A look-up of a name is left behind then, as it is at the end of connect_timeout; see lookups_under_way().
    void close();

  private:
    struct parts;
    std::unique_ptr<parts> parts_;
};

// Look-ups of names that the system's resolver has not answered, those left behind included. The io_context's
// destructor waits for them, however long that takes: whoever must end in time ends the process instead. Loop thread,
// or when the loop is over.
[[nodiscard]] std::size_t lookups_under_way();

}  // namespace culld
