// Our secrets in the words of others: a server may repeat what it was sent, in any text and any spelling, and that text
// goes to logs, journals and pages. So it is searched for the secrets themselves, not for names beside them.
//
// Hidden is whatever repeats 8 bytes of a secret or more, one behind the other, so also a piece that somebody cut off;
// of a secret of 4 to 7 bytes, all of it; shorter ones are none. As they are, or in base64 or base64url (whatever
// stands before them in it), percent escapes, those of JSON or HTML, or several of these over one another.
//
// Pure. One thread while it is added to; many may read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <string>
#include <string_view>
#include <vector>

namespace culld {

class redactor {
  public:
    // `memory` holds the secrets in all but name; it outlives this. Hides what `also` hides, too; may be null.
    explicit redactor(std::shared_ptr<const redactor> also = nullptr,
                      std::pmr::memory_resource* memory = std::pmr::get_default_resource());

    void add(std::string_view secret);

    // `text` with "[redacted]" for each piece of a secret; no part of a character is left behind.
    [[nodiscard]] std::string operator()(std::string_view text) const;

  private:
    // One reading of a text: each byte, and where it stands in the text.
    struct span_of {
        std::uint32_t begin, end;
    };
    struct reading_of;
    struct short_secret {
        std::uint64_t bytes;
        std::size_t size;
    };

    void add_form(std::string_view secret);
    void add_base64(std::string_view secret, std::size_t before);
    void insert(std::uint64_t window);
    void grow(std::size_t windows);
    [[nodiscard]] bool holds(std::uint64_t window) const;
    [[nodiscard]] bool holds_any(std::string_view text) const;
    [[nodiscard]] std::size_t shortest() const;
    void search(const reading_of& in, std::vector<bool>& hidden) const;
    void search_base64(const reading_of& in, std::vector<bool>& hidden) const;

    std::shared_ptr<const redactor> also_;
    std::pmr::vector<std::uint64_t> table_;  // open addressing: eight bytes of a secret, or of its base64url; 0: free
    std::size_t used_ = 0;
    std::pmr::vector<short_secret> short_;
};

// The signature, or login, that a request's head carries in its Authorization; empty where it has none.
[[nodiscard]] std::string_view signature_in(std::string_view head);

// Whether `text` repeats 8 bytes of `secret` as they are. Cheap.
[[nodiscard]] bool may_repeat(std::string_view text, std::string_view secret);

}  // namespace culld
