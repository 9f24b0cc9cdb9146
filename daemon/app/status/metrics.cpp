// /metrics: Prometheus' text format 0.0.4. Names in base units, counters end in _total, every known label is there from
// the start with 0, and no label has values without bound (no job, no id).
#include <dirent.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <iterator>
#include <memory>
#include <utility>

#include "culld/app/status/control.hpp"

namespace culld {

namespace {

class exposition {
  public:
    void family(std::string_view name, std::string_view type, std::string_view help) {
        name_ = name;
        fmt::format_to(std::back_inserter(text), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
    }
    template <class T>
    void value(T n) {
        fmt::format_to(std::back_inserter(text), "{} {}\n", name_, n);
    }
    template <class T>
    void labelled(std::string_view label, std::string_view is, T n) {
        fmt::format_to(std::back_inserter(text), "{}{{{}=\"{}\"}} {}\n", name_, label, escaped(is), n);
    }
    // `labels`: those beside `le`, as `operation="get"`, may be empty.
    template <const auto& Steps>
    void counted(std::string_view labels, const histogram<Steps>& h) {
        const auto to = std::back_inserter(text);
        const std::string_view comma = labels.empty() ? "" : ",";
        for (std::size_t i = 0; i < h.size; ++i)
            fmt::format_to(to, "{}_bucket{{{}{}le=\"{}\"}} {}\n", name_, labels, comma, h.step(i), h.up_to(i));
        fmt::format_to(to, "{}_bucket{{{}{}le=\"+Inf\"}} {}\n", name_, labels, comma, h.count());
        const std::string braced = labels.empty() ? std::string() : fmt::format("{{{}}}", labels);
        fmt::format_to(to, "{0}_sum{1} {2}\n{0}_count{1} {3}\n", name_, braced, h.sum(), h.count());
    }
    std::string text;

  private:
    static std::string escaped(std::string_view value) {
        std::string out;
        for (const char c : value) {
            if (c == '\\' || c == '"') out += '\\';
            out += c == '\n' ? ' ' : c;
        }
        return out;
    }
    std::string_view name_;
};

double unix_seconds(wall_time t) {
    return std::chrono::duration<double>(t.time_since_epoch()).count();
}

struct closer {
    void operator()(std::FILE* f) const noexcept { static_cast<void>(std::fclose(f)); }
    void operator()(DIR* d) const noexcept { static_cast<void>(::closedir(d)); }
};

// The standard names for what a process uses. What the kernel does not tell is left out.
void process(exposition& out, double started_at) {
    rusage used{};
    if (::getrusage(RUSAGE_SELF, &used) == 0) {
        const auto seconds = [](const timeval& t) {
            return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
        };
        out.family("process_cpu_seconds_total", "counter", "User and system time spent.");
        out.value(seconds(used.ru_utime) + seconds(used.ru_stime));
    }
    unsigned long pages = 0, resident = 0;
    if (const std::unique_ptr<std::FILE, closer> statm(std::fopen("/proc/self/statm", "re"));
        statm && std::fscanf(statm.get(), "%lu %lu", &pages, &resident) == 2) {  // NOLINT(cert-err34-c): the kernel's
        const auto page = static_cast<unsigned long>(::sysconf(_SC_PAGESIZE));
        out.family("process_resident_memory_bytes", "gauge", "Memory in use.");
        out.value(resident * page);
        out.family("process_virtual_memory_bytes", "gauge", "Address space in use.");
        out.value(pages * page);
    }
    if (const std::unique_ptr<DIR, closer> fds(::opendir("/proc/self/fd")); fds) {
        std::uint64_t open = 0;
        while (const dirent* entry = ::readdir(fds.get()))
            if (entry->d_name[0] != '.') ++open;
        out.family("process_open_fds", "gauge", "Open file descriptors.");
        out.value(open - 1);  // ours, of the folder
    }
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        out.family("process_max_fds", "gauge", "File descriptors there may be.");
        out.value(limit.rlim_cur);
    }
    out.family("process_start_time_seconds", "gauge", "When the process started, as Unix time.");
    out.value(started_at);
}

}  // namespace

std::string control::metrics() {
    exposition out;
    out.family("culld_build_info", "gauge", "Always 1; what runs is in the labels.");
    fmt::format_to(std::back_inserter(out.text), "culld_build_info{{version=\"{}\",compiler=\"{}\"}} 1\n",
                   CULLD_VERSION, __VERSION__);

    std::map<std::string_view, std::uint64_t> states{{"waiting", 0}, {"running", 0}, {"paused", 0}, {"blocked", 0}};
    std::map<std::string_view, std::uint64_t> blocked{{"auth", 0}, {"journal", 0}, {"rejected", 0}, {"other", 0}};
    const auto blocked_by = [&](std::string_view why) {
        const auto known = blocked.find(why);
        ++(known == blocked.end() ? blocked.find("other") : known)->second;
    };
    std::uint64_t pending = 0;
    std::optional<wall_time> oldest;
    const auto open_job = [&](const job_totals& t, std::optional<wall_time> accepted_at) {
        pending += t.ids - t.settled();
        if (accepted_at && (!oldest || *accepted_at < *oldest)) oldest = accepted_at;
    };
    for (const auto& [id, job] : jobs_.running()) {
        if (job->state() == job_state::finished) continue;
        ++states[name_of(job->state())];
        if (job->blocked()) blocked_by(job->blocked()->error_class);
        open_job(job->totals(), job->accepted_at());
    }
    for (const auto& [id, job] : jobs_.quarantined()) {
        blocked_by(job.why.error_class);
        open_job(job.totals, job.accepted_at);
    }
    states["blocked"] += jobs_.quarantined().size();
    out.family("culld_jobs", "gauge", "Open jobs, by state.");
    for (const auto& [state, n] : states) out.labelled("state", state, n);
    out.family("culld_jobs_blocked", "gauge", "Blocked jobs, by what blocks them.");
    for (const auto& [why, n] : blocked) out.labelled("class", why, n);
    out.family("culld_oldest_open_job_timestamp_seconds", "gauge",
               "When the oldest open job was accepted; 0: none is.");
    out.value(oldest ? unix_seconds(*oldest) : 0.0);

    const auto& counted = jobs_.counted;
    out.family("culld_jobs_accepted_total", "counter", "Jobs accepted since start.");
    out.value(counted.accepted);
    out.family("culld_jobs_total", "counter", "Jobs that ended since start, by result.");
    for (const std::string_view result :
         {"completed", "completed_with_failures", "aborted", "cancelled", "expired", "dry_run"}) {
        const auto it = counted.finished.find(std::string(result));
        out.labelled("result", result, it == counted.finished.end() ? 0 : it->second);
    }
    out.labelled("result", "rejected", counted.rejected);
    out.family("culld_job_duration_seconds", "histogram", "From accepted to finished.");
    out.counted("", counted.durations);
    out.family("culld_job_queue_wait_seconds", "histogram",
               "From accepted, or from a not_before after that, to the job's first request.");
    out.counted("", with_.counted.waits_in_queue);

    const job_totals ids = jobs_.verdicts();
    out.family("culld_incidents_total", "counter", "Verdicts on ids, recorded since start.");
    out.labelled("result", "deleted", ids.deleted);
    out.labelled("result", "absent", ids.absent);
    out.labelled("result", "failed", ids.failed);
    out.labelled("result", "skipped", ids.skipped);
    out.family("culld_incidents_failed_total", "counter", "Ids that failed since start, by reason.");
    auto reasons = jobs_.failed_by_reason();
    for (const char* known : {"refused", "rejected", "present", "unverified", "unknown"}) reasons.try_emplace(known, 0);
    for (const auto& [reason, n] : reasons) out.labelled("reason", reason, n);
    out.family("culld_incidents_pending", "gauge", "Ids of open jobs without a verdict.");
    out.value(pending);

    const auto& c = sending_.counted();
    out.family("culld_api_requests_total", "counter", "Requests sent to the API.");
    out.labelled("operation", "delete", c.delete_requests);
    out.labelled("operation", "get", c.get_requests);
    out.family("culld_api_errors_total", "counter", "Requests that brought no verdict, by reason.");
    out.labelled("reason", "throttled", c.throttled);
    out.labelled("reason", "server", c.server_errors);
    out.labelled("reason", "transport", c.transport_errors);
    out.labelled("reason", "unauthorized", c.unauthorized);
    out.family("culld_api_request_duration_seconds", "histogram",
               "From a request to its answer, or to the end of waiting for it.");
    out.counted("operation=\"delete\"", c.delete_answers);
    out.counted("operation=\"get\"", c.get_answers);
    out.family("culld_api_requests_in_flight", "gauge", "Requests under way.");
    out.value(sending_.in_flight());
    const auto& send_gate = sending_.state();
    out.family("culld_rate_limit_requests_per_second", "gauge", "The rate kept to now.");
    out.value(send_gate.per_second());
    const auto until = send_gate.paused_until();
    out.family("culld_throttled", "gauge", "1 while the API's pause is kept.");
    out.value(until && *until > steady_now() ? 1 : 0);
    out.family("culld_circuit_breaker_open", "gauge", "1 while only probes are sent.");
    out.value(send_gate.breaker_open() ? 1 : 0);
    out.family("culld_credentials_refused", "gauge", "1 while the API refuses the credentials.");
    out.value(send_gate.credentials() == credential_state::refused ? 1 : 0);
    out.family(
        "culld_credentials_expiry_timestamp_seconds", "gauge",
        "When the token or temporary key held expires, as Unix time; renewed while there is work. 0: never, or not "
        "known.");
    const auto end = credentials_end();
    out.value(end ? unix_seconds(*end) : 0.0);
    out.family("culld_credentials_renewals_total", "counter",
               "Times the credentials were fetched or read anew, by result; failed: tried again later.");
    out.labelled("result", "renewed", c.renewed);
    out.labelled("result", "failed", c.renewals_failed);
    out.labelled("result", "refused", c.renewals_refused);
    out.family("culld_credentials_renewal_failing", "gauge",
               "1 while the last try to renew the credentials brought none; those held may still be good.");
    out.value(sending_.renewal_fails() ? 1 : 0);
    const auto sent = sending_.last_sent();
    out.family("culld_last_request_timestamp_seconds", "gauge", "When the last request was sent; 0: none was.");
    out.value(sent ? unix_seconds(*sent) : 0.0);

    const auto& disk = with_.counted;
    out.family("culld_journal_records_total", "counter", "Records written to journals.");
    out.value(disk.journal_records);
    out.family("culld_journal_errors_total", "counter", "Journals that could not be written; their jobs are blocked.");
    out.value(disk.journal_errors);
    out.family("culld_journal_fsync_seconds", "histogram", "How long an fdatasync of a journal took.");
    out.counted("", disk.fsyncs);

    const auto& room = disks_.ask();
    out.family("culld_disk_free_bytes", "gauge", "Room on the file system of the folder, at the scrape before.");
    if (room.journal) out.labelled("folder", "journal", room.journal->free_bytes);
    if (room.spool) out.labelled("folder", "spool", room.spool->free_bytes);
    out.family("culld_disk_size_bytes", "gauge", "Size of the file system of the folder.");
    if (room.journal) out.labelled("folder", "journal", room.journal->size_bytes);
    if (room.spool) out.labelled("folder", "spool", room.spool->size_bytes);
    out.family("culld_incoming_files", "gauge",
               "Files in incoming/ that were not taken, at the scrape before; counted to 10000.");
    if (room.incoming_files) out.value(*room.incoming_files);

    out.family("culld_notifications_total", "counter",
               "Events by what became of telling them; dropped: too many waited.");
    for (const notifier::channel& w : telling_.ways()) {
        const auto& told = w.queue.counted();
        for (const auto& [result, n] :
             {std::pair("arrived", told.arrived), std::pair("failed", told.failed), std::pair("dropped", told.dropped)})
            fmt::format_to(std::back_inserter(out.text), "culld_notifications_total{{way=\"{}\",result=\"{}\"}} {}\n",
                           w.name, result, n);
    }
    out.family("culld_notifications_waiting", "gauge", "Events that are still to be told.");
    for (const notifier::channel& w : telling_.ways()) out.labelled("way", w.name, w.queue.size());

    out.family("culld_config_last_reload_successful", "gauge", "1 unless the last reload was refused.");
    out.value(reloaded.successful ? 1 : 0);
    out.family("culld_config_last_reload_success_timestamp_seconds", "gauge",
               "When the configuration last took effect.");
    out.value(unix_seconds(reloaded.at));
    process(out, unix_seconds(started_wall_));
    return std::move(out.text);
}

}  // namespace culld
