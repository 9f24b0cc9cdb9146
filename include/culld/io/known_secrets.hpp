// All secrets that this process holds, and the latest of those that it held: what the words of others are searched for
// (core/redact). Whoever comes by a secret that goes to a server makes it known here before it is used. They lie in
// pages that stay out of core dumps. Callable from any thread.
#pragma once

#include <memory>
#include <string_view>

#include "culld/core/redact.hpp"

namespace culld {

// Again is fine, and costs nothing. Throws std::bad_alloc.
void make_known(std::string_view secret);
// Of a header's value, such as `Bearer TOKEN`: what of it is secret.
void make_value_known(std::string_view value);

// As of now.
[[nodiscard]] std::shared_ptr<const redactor> known_secrets();

}  // namespace culld
