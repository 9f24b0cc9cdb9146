// What is told of files that are no job yet, and how somebody ends the taking of one.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "submission.hpp"

namespace culld {

namespace {
constexpr std::size_t waiting_told_max = 1000;
constexpr std::chrono::seconds taken_within(1);  // a file that is no more by then nobody has to be told of
}  // namespace

waiting_file job_acceptor::taking::told() const {
    const standing s = standing_of(reading_outlook{.waits = waits,
                                                   .ids = watch.ids.load(std::memory_order_relaxed),
                                                   .bytes = watch.bytes.load(std::memory_order_relaxed),
                                                   .bytes_total = bytes},
                                   since);
    return {.file = file, .reason = s.reason, .job_id = job_id, .uid = uid, .since = s.since, .waits_for = s.why};
}

std::vector<waiting_file> job_acceptor::waiting() const {
    std::vector<waiting_file> out;
    const wall_time now = wall_now();
    for (const taking* t : *takings_)
        if (out.size() < waiting_told_max &&
            (!t->job_id.empty() || (!t->waits.empty() && !t->over) || now - t->since >= taken_within))
            out.push_back(t->told());
    for (std::string& name : arrivals_.being_written(waiting_told_max - out.size()))
        out.push_back({std::move(name), "somebody has it open for writing"});
    for (std::string& name : arrivals_.held(waiting_told_max - out.size()))
        out.push_back({std::move(name), "other files of its submitter come first"});
    return out;
}

// A job's id means one file; so must a file's name.
job_acceptor::taking* job_acceptor::taking_called(std::string_view name) const {
    taking* of_file = nullptr;
    std::size_t files = 0;
    for (taking* t : *takings_) {
        if (t->job_id == name) return t;
        if (!t->job_id.empty() || t->file != name) continue;
        of_file = t;
        ++files;
    }
    return files == 1 ? of_file : nullptr;
}

std::optional<waiting_file> job_acceptor::find_taking(std::string_view name) const {
    const taking* t = taking_called(name);
    return t == nullptr ? std::nullopt : std::optional(t->told());
}

task<withdrawal> job_acceptor::withdraw(std::string name, person by, std::string reason, steady_time until) {
    taking* t = taking_called(name);
    if (t == nullptr) co_return withdrawal::gone;
    if (!t->to_end) t->to_end = std::make_shared<order>(order{by, std::move(reason), {}});
    const std::shared_ptr<order> given = t->to_end;  // it outlives the taking
    t->watch.stop = true;
    arrivals_.look_at_sidecars();
    changed_.notify();
    while (!given->done && !stopping_ && steady_now() < until) co_await changed_.wait_until(until);
    co_return given->done.value_or(withdrawal::pending);
}

problem job_acceptor::reason_of(const order& given) {
    return {.what = fmt::format("cancelled by uid {} before it was accepted{}{}", given.by.uid,
                                given.reason.empty() ? "" : ": ", given.reason),
            .hint = "nothing of it was sent; drop it again if it is meant to run after all"};
}

job_acceptor::rejection job_acceptor::without_reason(const submission& a) {
    rejection out{.name = a.job.job.name, .as = a.name, .why = {}, .job_id = a.of.job_id};
    if (a.list.what == take_result::outcome::taken) {
        out.list = a.list.job.name;
        out.list_as = a.spec.ids_file;
        out.owner = a.job.job.facts.uid;
    }
    return out;
}

}  // namespace culld
