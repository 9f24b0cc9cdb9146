// What makes a request ours: the seam between sending and the ways to prove who we are (contract, section 4: auth).
//
// Tokens and keys come from files, from IAM or from the metadata service; those that expire are renewed ahead of
// time, while the old ones still serve. Which one is used is core's choice (credential_choice), when a new one is due
// core's too (lease). Loop thread; files of secrets are read on another (credential_memory::files).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/auth/key_lockout.hpp"
#include "culld/core/auth/renewal_fsm.hpp"
#include "culld/core/auth/signature_rejection.hpp"
#include "culld/core/base/problem.hpp"
#include "culld/core/config/config.hpp"
#include "culld/io/http/api_route.hpp"
#include "culld/io/os/event_loop.hpp"
#include "culld/io/secrets/secret_file.hpp"

namespace culld {

struct request_facts {
    std::string_view method;
    std::string_view target;
    std::string_view authority;
    std::string_view content_type;             // empty: no body
    std::string_view project_id;               // may be empty
    std::span<const std::string_view> body{};  // in pieces, as they will follow the head
};

// What outlives a reload: who was refused is not forgotten because a file was read again.
struct credential_memory {
    key_lockout guard;
    std::function<void()> guard_changed;  // what it would tell a later process is another; may be empty
    signing_clock clock;
    std::uint64_t generations = 0;
    std::string refused_login;  // SHA-256 of the login that IAM answered 401; empty: none
    // Where files are read: a disk may hang. None: where they are asked for.
    worker_thread* files = nullptr;
};

struct renewal {
    using outcome = renewal_outcome;
    outcome what = outcome::unchanged;
    problem why;  // of later and refused
};

class credentials {
  public:
    credentials() = default;
    credentials(const credentials&) = delete;
    credentials& operator=(const credentials&) = delete;
    virtual ~credentials() = default;

    // From here on they remember there: those that were made on another thread, by its end.
    virtual void adopt(std::shared_ptr<credential_memory>) {}

    // Appends header lines, each with its CRLF, that authenticate this one request, made now: a stored signature would
    // be refused after 15 minutes. Only while usable().
    virtual void authenticate(std::string& head, const request_facts& request, wall_time now) = 0;
    // There is something to authenticate with; whether it is time for the next.
    [[nodiscard]] virtual bool usable(steady_time) const { return true; }
    [[nodiscard]] virtual bool due(steady_time) const { return false; }
    // When they are over, as far as that is known: tokens and temporary keys that a service lent us.
    [[nodiscard]] virtual std::optional<steady_time> end() const { return std::nullopt; }
    // Counts the renewals: an answer 401 to a request that was made with an older one says nothing of this one.
    [[nodiscard]] virtual std::uint64_t generation() const = 0;
    // Reads, asks for or otherwise gets them anew. Single-flight is the caller's. What is held stays until then.
    [[nodiscard]] virtual task<renewal> renew(renewal_cause why) = 0;
    // Reads the files they are made of again, and asks no server: for jobs that wait for other permissions. Those that
    // are made of nothing but files say so; of others it tells nothing.
    [[nodiscard]] virtual task<renewal> reread() { co_return renewal{}; }
    // Ends a renewal that is under way: as `later`.
    virtual void break_off() {}

    // The API's word on a request of ours. True if it taught us something (the gateway's time) that makes a request
    // signed afresh worth a try.
    virtual bool refused(const signature_rejection&, steady_time, wall_time) { return false; }
    virtual void accepted() {}
    // Until when nothing may be sent, lest the key be locked; nothing if it may.
    [[nodiscard]] virtual std::optional<steady_time> hold(steady_time) const { return std::nullopt; }
    // The clock jumped: what is signed now may be out of time, so one request should go first.
    [[nodiscard]] virtual bool in_question(wall_time, steady_time) { return false; }

    // A project's id that came with them; empty where none did.
    [[nodiscard]] virtual std::string project_id() const { return {}; }
    // For messages: "the token in /run/credentials/…/token".
    [[nodiscard]] virtual std::string describe() const = 0;
};

// Where secrets may lie.
struct credential_places {
    secret_access secrets;
    std::vector<std::string> environment;  // "NAME=value"
};

// Reads where files are read, or at once where nobody said where.
template <class Read>
[[nodiscard]] task<std::invoke_result_t<Read&>> read_aside(worker_thread* files, Read read) {
    if (files == nullptr) co_return read();
    auto out = co_await files->run(std::move(read));
    co_return out;
}

// As the configuration says. Reads the files that it names: blocking, at start and on reload only. Nothing is fetched
// yet. `memory` null: one of their own, until they adopt() another.
[[nodiscard]] result<std::unique_ptr<credentials>> make_credentials(const config& settings,
                                                                    const credential_places& places,
                                                                    std::shared_ptr<credential_memory> memory);

// The way to auth.iam.endpoint, else to IAM's global one; like that to the API.
[[nodiscard]] result<route> find_iam(const config& settings, const secret_access& secrets);

}  // namespace culld
