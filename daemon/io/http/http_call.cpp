#include "culld/io/http/http_call.hpp"

#include <boost/asio/this_coro.hpp>

#include "culld/io/secrets/secret_file.hpp"

namespace culld {

call_answer::~call_answer() {
    wipe(body);
    wipe(header);
}

task<call_answer> http_call::operator()(std::string request, std::string_view wanted_header) {
    const loop_executor on = co_await asio::this_coro::executor;
    http_connection connection(on, to_, tls_, connect_timeout_, request_timeout_);
    open_ = &connection;
    const http_answer got = co_await connection.exchange(request);
    open_ = nullptr;
    call_answer out;
    out.secrets.add(signature_in(std::string_view(request).substr(0, request.find("\r\n\r\n"))));
    wipe(request);
    out.failure = got.failure;
    out.detail = out.secrets(got.detail);
    out.status = got.status;
    out.retry_after = got.retry_after;
    out.body = got.body;
    if (!wanted_header.empty() && got.failure == transport_failure::none)
        out.header = connection.answer_header(wanted_header);
    co_return out;
}

void http_call::break_off() {
    if (open_ != nullptr) open_->close();
}

std::string http_call::head(std::string_view method, std::string_view target) const {
    std::string out;
    out.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: ").append(to_.authority);
    out += "\r\nUser-Agent: culld/" CULLD_VERSION "\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n";
    return out;
}

}  // namespace culld
