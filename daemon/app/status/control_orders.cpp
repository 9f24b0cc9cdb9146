// What people order on the control socket: who may, and what comes of it.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "control_parts.hpp"
#include "culld/app/status/job_views.hpp"
#include "culld/core/text/json_writer.hpp"
#include "culld/io/os/log.hpp"

namespace culld {

namespace {
// cullctl waits for ten seconds.
constexpr std::chrono::seconds order_patience(8);
constexpr std::string_view not_for_you = "told on the control socket, to root, culld's group and the job's submitter";
}  // namespace

server_answer problem_answer(unsigned status, std::string_view what, std::string_view hint) {
    server_answer out{.status = status};
    json_object o(out.body);
    o.member("error", what);
    if (!hint.empty()) o.member("hint", hint);
    o.close();
    out.body += '\n';
    return out;
}

job_view seen_by(const viewer& by, job_view job) {
    if (by.sees(job.uid)) return job;
    job.file.clear();
    job.help.clear();
    job.paused_by.reset();
    job.uid.reset();
    if (!job.reason.empty()) job.reason = not_for_you;
    return job;
}

viewer viewer_of(const server_request& r) {
    if (!r.from) return {};
    return {control::may_command(*r.from), r.from->uid};
}

server_answer control::command(const server_request& request, std::string_view id, std::string_view verb) {
    // What a person asks for is in the log, granted or not, whoever it was.
    const auto logged = [&](server_answer out, log_level level, std::string_view event, std::string_view what,
                            std::string_view reason) {
        log(level, event,
            fmt::format("{} of {} by uid {} (pid {}): {}{}{}", verb, id, request.from->uid, request.from->pid, what,
                        reason.empty() ? "" : ": ", reason),
            {{"job_id", id},
             {"command", verb},
             {"uid", request.from->uid},
             {"pid", request.from->pid},
             {"reason", reason}});
        return out;
    };
    const auto refuse = [&](unsigned status, const std::string& what, std::string_view hint = {}) {
        if (!request.from) return problem_answer(status, what, hint);
        return logged(problem_answer(status, what, hint), log_level::warn, "command.refused", what, {});
    };
    const viewer sees = viewer_of(request);
    active_job* job = jobs_.find(id);
    const auto quarantined = jobs_.quarantined().find(id);
    const auto taken = job == nullptr && quarantined == jobs_.quarantined().end() ? taking(id) : std::nullopt;
    const std::optional<std::uint32_t> owner = job != nullptr ? std::optional(job->submitter())
                                               : quarantined != jobs_.quarantined().end() ? quarantined->second.uid
                                               : taken                                    ? taken->uid
                                                                                          : std::nullopt;
    const bool own = request.from && owner && *owner == request.from->uid &&
                     (verb == "pause" || verb == "resume" || verb == "cancel");
    const bool commander = sees.everything;
    if (!commander && !own)
        return refuse(403,
                      "only root, culld's own user and its group may change jobs, and submitters pause, resume and "
                      "cancel their own");
    std::string reason;
    std::optional<double> rate;
    if (!request.body.empty()) {
        boost::json::error_code ec;
        const auto body = boost::json::parse(boost::json::string_view(request.body.data(), request.body.size()), ec);
        if (ec || !body.is_object()) return refuse(400, "the body is no JSON object");
        if (const auto* r = body.get_object().if_contains("reason"); r != nullptr && r->is_string())
            reason = clean_message(std::string_view(r->get_string().data(), r->get_string().size()));
        if (const auto* n = body.get_object().if_contains("requests_per_second"); n != nullptr && n->is_number())
            rate = n->to_number<double>(ec);
    }
    const person by{request.from->uid, request.from->pid};
    if (taken) {
        if (verb != "cancel")
            return refuse(409, fmt::format("it is no job yet, and {} does not apply: {}", verb, taken->reason),
                          "cancel does; everything else when it is accepted");
        server_answer out = logged({}, log_level::info, "command", "it is taken no further", reason);
        out.later = [this, name = std::string(id), by, reason, sees] { return withdraw(name, by, reason, sees); };
        return out;
    }
    if (job == nullptr) {
        if (quarantined == jobs_.quarantined().end()) {
            const auto& over = jobs_.finished();
            const auto done = std::find_if(over.begin(), over.end(), [&](const auto& f) { return f.job_id == id; });
            if (done == over.end()) return refuse(404, fmt::format("no job \"{}\" is open", id));
            if (verb == "cancel" && done->status == "cancelled") return {.body = job_json(id, sees).value_or("{}\n")};
            return refuse(404, fmt::format("job \"{}\" is over: {}", id, done->status));
        }
        if (verb == "cancel" && !quarantined->second.damaged) {
            jobs_.end_stuck(id, {by, reason});
            server_answer out =
                logged({}, log_level::info, "command", "it ends as soon as its journal is read", reason);
            out.later = [this, name = std::string(id), sees] { return once_ended(name, sees); };
            return out;
        }
        if (verb != "resume" || quarantined->second.damaged)
            return refuse(409, fmt::format("the job is blocked, and {} does not apply: {}", verb,
                                           quarantined->second.why.detail));
        try_again();
        return logged({.body = job_json(id, sees).value_or("{}\n")}, log_level::info, "command",
                      "it is looked at again", {});
    }
    std::string what = "done";
    bool done = false;
    if (verb == "pause") {
        done = job->stands_paused();
        if (done) what = "it was paused already";
        done = done || job->pause(by, reason);
    } else if (verb == "resume") {
        done = job->dispatchable() && !job->blocked();
        if (done) {
            what = "nothing held it up";
        } else if (job->resume(by, reason)) {
            done = true;
            // Whoever speaks for one job only does not speak for the key.
            if (commander) sending_.try_credentials_again();
        }
    } else if (verb == "cancel") {
        done = job->being_cancelled();
        if (done) what = "it was cancelled already";
        done = done || job->cancel(by, reason);
    } else if (verb == "rate") {
        if (!rate || !(*rate > 0) || *rate > 100'000)
            return refuse(400, "the body must be {\"requests_per_second\": N} with N above 0");
        done = job->set_rate(by, *rate);
        what = fmt::format("at most {:g} requests a second", *rate);
    } else {
        return refuse(404, fmt::format("no command \"{}\"", verb), "pause, resume, cancel or rate");
    }
    if (!done) return refuse(409, fmt::format("the job is {}: {} does not apply", name_of(job->state()), verb));
    server_answer out = logged({}, log_level::info, "command", what, reason);
    with_.pump();
    out.later = [this, name = std::string(id), sees] { return once_recorded(name, sees); };
    return out;
}

// Whoever is told that it is done may rely on it, whatever happens to us from then on.
task<server_answer> control::once_recorded(std::string id, viewer sees) {
    if (active_job* job = jobs_.find(id)) {
        const auto done = co_await job->recorded(steady_now() + order_patience);
        const auto& over = jobs_.finished();
        const bool finished =
            std::any_of(over.begin(), over.end(), [&](const finished_job& f) { return f.job_id == id; });
        // Where the journal died, the job is set aside, and that knows why.
        const auto aside = jobs_.quarantined().find(id);
        const std::string why = aside != jobs_.quarantined().end() ? aside->second.why.detail
                                : done && !*done                   ? done->error().text()
                                                                   : "the disk takes its time";
        if (!finished && (!done || !*done))
            co_return problem_answer(
                503, fmt::format("it is not on record, and forgotten should culld end before it is: {}", why),
                "look at the disk that journal.dir is on, and say it again when the job is not blocked any more");
    }
    co_return server_answer{.body = job_json(id, sees).value_or("{}\n")};
}

// One that is set aside is read again, to be ended.
task<server_answer> control::once_ended(std::string id, viewer sees) {
    const steady_time until = steady_now() + order_patience;
    event look(with_.loop);
    try_again();
    for (;;) {
        const auto quarantined = jobs_.quarantined().find(id);
        if (quarantined == jobs_.quarantined().end()) break;
        if (steady_now() >= until)
            co_return problem_answer(
                503, fmt::format("its journal cannot be gone on with yet: {}", quarantined->second.why.detail),
                "it is cancelled as soon as it can, unless culld ends before that");
        co_await look.wait_until(steady_now() + std::chrono::milliseconds(20));
    }
    server_answer out = co_await once_recorded(id, sees);
    co_return out;
}

task<server_answer> control::withdraw(std::string name, person by, std::string reason, viewer sees) {
    const auto before = taking(name);
    if (!before) co_return problem_answer(404, fmt::format("no job \"{}\" is open", name));
    const withdrawal done = co_await with_.waiting->withdraw(name, by, reason, steady_now() + order_patience);
    job_view told = view_of(*before);
    switch (done) {
        case withdrawal::rejected: break;
        case withdrawal::cancelled: {
            server_answer out = co_await once_recorded(before->job_id, sees);
            co_return out;
        }
        case withdrawal::gone:
            co_return problem_answer(409, "it was written while it was taken: it is back in incoming/",
                                     "remove it there, or cancel it when it is taken again");
        case withdrawal::pending:
            co_return problem_answer(503, "it is taken no further, but our disk did not let us put that on record yet",
                                     "look at the disks that journal.dir and spool.dir are on");
    }
    told.state = job_state::finished;
    told.status = "rejected";
    told.waits_for = standstill::none;
    told.since.clear();
    told.reason = "cancelled before it was accepted";
    told.finished_at = rfc3339(wall_now());
    server_answer out;
    append_job(out.body, seen_by(sees, told));
    out.body += '\n';
    co_return out;
}

}  // namespace culld
