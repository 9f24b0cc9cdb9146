// A small HTTP/1.1 server for the control socket and the status listener (Beast): whole requests of at most 16 KiB in,
// whole answers out, at most 64 connections, 10 s for a request to come in. Loop thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "culld/core/problem.hpp"
#include "culld/io/loop.hpp"

namespace culld {

struct peer {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::int32_t pid = 0;
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
};

using server_handler = std::function<server_answer(const server_request&)>;

class http_server {
  public:
    // `path` of a Unix socket, made with `mode` in place of a stale one; or `address:port` on TCP.
    static result<std::unique_ptr<http_server>> on_socket(loop_executor on, const std::string& path, unsigned mode,
                                                          server_handler handler);
    static result<std::unique_ptr<http_server>> on_address(loop_executor on, const std::string& address,
                                                           server_handler handler);
    virtual ~http_server() = default;

    // Accepts nothing more and cuts what is open; returns when all is over.
    [[nodiscard]] virtual task<void> stop() = 0;
};

}  // namespace culld
