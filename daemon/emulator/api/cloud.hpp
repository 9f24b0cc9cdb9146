// The state of the emulated cloud, and the calls it answers. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "emulator/api/authorizer.hpp"
#include "emulator/api/batch_body.hpp"
#include "emulator/api/incidents.hpp"
#include "emulator/exchange/arrival_clock.hpp"
#include "emulator/exchange/exchange.hpp"
#include "emulator/faults/faults.hpp"
#include "emulator/faults/scenario.hpp"

namespace culld::emulator {

enum class call {
    batch_delete,  // POST …/soc/{incidents,alerts}/batch-delete
    delete_list,   // DELETE …/{soc/incidents,soc/alerts,soc/indicators,soc/notes,sa/resources,…}
    get,           // GET …/soc/{incidents,alerts,indicators}/{id}
    search,        // POST …/soc/{the same}/search
    unknown,       // nothing the gateway knows
    iam_token,     // POST /v3/auth/tokens
    iam_projects,  // GET /v3/projects
    metadata,      // ECS metadata
    control,       // /_emulator/…
};
inline constexpr std::array<std::string_view, 9> call_names{
    "batch_delete", "delete", "get", "search", "unknown", "iam_token", "iam_projects", "metadata", "control"};

// Counts for the ground truth.
struct tally {
    std::array<std::uint64_t, call_names.size()> calls{};
    std::array<std::uint64_t, 600> statuses{};  // by status; [0]: no whole answer was sent
    std::uint64_t connections = 0;
    std::uint64_t throttled = 0;
    std::uint64_t malformed = 0;  // requests that were no HTTP, or whose body could not be read
    std::uint64_t unauthorized = 0;
    std::uint64_t ids_asked = 0;
    std::uint64_t ids_max = 0;  // most ids in a request
};

struct cloud {
    // `known` are the ids, loaded already where there is a list.
    cloud(scenario chosen, incidents known, std::optional<std::string> token, std::optional<key_pair> keys);
    cloud(const cloud&) = delete;
    cloud& operator=(const cloud&) = delete;

    const scenario rules;
    incidents ids;
    faults chance;
    authorizer door;
    arrival_clock times;
    tally counts;
    batch_body batch;  // buffers, reused
    std::vector<incidents::key> keys;
    // The throttle's window: its number since the start, and what has come in it.
    std::int64_t window = -1;
    std::uint64_t in_window = 0;
    const steady_time started = std::chrono::steady_clock::now();
    std::uint64_t replies = 0;
    std::uint64_t wrong_passwords = 0;
    std::uint64_t iam_calls = 0, metadata_calls = 0;
    std::string metadata_token;
    // Where the scenario names none: the first that was asked for are those that exist.
    std::string first_project, first_workspace;

    // The cloud's clock.
    [[nodiscard]] wall_time now() const;
};

// A request's head has been read at `at`: records the arrival if it is for the API, and returns its number.
[[nodiscard]] std::uint64_t arrived(cloud& w, std::string_view target, steady_time at);

// Makes `to` (cleared) the answer to `r`, and everything happen that goes with it.
void answer(cloud& w, const request& r, reply& to);

// What `answer` hands on to; each assumes that the call has been recognised and let in.
struct place {  // …/workspaces/{workspace}/{what is published}/{rest}
    std::string_view project, workspace, rest;
    bool needs_language = false;
    std::string_view resource;  // "incidents"
    bool foreign = false;       // the list that was loaded holds ids of another resource
    std::uint64_t apart = 0;    // keeps the ids of one resource apart from those of another
};
void answer_delete(cloud& w, const place& where, const request& r, reply& to);
void answer_get(cloud& w, const place& where, reply& to);
void answer_search(cloud& w, const place& where, const request& r, reply& to);
void answer_iam_token(cloud& w, const request& r, reply& to);
void answer_iam_projects(cloud& w, const request& r, reply& to);
void answer_metadata(cloud& w, const request& r, reply& to);
void answer_control(cloud& w, const request& r, reply& to);

// SecMaster's 400s, in the scenario's language.
void invalid_parameters(cloud& w, reply& to);

// The ground truth, one JSON document. With `ids` and no more than 100,000 of them, each deleted id and how
// often.
[[nodiscard]] std::string truth(const cloud& w, bool with_ids);

}  // namespace culld::emulator
