// A small HTTP/1.1 server for the control socket and the status listener (Beast): whole requests in (head and
// body of at most 16 KiB each, else 431 or 413; what is no HTTP gets 400), whole answers out. Loop thread.
//
// Nobody can keep others out. Those who are trusted have places of their own; of everybody else each uid (on TCP: each
// address) has a few. Where there is no place left the connection that has been idle the longest gives way, of the uid
// that has most. And whoever is not trusted may use a tenth of the loop's time: then the next answer waits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/time.hpp"
#include "culld/io/os/event_loop.hpp"

namespace culld {

struct peer {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::int32_t pid = 0;
    std::vector<std::uint32_t> groups;  // the supplementary ones
};

struct server_request {
    std::string method;  // GET, POST, ...
    std::string target;  // path and query as they came
    std::string body;
    std::optional<peer> from;  // on a Unix socket: who the kernel says it is
};

struct server_answer {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::string allow;  // for 405
    // Content-Security-Policy: what a browser may load for it.
    std::string policy = "default-src 'none'; frame-ancestors 'none'";
    // The answer has to be waited for: then this makes it, and nothing else here counts.
    std::function<task<server_answer>()> later = {};
};

// Called on the loop. What it throws ends the loop: nobody else could know of it.
using server_handler = std::function<server_answer(const server_request&)>;

// How long a request may take to come in, an idle connection to ask again, and an answer to be taken.
constexpr milliseconds server_patience = std::chrono::seconds(10);

// Connections of those who are trusted, of all others, and of one uid of the others.
constexpr std::size_t trusted_places = 64, other_places = 64, places_of_one_uid = 8;

struct server_rules {
    milliseconds patience = server_patience;
    std::function<bool(const peer&)> trusted = {};  // none: nobody is
    // TCP: what `Host` may be beside addresses and localhost, else 421. A page of somebody else's, whose name was made
    // to mean this address, could read everything otherwise (DNS rebinding).
    std::vector<std::string> names = {};
};

class http_server {
  public:
    // `path` of a Unix socket, made with `mode` in place of a stale one; or `address:port` on TCP.
    static result<std::unique_ptr<http_server>> on_socket(loop_executor on, const std::string& path, unsigned mode,
                                                          server_handler handler, server_rules rules = {});
    static result<std::unique_ptr<http_server>> on_address(loop_executor on, const std::string& address,
                                                           server_handler handler, server_rules rules = {});
    // Only after stop().
    virtual ~http_server() = default;

    // Accepts nothing more and cuts what is open; returns when all is over.
    [[nodiscard]] virtual task<void> stop() = 0;
};

}  // namespace culld
