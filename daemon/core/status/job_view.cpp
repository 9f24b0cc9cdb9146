#include "culld/core/status/job_view.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "culld/core/text/json_writer.hpp"

namespace culld {

namespace {
constexpr std::array<std::string_view, 5> state_names{"waiting", "running", "paused", "blocked", "finished"};
}  // namespace

std::string_view name_of(job_state s) {
    return state_names.at(static_cast<std::size_t>(s));
}

std::optional<job_state> job_state_named(std::string_view name) {
    for (std::size_t i = 0; i < state_names.size(); ++i)
        if (state_names.at(i) == name) return static_cast<job_state>(i);
    return std::nullopt;
}

std::uint64_t job_view::remaining() const {
    return finished() ? 0 : totals.ids - std::min(totals.ids, totals.settled());
}

void job_view::stand_still(const standing& s) {
    if (s.why == standstill::none) return;
    waits_for = s.why;
    reason = s.reason;
    rate = 0;
    eta_seconds.reset();
    if (s.why == standstill::throttled)
        help =
            "it ends by itself, and neither resume nor a restart ends it sooner. Where the limit was raised meanwhile: "
            "stop culld, remove .limits in journal.dir, start culld";
    if (state == job_state::running) state = job_state::waiting;
    if (s.since) since = rfc3339(*s.since);
    if (s.until) until = rfc3339(*s.until);
}

void append_job(std::string& out, const job_view& job) {
    json_object o(out);
    const auto text_or_null = [&](std::string_view key, std::string_view text) {
        if (text.empty())
            o.raw(key, "null");
        else
            o.member(key, text);
    };
    text_or_null("job_id", job.job_id);
    text_or_null("file", job.file);
    o.member("state", name_of(job.state));
    text_or_null("status", job.status);
    append_totals(o.begin("totals"), job.totals);
    o.member("in_flight", job.in_flight).member("remaining", job.remaining());
    o.member("rate", std::round(job.rate * 10) / 10);
    if (job.eta_seconds)
        o.member("eta_seconds", *job.eta_seconds);
    else
        o.raw("eta_seconds", "null");
    text_or_null("reason", job.reason);
    text_or_null("accepted_at", job.accepted_at);
    text_or_null("finished_at", job.finished_at);
    text_or_null("help", job.help);
    text_or_null("waits_for", name_of(job.waits_for));
    text_or_null("since", job.since);
    text_or_null("until", job.until);
    if (job.paused_by) {
        json_object by(o.begin("paused_by"));
        by.member("uid", job.paused_by->uid).member("pid", job.paused_by->pid).close();
    } else {
        o.raw("paused_by", "null");
    }
    if (job.uid)
        o.member("uid", *job.uid);
    else
        o.raw("uid", "null");
    o.close();
}

}  // namespace culld
