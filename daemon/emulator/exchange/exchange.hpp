// One request and what becomes of it: the values that pass between the socket side and the API side.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "culld/core/base/time.hpp"
#include "emulator/auth/signature_check.hpp"

namespace culld::emulator {

// Views into the connection's buffers, good until the reply has been made.
struct request {
    std::uint64_t number = 0;  // among the API requests, from 1; 0: not one of them (IAM, metadata, control)
    steady_time arrived;       // when its head had been read
    std::string_view method;
    std::string_view target;
    std::span<const header> headers;
    std::string_view body;

    [[nodiscard]] std::string_view path() const { return target.substr(0, target.find('?')); }
    // The raw value of a query parameter; empty if absent.
    [[nodiscard]] std::string_view query(std::string_view name) const;
};

struct reply {
    enum class ending {
        send,    // answer
        close,   // close the connection without an answer
        reset,   // the same, with a reset
        cut,     // answer, but close in mid-body
        hang,    // never answer; wait until the client has gone
        refuse,  // close every connection and do not listen for `refuse_for`
    };

    int status = 200;
    std::string_view content_type = "application/json";
    std::string headers;  // further ones, each "Name: value\r\n"
    std::string body;
    ending how = ending::send;
    bool close = false;  // answer, then close
    nanoseconds delay{0};
    nanoseconds refuse_for{0};
    std::string request_id;

    // For the request log.
    std::uint64_t ids = 0;
    std::uint64_t deleted = 0;
    std::string_view did = "answered";  // a literal

    // As new, buffers kept.
    void clear();
};

// The answers' envelopes (secmaster-api 5.1, 1.1, 3.3). Each sets status and body.
void gateway_error(reply& to, int status, std::string_view code, std::string_view message);
void service_error(reply& to, int status, std::string_view code, std::string_view message);
void iam_error(reply& to, int status, std::string_view message);
void html_error(reply& to, int status);

// "Bad Gateway"; empty for a status without a common name.
[[nodiscard]] std::string_view reason(int status);

// Appends the whole HTTP/1.1 response. `date` is the value of the Date header.
void append_response(std::string& out, const reply& r, std::string_view date);

}  // namespace culld::emulator
