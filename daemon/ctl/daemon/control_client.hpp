// One HTTP exchange with the daemon over its control socket (contract, section 7). Blocking, 10 s at the
// most.
#pragma once

#include <string>
#include <string_view>

#include "culld/core/base/exit_code.hpp"
#include "culld/core/base/problem.hpp"

namespace culld::ctl {

struct control_answer {
    unsigned status = 0;
    std::string body;
};

enum class control_failure {
    unreachable,  // nobody listens: the daemon does not run, or the socket is another
    forbidden,    // this user may not open the socket
    broken,       // connected, and then no whole answer came
};

struct control_error {
    control_failure kind = control_failure::unreachable;
    problem about;
};

// `body` is JSON, or empty. Any status is an answer.
[[nodiscard]] tl::expected<control_answer, control_error> ask(const std::string& socket, std::string_view method,
                                                              std::string_view target, std::string_view body = {});

// The exit code that suits, and what the daemon said ({"error":…,"hint":…}, else the status).
using culld::exit_code_of;  // of a job's status
[[nodiscard]] int exit_code_of(const control_error& error);
[[nodiscard]] int exit_code_of(const control_answer& refusal);
[[nodiscard]] problem problem_of(const control_answer& refusal);

}  // namespace culld::ctl
