// Secrets come by file only: a systemd credential, or a file that nobody else may read (contract, section 4).
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"

namespace culld {

// Where secrets are, and for whom.
struct secret_access {
    // NOLINTNEXTLINE(google-explicit-constructor): a folder alone is the ordinary case
    secret_access(std::string credentials_folder = {}) : folder(std::move(credentials_folder)) {}
    // NOLINTNEXTLINE(google-explicit-constructor)
    secret_access(const char* credentials_folder) : folder(credentials_folder) {}

    std::string folder;          // $CREDENTIALS_DIRECTORY; empty where there is none
    uid_t reader = ::geteuid();  // who is to use them; another than ourselves where root checks for a service
};

// Holds a secret in pages of its own that stay out of core dumps and, where the kernel lets us, out of swap,
// and wipes them. Moves, and is copied only where copy() says so. It has no stream operator and no formatter
// on purpose: whoever wants the text has to write view(), which is where a reviewer looks.
enum class secret_form {
    line,  // one line without control characters: a token, a key, a password
    text,  // several lines: a credentials file
};

class secret {
  public:
    secret() = default;
    ~secret();
    secret(secret&& other) noexcept;
    secret& operator=(secret&& other) noexcept;
    secret(const secret&) = delete;
    secret& operator=(const secret&) = delete;

    // Takes a copy of `bytes`; the caller's own is the caller's to wipe. At most 16 MiB.
    [[nodiscard]] static result<secret> of(std::string_view bytes);
    [[nodiscard]] result<secret> copy() const { return of(view()); }

    // Valid until this object is moved from or destroyed.
    [[nodiscard]] std::string_view view() const { return {data_, size_}; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    // In constant time for equal lengths.
    [[nodiscard]] bool equals(const secret& other) const;

  private:
    friend result<secret> read_secret(const std::string& name, const secret_access& by, secret_form form);
    [[nodiscard]] static result<secret> with_room(std::size_t bytes);
    void wipe() noexcept;

    char* data_ = nullptr;  // the mapping
    std::size_t size_ = 0;  // of the secret
    std::size_t room_ = 0;  // of the mapping
};

inline constexpr std::size_t secret_bytes_max = 64UL * 1024;  // tokens of IAM are several KB

// Reads the secret that a setting names.
//  - Without a `/`: the systemd credential of that name in `by.folder`. Its permissions are systemd's business (it may
//    grant access by an ACL, which shows as a group bit).
//  - Otherwise a path, links followed, to a regular file that belongs to `by.reader` or to root and has no permission
//    bits for group and others.
// A byte order mark at its front and line ends at its end are cut off. Refused: an empty file, more than 64 KiB, what
// cannot be seen within (in a text, line ends and tabs can).
// Blocking; callable from any thread. No message ever holds any of the content.
[[nodiscard]] result<secret> read_secret(const std::string& name, const secret_access& by,
                                         secret_form form = secret_form::line);

// Overwrites and empties a string that held a secret on its way.
void wipe(std::string& text);

// Where read_secret would look: for watching the file for changes, and for messages.
[[nodiscard]] std::string secret_location(const std::string& name, const std::string& credentials_folder);

}  // namespace culld
