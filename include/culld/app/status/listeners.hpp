// The control socket and the status listener, as the configuration says.
#pragma once

#include <memory>
#include <vector>

#include "culld/app/status/control.hpp"
#include "culld/core/config/config.hpp"
#include "culld/io/http/http_server.hpp"

namespace culld {

// `answers` must outlive them. With `once` those that cannot be opened are done without: nobody needs to talk to a run
// that ends by itself.
[[nodiscard]] result<std::vector<std::unique_ptr<http_server>>> open_listeners(loop_executor loop,
                                                                               const config& settings, control& answers,
                                                                               bool once);

}  // namespace culld
