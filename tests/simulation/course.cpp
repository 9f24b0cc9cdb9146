#include "course.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/inotify.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "culld/app/daemon/daemon.hpp"
#include "culld/core/base/exit_code.hpp"
#include "plants.hpp"
#include "real_calls.hpp"

namespace culld::simulation {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Does the daemon listen for it? Before it does, the signal would end us.
bool takes(int signal) {
    struct sigaction now {};
    return ::sigaction(signal, nullptr, &now) == 0 && now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN;
}

// An operator with cullctl: one command, or one look.
struct operator_call : far_end {
    explicit operator_call(truth& judge) : judges(judge) {}
    void received(std::string_view bytes) override {
        answer += bytes;
        if (const std::size_t head = answer.find("\r\n\r\n"); head != std::string::npos)
            judges.reported(std::string_view(answer).substr(head + 4));
    }
    void gone() override {}
    truth& judges;
    std::string answer;
};

}  // namespace

course::course(std::uint64_t seed, const run_options& options)
    : options_(options), world_(seed, options.talk), on_(world_.on), chance_(on_.chance) {
    on_.subject = fmt::format("seed {}", seed);
    plant(options.plant, world_);
}

void course::begin(const settings& with, std::vector<job_plan> jobs) {
    with_ = with;
    const std::string key = with_.signs ? make_key() : "";
    truth_ = std::make_unique<truth>(world_, std::move(jobs), send_rules{with_.rate, with_.burst},
                                     keys_ ? &*keys_ : nullptr);
    cloud_ = std::make_unique<cloud>(world_, *truth_);
    world_.files.on_stable = [this] { truth_->look(); };
    on_.on_fail = [this] {
        for (const auto& [name, content] : world_.files.snapshot("/sim"))
            print_line(fmt::format("---- {}, {} bytes\n{}", name, content.size(), content));
    };
    world_.files.on_event = [this](const node& folder, std::uint32_t what, const std::string& name) {
        world_.tell_watchers(folder, what, name);
    };
    // Every id alone in a request, thirty times over, and half an hour beside.
    tends_max_ = static_cast<std::uint64_t>(900 + 15.0 * static_cast<double>(truth_->ids_total()) / with_.rate);
    prepare_disk();
    write_config(key);
}

void course::prepare_disk() {
    disk& d = world_.files;
    node_ptr made;
    for (const char* const name : {"spool", "journal", "run"})
        if (d.make(d.root, name, node::kind_type::folder, 0755, made) != 0) on_.fail("no disk");
    for (const char* const name : {"tmp", "incoming", "active", "done", "failed", "rejected"})
        if (d.make(d.find("/sim/spool"), name, node::kind_type::folder, 0750, made) != 0) on_.fail("no disk");
    if (d.make(d.root, "token", node::kind_type::file, 0600, made) != 0) on_.fail("no disk");
    new_token();
    for (const char* const path : {"/sim", "/sim/spool"}) d.sync_folder(*d.find(path));
}

// Whoever gets tokens elsewhere puts a new one in place.
void course::new_token() {
    token_ = fmt::format("token-{}", chance_.next());
    node& file = *world_.files.find("/sim/token");
    world_.files.cut(file, 0);
    world_.files.write(file, 0, token_ + "\n");
    world_.files.sync(file);
    if (life_ > 0) cloud_->inside().door.replace_token(token_, on_.wall());
}

std::string course::make_key() {
    const std::array<unsigned char, 32> raw{7};  // the same key in every run
    const key_handle key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw.data(), raw.size()));
    const std::unique_ptr<BIO, int (*)(BIO*)> pem(BIO_new(BIO_s_mem()), BIO_free);
    if (PEM_write_bio_PKCS8PrivateKey(pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
        on_.fail("no key");
    std::string text(200, '\0');
    text.resize(static_cast<std::size_t>(std::max(BIO_read(pem.get(), text.data(), 200), 0)));
    keys_ = signing_key::parse(text).value().public_half();
    const std::string path = options_.scratch + "/key.pem";
    std::ofstream(path, std::ios::trunc) << text;
    std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return ", signing_key_file: " + path;
}

void course::write_config(const std::string& key) {
    config_ = options_.scratch + "/culld.yaml";
    std::ofstream file(config_, std::ios::trunc);
    file << fmt::format(
        "api: {{endpoint: \"http://127.0.0.1:8080\", project_id: p, workspace_id: w, connect_timeout: 1s, "
        "request_timeout: {}s}}\n"
        "auth: {{token_file: /sim/token}}\n"
        "spool: {{dir: /sim/spool, rescan: {}s, sidecar_wait: 2s}}\n"
        "journal: {{dir: /sim/journal{}}}\n"
        "batch: {{size: {}}}\n"
        "limits: {{requests_per_second: {}, burst: {}, concurrency: {}, adaptive: {}}}\n"
        "retry: {{max_attempts: {}, base_delay: {}ms, max_delay: {}s, give_up_after: {}s}}\n"
        "breaker: {{failures: {}, probe: {}s}}\n"
        "http: {{listen: \"\", socket: /sim/run/control.sock}}\n"
        "log: {{level: {}, format: text}}\n",
        with_.request_timeout.count(), with_.rescan.count(), key, with_.batch_size, with_.rate, with_.burst,
        with_.concurrency, with_.adaptive, with_.max_attempts, with_.base_delay.count(), with_.max_delay.count(),
        with_.give_up_after.count(), with_.breaker_failures, with_.probe.count(), options_.talk ? "debug" : "error");
}

// ---- the spool's users ----

void course::drop(std::size_t number) {
    const job_plan& job = truth_->jobs()[number];
    if (job.how == job_plan::way::written) return write_slowly(number);
    if (!job.list.empty()) rename_in(job.list, job.list_content, number);
    const auto then = [this, number] {
        const job_plan& same = truth_->jobs()[number];
        rename_in(same.file, same.content, number);
        truth_->dropped(number);
        ++dropped_;
    };
    // The list first, and the job soon after.
    if (job.list.empty())
        then();
    else
        on_.in(chance_.between(moment(0), moment(milliseconds(500))), then);
}

// Every other job is another user's, and so copied.
uid_t course::owner_of(std::size_t number) {
    return number % 2 == 1 ? 64911 : 0;
}

// Written to tmp/, made durable, renamed: as cullctl submit does.
void course::rename_in(const std::string& name, const std::string& content, std::size_t number) {
    disk& d = world_.files;
    const node_ptr tmp = d.find("/sim/spool/tmp"), incoming = d.find("/sim/spool/incoming");
    node_ptr file;
    if (d.make(tmp, name, node::kind_type::file, 0640, file) != 0) on_.fail("tmp/ is not empty");
    file->uid = owner_of(number);
    d.write(*file, 0, content);
    d.sync(*file);
    if (d.rename(tmp, name, incoming, name, 0) != 0) on_.fail("cannot drop a file");
    d.sync_folder(*incoming);
    on_.tell(fmt::format("{} is dropped", name));
}

// Straight into incoming/, piece by piece, without an fsync: as cp does.
void course::write_slowly(std::size_t number) {
    const job_plan& job = truth_->jobs()[number];
    if (!job.list.empty()) rename_in(job.list, job.list_content, number);
    const node_ptr incoming = world_.files.find("/sim/spool/incoming");
    node_ptr file;
    if (world_.files.make(incoming, job.file, node::kind_type::file, 0640, file) != 0) on_.fail("cannot write");
    file->uid = owner_of(number);
    ++file->writers;
    world_.files.event(*incoming, IN_OPEN, job.file);
    on_.tell(fmt::format("{} is being written", job.file));
    write_on(number, file, 0, out_.power_cuts);
}

void course::write_on(std::size_t number, const node_ptr& file, std::size_t at, std::uint64_t cuts) {
    if (cuts != out_.power_cuts) return;  // its writer died with the machine: truth was told
    const job_plan& job = truth_->jobs()[number];
    if (at < job.content.size()) {
        const std::size_t bytes = 1 + chance_.below(job.content.size() - at);
        world_.files.write(*file, at, std::string_view(job.content).substr(at, bytes));
        on_.in(chance_.between(moment(0), moment(milliseconds(800))),
               [this, number, file, next = at + bytes, cuts] { write_on(number, file, next, cuts); });
        return;
    }
    --file->writers;
    world_.files.event(*world_.files.find("/sim/spool/incoming"), IN_CLOSE_WRITE, job.file);
    on_.tell(fmt::format("{} is written", job.file));
    truth_->dropped(number);
    ++dropped_;
}

void course::doubt_unsynced() {
    for (const job_plan& job : truth_->jobs()) {
        if (job.how != job_plan::way::written || job.at > on_.now()) continue;
        const node_ptr incoming = world_.files.find("/sim/spool/incoming");
        const node_ptr active = world_.files.find("/sim/spool/active");
        bool durable = false;
        for (const char* const where : {"incoming", "active", "done", "failed", "rejected"}) {
            const node_ptr folder = world_.files.find(fmt::format("/sim/spool/{}", where));
            const auto it = folder->stable_entries.find(job.file);
            durable = durable || (it != folder->stable_entries.end() && it->second->stable == job.content);
        }
        if (truth_->is_doubtful(job.number) || (durable && truth_->was_dropped(job.number))) continue;
        truth_->doubtful(job.number);
        if (!truth_->was_dropped(job.number)) ++dropped_;
    }
}

// ---- operators ----

void course::command(const std::string& job, const std::string& verb, const std::string& body) {
    auto who = std::make_shared<operator_call>(*truth_);
    const auto line = world_.dial("/sim/run/control.sock", who);
    if (!line) return;
    on_.tell(fmt::format("operator: {} {}", verb.empty() ? "look at" : verb, job));
    const std::string target = verb.empty() ? "GET /v1/jobs/" + job : fmt::format("POST /v1/jobs/{}/{}", job, verb);
    world_.deliver(
        line, fmt::format("{} HTTP/1.1\r\nHost: culld\r\nContent-Length: {}\r\n\r\n{}", target, body.size(), body));
    on_.in(seconds(1), [this, line] { world_.end(line, false); });
}

// ---- lives ----

int course::live(bool once) {
    ++life_;
    told_to_stop_.reset();
    daemon_options options;
    options.sources.file = config_;
    options.once = once;
    options.checkpoints = with_.checkpoints;
    int code = -1;
    alive_ = true;
    on_.tell(once ? "culld --once starts" : "culld starts");
    try {
        code = run_daemon(options);
    } catch (const power_cut&) {
        code = -1;
    }
    alive_ = false;
    if (on_.dead()) code = -1;
    if (code != -1) on_.tell(fmt::format("culld ends with {}", code));
    // A token that the disk does not hand out is a bad configuration.
    const bool excused = code == bad_config && world_.files.now.read > 0;
    if ((code == bad_config && !excused) || code == internal_error) on_.fail(fmt::format("culld ended with {}", code));
    on_.on_call = nullptr;
    world_.forget_open_files();
    on_.bury();
    return code;
}

void course::raise_term() {
    if (on_.dead() || !takes(SIGTERM)) return;
    on_.tell("SIGTERM");
    told_to_stop_ = on_.now();
    world_.signalled = true;
    static_cast<void>(std::raise(SIGTERM));
    in_life(life_, seconds(300), [this] { on_.fail("five minutes after SIGTERM it still runs"); });
}

void course::raise_hup() {
    if (on_.dead() || !takes(SIGHUP)) return;
    on_.tell("SIGHUP");
    world_.signalled = true;
    static_cast<void>(std::raise(SIGHUP));
}

void course::in_life(std::uint64_t which, moment span, std::function<void()> what) {
    on_.in(span, [this, which, what = std::move(what)] {
        if (alive_ && life_ == which) what();
    });
}

void course::check_stop(int code) {
    const moment took = on_.now() - *told_to_stop_;
    const disk::weather& d = world_.files.now;
    // A slow disk may take its time.
    if (d.sync_high <= milliseconds(15) && took > with_.request_timeout + seconds(2))
        on_.fail(fmt::format("it took {:.3f} s to stop, request_timeout is {} s",
                             std::chrono::duration<double>(took).count(), with_.request_timeout.count()));
    if (code != 0 && d.write + d.sync + d.name + d.read == 0 && d.full_to == moment())
        on_.fail(fmt::format("told to stop, it ended with {}", code));
}

// ---- the end ----

void course::calm() {
    const disk::weather before = world_.files.now;
    world_.files.now = {};
    world_.files.now.ordered = before.ordered;
    world_.line = {};
    world_.no_events = false;
    world_.events_lost = 0;
    cloud_->now = {};
    emulator::scenario fair;
    fair.latency_fixed = milliseconds(20);
    cloud_->behave(fair, token_);
    on_.tell("the weather clears");
}

void course::finish() {
    // A storm may have let no start get as far as to make it.
    const auto has_ledger = [this] { return world_.files.find("/sim/journal/ledger.jsonl") != nullptr; };
    for (int life = 0; !over() || !has_ledger(); ++life) {
        if (life == 5) on_.fail("after five starts in fair weather it is not over");
        tend(life_ + 1);
        const int code = live(false);
        if (code != 0) on_.fail(fmt::format("in fair weather it ended with {}", code));
        check_stop(code);
        on_.pass(on_.now() + seconds(1));
    }
}

void course::tend(std::uint64_t life) {
    in_life(life, seconds(2), [this, life] {
        if (over()) return raise_term();
        if (++tended_ > tends_max_) on_.fail("in fair weather it does not come to an end: " + truth_->left_over());
        for (const std::string& id : truth_->job_ids()) command(id, "resume", "");
        tend(life);
    });
}

// A start that finds nothing to do changes nothing.
void course::once_more() {
    const auto all = [this] {
        auto out = world_.files.snapshot("/sim/journal");
        out.merge(world_.files.snapshot("/sim/spool"));
        return out;
    };
    const auto was = all();
    const int code = live(true);
    const auto is = all();
    if (was != is) on_.fail("a start that found nothing to do changed files");
    if (code != 0) on_.fail(fmt::format("a start that found nothing to do ended with {}", code));
}

void course::judge() {
    truth_->judge([this](const std::string& id) { return cloud_->exists(id); });
    once_more();
    out_.trace = on_.trace();
    out_.happenings = on_.told();
    out_.requests = truth_->requests();
    out_.ids = truth_->ids_total();
    out_.seconds = std::chrono::duration<double>(on_.now()).count();
}

}  // namespace culld::simulation
