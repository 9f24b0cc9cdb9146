// All secrets that this process holds, and the latest of those that it held: what the words of others are searched for
// (core/text/redact). Whoever comes by a secret that goes to a server makes it known here before it is used. They lie
// in pages that stay out of core dumps. Callable from any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "culld/core/text/redact.hpp"

namespace culld {

// `source` says what it is, a literal. Of each only the latest `most` are kept: tokens follow one another for as long
// as we run, and a server repeats one that it was sent lately. Again is fine, and costs nothing. Throws std::bad_alloc.
void make_known(std::string_view source, std::string_view secret, std::size_t most = 2);
// Of a text made of several words, such as a header's value: those of at least `shortest` bytes; all of it where none
// is.
void make_words_known(std::string_view source, std::string_view text, std::string_view between, std::size_t shortest);

// As of now.
[[nodiscard]] std::shared_ptr<const redactor> known_secrets();

}  // namespace culld
