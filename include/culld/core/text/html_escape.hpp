// Text that goes into the HTML we make: the status page and the report. Pure.
#pragma once

#include <string>
#include <string_view>

namespace culld {

// `text` where text or a quoted attribute may stand. Nothing in it is markup afterwards: names, reasons and messages
// come from spool files and servers. Control characters become U+FFFD; so do bytes that are no UTF-8.
void append_html(std::string& out, std::string_view text);
[[nodiscard]] std::string html(std::string_view text);

// 'sha256-…' for a Content-Security-Policy that lets in one inline style or script, and no other (W3C CSP3, 6.7.3).
// `text` is all that stands between the tags.
[[nodiscard]] std::string csp_hash(std::string_view text);

}  // namespace culld
