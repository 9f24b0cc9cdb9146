// Whether this is a sanitizer's build: there neither memory nor speed says anything about culld.
#pragma once

namespace culld {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace culld
