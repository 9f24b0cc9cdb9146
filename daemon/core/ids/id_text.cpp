#include "culld/core/ids/id_text.hpp"

#include <algorithm>

#include "culld/core/base/ascii.hpp"

namespace culld {

bool is_uuid(std::string_view text) {
    const bool dashed = text.size() == uuid_bytes;
    if (!dashed && text.size() != bare_uuid_bytes) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = dashed && (i == 8 || i == 13 || i == 18 || i == 23);
        if (dash ? text[i] != '-' : hex_value(text[i]) < 0) return false;
    }
    return true;
}

void compared_id::fold() {
    if (!is_uuid(text_)) return;
    std::ranges::transform(text_, lowered_.begin(), ascii_lower);
    text_ = {lowered_.data(), text_.size()};
}

}  // namespace culld
