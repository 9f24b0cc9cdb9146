// How the emulator misbehaves: the scenario file, YAML.
//
// Every key is optional; an empty scenario is an API that always works. Unknown and duplicate keys are errors
// with line and column. Ratios are 0 to 1; durations are written with their unit (20ms, 5s, 2m). Whether a
// fault strikes is decided by a hash of (seed, number of the request, id), so that a run can be repeated.
//
//   seed: 1                      another seed, other victims
//   latency: 20ms                or {fixed: 20ms, jitter: 5ms}: fixed, plus up to jitter, before each API
//   answer throttle:                    429 APIGW.0308 in fixed windows; what is refused is counted too
//     limit: 10
//     per: 1s                    whole seconds; whole minutes are told as minutes, as the gateway does
//     policy: user               user | api | ip | app, in the text only
//     retry_after: false         send Retry-After: seconds until the window ends
//     message: "…"               instead of the documented text
//   workspace_error: true        403 SecMaster.20010001 for every call; or "STATUS CODE"
//   projects: [p]                only these exist: 400 SecMaster.20041003 for another; without it, the first asked for
//   workspaces: [w]              likewise: 403 SecMaster.20010001 for another
//   resource: incidents          what the ids of --ids are; no other resource has them
//   post_form: false             404 APIGW.0101 for POST …/batch-delete: the region has the DELETE form only
//   language: zh                 messages of 400s in Chinese
//   max_ids: 999                 a longer list is a 400
//   search_total: 1000           without --ids: how many incidents a search finds while none is deleted
//
//   per id
//   fail_ratio: 0.01             not deleted, listed in error_ids, this time
//   fail_ids: [a, b]             the same, the first time each is named
//   fail_always: [c]             the same, every time
//   fail_pattern: {suffix: "7", times: 2}     ids that end so: the first `times` times
//   poison_ids: [d]              one of them makes the whole call a 400 SecMaster.20030001, nothing is done
//   missing_ratio: 0.01          in neither list
//   missing_deleted: true        … though deleted (false: and not deleted)
//   both_ratio: 0.01             in both lists
//   both_deleted: true           … and deleted (false: and not deleted)
//
//   shape of the answer
//   truncate_lists: 100          at most so many ids in each list of an answer; what was done is not cut
//   null_errors: true            error_ids begins with a null
//   odd_samples: true            as the official samples: a UUID as code, "Error message", success:false,
//   lists at
//                                the top level (by turns), and X-request-id twice
//   shuffle: true                success_ids in another order
//
//   per request
//   lost_ratio: 0.01             carried out, then the connection is closed without an answer
//   lost_before_ratio: 0.01      closed without an answer, nothing was done
//   cut_ratio: 0.01              carried out, the answer ends in mid-body
//   status_ratio: {500: 0.01, 502: 0.01, 503: 0.01, 504: 0.01, apply: never}
//                                apply: before: the call is carried out first; never: it is not
//   html_502: true               502 as an HTML page, as a proxy in between sends it
//   reject_token_after: 100      a token is good for so many API requests, then 401 APIGW.0307
//   outages:                     each once, in this order
//     - {after_requests: 100, for_requests: 20, kind: "503"}    kind: refuse | reset | 503 | hang
//     - {after_requests: 500, for_seconds: 2.5, kind: refuse}   refuse: nobody listens, for_seconds only
//
//   identity
//   token_file: FILE             the accepted token, read again whenever the file changes
//   clock_skew: 20m              the gateway's clock against ours; -20m: it is behind
//   ak_lock: 5m                  how long an AK stays locked after more than 5 failures in a row
//   iam: {user: U, domain: D, password: P, project: cn-north-4, project_id: …, token_bytes: 4096,
//         token_lifetime: 24h, agency: A, agency_domain: AD, fail_first: 0, fail_status: 503}
//                              without it any name and password will do; fail_first: so many calls fail first
//   metadata: {agency: true, v2: optional, security_token: …, lifetime: 24h, rotate: false, fail_first: 0}
//                              v2: optional | required | absent; rotate: each answer has a security token of its
//                              own, and signed calls must carry one that has not expired
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/time.hpp"

namespace culld::emulator {

struct throttle_rule {
    std::uint64_t limit = 1;
    std::uint64_t per_seconds = 1;
    std::string policy = "user";
    bool retry_after = false;
    std::string message;  // empty: the documented text
};

struct outage {
    enum class kind_type {
        refuse,       // the listener and every connection are closed
        reset,        // the connection is reset when a request has come
        unavailable,  // 503
        hang,         // no answer until the client goes away
    };
    std::uint64_t after_requests = 0;
    std::optional<std::uint64_t> for_requests;
    std::optional<nanoseconds> for_time;
    kind_type kind = kind_type::unavailable;
};

struct iam_settings {
    std::string user = "IAMUser";
    std::string domain = "IAMDomain";
    std::string password;
    std::string project = "cn-north-4";
    std::string project_id = "0123456789abcdef0123456789abcdef";
    std::uint64_t token_bytes = 4096;
    nanoseconds token_lifetime = std::chrono::hours(24);
    std::string agency;  // that `user` may act for; empty: none
    std::string agency_domain;
    std::uint64_t fail_first = 0;
    std::uint64_t fail_status = 503;
};

struct metadata_settings {
    enum class v2_type {
        optional,  // with and without a metadata token
        required,  // 401 without one
        absent,    // 404 for PUT
    };
    bool asked_for = false;
    bool agency = true;  // false: 401, no agency is bound
    v2_type v2 = v2_type::optional;
    std::string security_token;  // when set, signed calls must carry it
    nanoseconds lifetime = std::chrono::hours(24);
    bool rotate = false;
    std::uint64_t fail_first = 0;  // answered 500
};

struct scenario {
    std::uint64_t seed = 1;
    nanoseconds latency_fixed{0};
    nanoseconds latency_jitter{0};
    std::optional<throttle_rule> throttle;
    std::optional<std::pair<int, std::string>> workspace_error;  // status and code
    std::vector<std::string> projects, workspaces;
    std::string resource = "incidents";
    bool post_form = true;
    bool chinese = false;
    std::uint64_t max_ids = 999;
    std::uint64_t search_total = 1000;

    double fail_ratio = 0;
    std::vector<std::string> fail_ids, fail_always, poison_ids;
    std::string fail_suffix;  // empty: no pattern
    std::uint64_t fail_suffix_times = 1;
    double missing_ratio = 0;
    bool missing_deleted = true;
    double both_ratio = 0;
    bool both_deleted = true;

    std::uint64_t truncate_lists = 0;  // 0: whole
    bool null_errors = false;
    bool odd_samples = false;
    bool shuffle = false;

    double lost_ratio = 0;
    double lost_before_ratio = 0;
    double cut_ratio = 0;
    std::map<int, double> status_ratio;
    bool status_applied = false;
    bool html_502 = true;
    std::optional<std::uint64_t> reject_token_after;
    std::vector<outage> outages;

    std::string token_file;  // as written; relative to the working folder
    nanoseconds clock_skew{0};
    nanoseconds ak_lock = std::chrono::minutes(5);
    std::optional<iam_settings> iam;
    metadata_settings metadata;

    // Whether the fate or the place of single ids can differ from "deleted, in success_ids, in order".
    [[nodiscard]] bool touches_ids() const;
};

// `file` is for messages.
[[nodiscard]] result<scenario> parse_scenario(const std::string& text, const std::string& file);

}  // namespace culld::emulator
