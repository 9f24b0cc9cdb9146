// What makes a request ours: the seam between sending and the ways to prove who we are. A token read from a file for
// now stands behind it; signing and IAM are further implementations.
//
// Loop thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "culld/core/config.hpp"
#include "culld/core/problem.hpp"
#include "culld/io/loop.hpp"

namespace culld {

struct request_facts {
    std::string_view method;
    std::string_view target;
    std::string_view authority;
    std::string_view content_type;  // empty: no body
    std::string_view body;
};

class credentials {
  public:
    credentials() = default;
    credentials(const credentials&) = delete;
    credentials& operator=(const credentials&) = delete;
    virtual ~credentials() = default;

    // Appends header lines, each with its CRLF, that authenticate this one request, made now: a stored signature would
    // be refused after 15 minutes.
    virtual void authenticate(std::string& head, const request_facts& request, wall_time now) = 0;
    // Counts the renewals: an answer 401 to a request that was made with an older one says nothing of this one.
    [[nodiscard]] virtual std::uint64_t generation() const = 0;
    // Reads, asks for or otherwise gets them anew. True if they are others than before. Single-flight is the caller's.
    [[nodiscard]] virtual task<result<bool>> renew() = 0;
    // For messages: "token from /run/credentials/…/token".
    [[nodiscard]] virtual std::string describe() const = 0;
};

// As the configuration says. `credentials_folder` is $CREDENTIALS_DIRECTORY, may be empty. Reads the files: blocking,
// at start and on reload only.
[[nodiscard]] result<std::unique_ptr<credentials>> make_credentials(const config& settings,
                                                                    const std::string& credentials_folder);

}  // namespace culld
