#include "emulator/exchange/exchange.hpp"

#include <fmt/format.h>

#include "culld/core/text/json_writer.hpp"

namespace culld::emulator {

std::string_view request::query(std::string_view name) const {
    const auto question = target.find('?');
    if (question == std::string_view::npos) return {};
    std::string_view rest = target.substr(question + 1);
    while (!rest.empty()) {
        const std::string_view part = rest.substr(0, rest.find('&'));
        if (part.starts_with(name) && part.size() > name.size() && part[name.size()] == '=')
            return part.substr(name.size() + 1);
        rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    }
    return {};
}

void reply::clear() {
    status = 200;
    content_type = "application/json";
    headers.clear();
    body.clear();
    how = ending::send;
    close = false;
    delay = refuse_for = nanoseconds(0);
    request_id.clear();
    ids = deleted = 0;
    did = "answered";
}

void gateway_error(reply& to, int status, std::string_view code, std::string_view message) {
    to.status = status;
    to.body.clear();
    json_object(to.body)
        .member("error_msg", message)
        .member("error_code", code)
        .member("request_id", to.request_id)
        .close();
}

void service_error(reply& to, int status, std::string_view code, std::string_view message) {
    to.status = status;
    to.body.clear();
    json_object(to.body).member("code", code).member("message", message).close();
}

void iam_error(reply& to, int status, std::string_view message) {
    to.status = status;
    to.body.clear();
    json_object outer(to.body);
    json_object(outer.begin("error"))
        .member("code", status)
        .member("message", message)
        .member("title", reason(status))
        .close();
    outer.close();
}

void html_error(reply& to, int status) {
    to.status = status;
    to.content_type = "text/html";
    to.body = fmt::format(
        "<html>\r\n<head><title>{0} {1}</title></head>\r\n<body>\r\n<center><h1>{0} {1}</h1></center>\r\n"
        "<hr><center>CloudWAF</center>\r\n</body>\r\n</html>\r\n",
        status, reason(status));
}

std::string_view reason(int status) {
    switch (status) {
        case 200: return "OK";
        case 201: return "Created";
        case 204: return "No Content";
        case 400: return "Bad Request";
        case 401: return "Unauthorized";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 413: return "Request Entity Too Large";
        case 414: return "Request-URI Too Long";
        case 429: return "Too Many Requests";
        case 494: return "Request Header Too Large";
        case 500: return "Internal Server Error";
        case 502: return "Bad Gateway";
        case 503: return "Service Unavailable";
        case 504: return "Gateway Timeout";
        default: return {};
    }
}

void append_response(std::string& out, const reply& r, std::string_view date) {
    out.append("HTTP/1.1 ");
    append_number(out, static_cast<std::uint64_t>(r.status));
    out.push_back(' ');
    out.append(reason(r.status));
    out.append("\r\nServer: api-gateway\r\nDate: ");
    out.append(date);
    out.append("\r\nContent-Type: ");
    out.append(r.content_type);
    out.append("\r\nContent-Length: ");
    append_number(out, static_cast<std::uint64_t>(r.body.size()));
    if (!r.request_id.empty()) {
        out.append("\r\nX-Request-Id: ");
        out.append(r.request_id);
    }
    out.append("\r\n");
    out.append(r.headers);
    out.append(r.close ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n");
    out.append(r.body);
}

}  // namespace culld::emulator
