#include "culld/app/send/sender.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>

#include "culld/core/text/clean_message.hpp"
#include "culld/core/text/lenient_json.hpp"
#include "culld/io/ids/intake.hpp"
#include "culld/io/os/log.hpp"
#include "culld/io/secrets/known_secrets.hpp"
#include "sender_worker.hpp"

namespace culld {

namespace {

// A connection is begun at most so long before its place in the pace.
constexpr nanoseconds lead_max = std::chrono::seconds(1);

traffic_rules rules_of(const config& settings) {
    return {.per_second = settings.limits.requests_per_second,
            .burst = settings.limits.burst,
            .adaptive = settings.limits.adaptive,
            .breaker_failures = settings.breaker.failures,
            .probe = settings.breaker.probe,
            .throttle_backoff = {settings.retry.base_delay, settings.retry.max_delay}};
}

// The indices of those that are protected by now.
std::vector<std::uint32_t> protected_among(std::string_view quoted, const protected_ids& protect) {
    std::vector<std::uint32_t> out;
    std::uint32_t index = 0;
    for (std::size_t at = 1; at < quoted.size(); ++index) {
        const std::size_t end = quoted.find('"', at);
        if (protect.contains(quoted.substr(at, end - at))) out.push_back(index);
        at = end + 3;  // `","`
    }
    return out;
}

std::optional<named_limit> limit_of(const error_answer& r) {
    if (!r.limit_per_second) return std::nullopt;
    return named_limit{*r.limit_per_second, r.limit_window};
}

}  // namespace

sender::sender(daemon_context& with, std::unique_ptr<credentials> who, route api, bool full_bucket)
    : with_(with),
      credentials_(std::move(who)),
      api_(std::move(api)),
      send_gate_(rules_of(*with.settings), steady_now(), full_bucket),
      ended_(with.loop),
      credentials_changed_(with.loop),
      wake_(with.loop) {
    // One request goes first: a wrong key is found out by one bad signature, not by one of each worker.
    send_gate_.credentials_renewed();
    start_workers();
}

sender::~sender() = default;

void sender::start_workers() {
    const std::size_t wanted = with_.settings->limits.concurrency;
    for (std::size_t i = 0; i < workers_.size(); ++i) workers_[i]->surplus = i >= wanted;
    while (workers_.size() < wanted) {
        workers_.push_back(std::make_unique<worker>(with_, api_));
        ++running_;
        // drain() waits for the end of each.
        asio::co_spawn(with_.loop, run(*workers_.back()), rethrow_from_loop);
    }
}

void sender::add(active_job& job) {
    scheduler_.add(job, job.spec().priority);
}

void sender::wake(active_job& job) {
    scheduler_.wake(job);
}

void sender::block_if_refused(active_job& job) {
    if (refusal_) job.block(*refusal_);
}

void sender::remove(active_job& job) {
    scheduler_.remove(job);
    static_cast<void>(probes_.erase(probe_name(job)));
}

// ---- choosing ----

sender::work sender::next(worker& w) {
    if (draining_) return {};
    const steady_time now = steady_now();
    std::optional<steady_time> later;
    scheduler_.wake_due(now);
    while (active_job* next_one = scheduler_.first()) {
        active_job& job = *next_one;
        if (job.dispatchable()) job.check_deadline();
        if (!job.ready(now) || !may_probe(job, now)) {
            scheduler_.sleep(job, job.due(now));
            continue;
        }
        // Whichever job it were, it would have to wait.
        if (!have_credentials(now, later)) break;
        // A request has its place in the pace from the moment it can be written. To connect takes a while (over
        // TLS, a whole handshake), so that begins as much earlier, and without a place.
        const bool connected = w.connection.is_open();
        const nanoseconds lead = !connected ? lead_ : send_gate_.exact() ? early_.get() : nanoseconds(0);
        const send_gate::admission may = send_gate_.admit(now + lead, in_flight_, connected ? 0 : connecting_);
        if (!may.go) {
            if (may.at && (!later || *may.at - lead < *later)) later = *may.at - lead;
            break;
        }
        const batch* b = job.take(now);
        if (b == nullptr) {
            scheduler_.sleep(job, job.due(now));
            continue;
        }
        scheduler_.served(job);
        if (job.blocked()) probes_[probe_name(job)] = now + with_.settings->retry.blocked_probe;
        ++in_flight_;
        work out{&job, b};
        if (connected && job.ids_at_hand(*b)) {
            out.not_before = *may.at;
            out.place = take_place(std::max(now, out.not_before));
        }
        return out;
    }
    if (const auto due = scheduler_.due(); due && (!later || *due < *later)) later = due;
    if (later && (!wake_at_ || *later < *wake_at_ || *wake_at_ <= now)) {
        wake_at_ = later;
        wake_.expires_at(*later);
        wake_.async_wait([this](boost::system::error_code ec) {
            if (ec) return;
            wake_at_.reset();
            pump();
        });
    }
    return {};
}

void sender::pump() {
    while (!idle_.empty()) {
        worker* to = idle_.back();
        const work w = next(*to);
        if (w.what == nullptr) return;
        idle_.pop_back();
        to->idle = false;
        to->now = w;
        to->wake.notify();
    }
}

task<void> sender::run(worker& w) {
    while (!draining_) {
        if (w.now.what == nullptr && !w.surplus) w.now = next(w);
        if (w.now.what == nullptr) {
            if (!w.idle && !w.surplus) {
                w.idle = true;
                idle_.push_back(&w);
            }
            co_await w.wake.wait();
            continue;
        }
        co_await handle(w);
        w.now = {};
    }
    // A batch handed over just before draining began was never sent.
    if (w.now.what != nullptr) return_unsent(w);
    --running_;
    ended_.notify();
}

// ---- one exchange ----

delete_form sender::form_of(const active_job& job) const {
    if (!job.resource().has_post_form) return delete_form::remove;
    switch (with_.settings->api.method) {
        case delete_method::post: return delete_form::post;
        case delete_method::remove: return delete_form::remove;
        case delete_method::automatic: break;
    }
    const auto learned = forms_.find(job.spec().resource);
    return learned == forms_.end() ? delete_form::post : learned->second;
}

void sender::return_unsent(worker& w) {
    w.now.job->return_unsent(w.now.what);
    --in_flight_;
}

task<bool> sender::read_body(worker& w) {
    active_job& job = *w.now.job;
    const auto text = co_await job.read_ids(*w.now.what);
    if (!text) {
        const spans at = w.now.what->at;
        return_unsent(w);
        job.lost_ids(text.error(), at);
        co_return false;
    }
    w.request.begin().append(body_opening).append(*text).append(body_closing);
    w.now.composed = true;
    co_return true;
}

void sender::write_body(worker& w) {
    std::string& out = w.request.begin();
    out += body_opening;
    w.now.job->append_ids(*w.now.what, out);
    out += body_closing;
    w.now.composed = true;
}

bool sender::compose(worker& w, delete_form form) {
    if (!w.now.composed) write_body(w);
    active_job& job = *w.now.job;
    const batch& b = *w.now.what;
    const job_spec& spec = job.spec();
    const bool ask = b.what == batch::purpose::lookup;
    if (!ask && with_.protect && with_.protect->size() > 0)
        if (const auto never = protected_among(w.ids(), *with_.protect); !never.empty()) {
            job.withhold(&b, never);
            --in_flight_;
            return false;
        }
    const std::string target =
        ask ? get_target(job.resource(), spec.project_id, spec.workspace_id, w.ids().substr(1, w.ids().size() - 2))
            : delete_target(job.resource(), form, spec.project_id, spec.workspace_id);
    static constexpr std::string_view content_type = "application/json;charset=UTF-8";
    const std::string_view method = ask ? "GET" : form == delete_form::post ? "POST" : "DELETE";
    std::string& out = head_;
    out.clear();
    out.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: ").append(api_.to.authority);
    out += "\r\nUser-Agent: culld/" CULLD_VERSION "\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n";
    if (!job.resource().language.empty()) out.append("X-Language: ").append(job.resource().language).append("\r\n");
    if (!ask) {
        out.append("Content-Type: ").append(content_type).append("\r\nContent-Length: ");
        append_number(out, w.request.body().size());
        out += "\r\n";
    }
    const std::array<std::string_view, 1> body{w.request.body()};
    credentials_->authenticate(out,
                               {.method = method,
                                .target = target,
                                .authority = api_.to.authority,
                                .content_type = ask ? std::string_view() : content_type,
                                .project_id = spec.project_id,
                                .body = std::span(body).first(ask ? 0 : body.size())},
                               wall_now());
    out += "\r\n";
    w.request.put_head(out);
    return true;
}

std::uint64_t sender::take_place(steady_time now) {
    last_sent_ = wall_now();
    return send_gate_.sent(now);
}

task<bool> sender::reach(worker& w) {
    ++connecting_;
    const bool there = w.now.job->ids_at_hand(*w.now.what);
    const bool read = there || co_await read_body(w);
    http_answer answer;
    if (read && there) write_body(w);
    if (read && !w.connection.is_open()) answer = co_await w.connection.open();
    --connecting_;
    if (!read) co_return false;
    const steady_time now = steady_now();
    if (answer.failure != transport_failure::none) {
        // It counts like a request: else a dead endpoint would be tried as fast as it refuses.
        send_gate_.sent(now);
        --in_flight_;
        w.generation = credentials_->generation();
        withhold_secrets(w, answer);
        arrived(w, answer, form_of(*w.now.job));
        co_return false;
    }
    if (answer.took > milliseconds(0)) lead_ = std::min<nanoseconds>(answer.took, lead_max);
    if (!draining_ && w.now.job->dispatchable() && send_gate_.admit(now, in_flight_ - 1).go) {
        w.now.place = take_place(now);
        co_return true;
    }
    return_unsent(w);
    co_return false;
}

task<void> sender::handle(worker& w) {
    if (!w.now.place) {
        const bool reached = co_await reach(w);
        if (!reached) {
            if (!idle_.empty()) pump();
            co_return;
        }
    }
    // What was handed over may have waited while an answer put the credentials in question.
    if (send_gate_.credentials() == credential_state::refused || !credentials_->usable(steady_now())) {
        return_unsent(w);
        co_return;
    }
    // Its place is over by the time they are read: another batch, or this one, has the next.
    if (!w.now.composed && !w.now.job->ids_at_hand(*w.now.what)) {
        return_unsent(w);
        co_return;
    }
    const delete_form form = form_of(*w.now.job);
    if (!compose(w, form)) co_return;
    w.generation = credentials_->generation();
    // Only what was waited for tells how late one wakes; what is long due does not.
    if (const steady_time ready = steady_now(); w.now.not_before > ready - 2 * timer_compensation::most) {
        if (send_gate_.exact()) early_.seen(w.now.not_before, ready);
        spin_until(w.now.not_before);
    }
    const steady_time begun = steady_now();
    http_answer answer = co_await w.connection.send(w.sent());
    if (answer.failure == transport_failure::none) {
        // When within a short write it left nobody knows, and the server's own stamp is no closer. A long one was held
        // up.
        const steady_time written = steady_now();
        send_gate_.left(*w.now.place, written - begun <= timer_compensation::most ? begun : written);
        last_sent_ = wall_now();
        answer = co_await w.connection.receive();
    }
    --in_flight_;
    if (answer.sent) {
        const bool ask = w.now.what->what == batch::purpose::lookup;
        ++(ask ? counted_.get_requests : counted_.delete_requests);
        (ask ? counted_.get_answers : counted_.delete_answers)
            .seen(std::chrono::duration<double>(steady_now() - begun).count());
    }
    withhold_secrets(w, answer);
    arrived(w, answer, form);
    if (!idle_.empty()) pump();
}

void sender::withhold_secrets(worker& w, http_answer& answer) {
    w.secrets = redactor(known_secrets());
    const std::string_view signature = signature_in(w.request.head());
    const auto repeats = [&](const std::string& id) { return may_repeat(id, signature); };
    // What was done as it should be says little: there it is seldom worth its cost.
    if (answer.failure != transport_failure::none || answer.status != 200 ||
        std::ranges::any_of(answer.request_ids, repeats))
        w.secrets.add(signature);
    answer.detail = w.secrets(answer.detail);
    for (std::string& id : answer.request_ids) id = w.secrets(id);
}

void sender::miss(worker& w, plan::miss how, std::string_view error_class, const http_answer& answer,
                  std::string_view code, std::string_view detail, steady_time earliest) {
    active_job& job = *w.now.job;
    log(log_level::debug, "request.missed", detail,
        {{"job_id", job.spec().id}, {"class", error_class}, {"code", code}, {"http_status", answer.status}});
    if (w.now.what->what == batch::purpose::lookup)
        job.on_lookup_failed(w.now.what, how, earliest);
    else
        job.on_failed(w.now.what, how, error_class, answer, code, detail, earliest, w.ids());
}

void sender::arrived(worker& w, const http_answer& answer, delete_form form) {
    const steady_time now = steady_now();
    if (answer.failure != transport_failure::none) {
        ++counted_.transport_errors;
        on_request_failed(fmt::format("{}: {}", name_of(answer.failure), answer.detail), false);
        miss(w, answer.sent ? plan::miss::in_doubt : plan::miss::unsent, name_of(answer.failure), answer, "",
             answer.detail, now);
        return;
    }
    if (answer.status == 200) {
        if (w.now.what->what == batch::purpose::lookup)
            answered_ask(w, answer);
        else
            answered_deletion(w, answer);
        return;
    }
    consequences(w, answer, read_answer(answer.status, answer.retry_after, answer.body, wall_now(), w.secrets), form);
}

void sender::answered_deletion(worker& w, const http_answer& answer) {
    auto judged = w.judges(w.ids(), w.now.what->count(), answer.body);
    if (!judged) {
        on_request_failed(judged.error().what);
        miss(w, plan::miss::in_doubt, "protocol", answer, "", judged.error().what, steady_now());
        return;
    }
    on_request_done(w);
    judged->code = clean_message(judged->code, w.secrets, 64);
    if (judged->repeated)
        log(log_level::warn, "answer.ambiguous",
            "the answer names data, or a list of ids in it, twice: nothing in it is believed",
            {{"job_id", w.now.job->spec().id}});
    const bool was_blocked = w.now.job->blocked().has_value();
    w.now.job->on_answered(w.now.what, *judged, answer, w.ids());
    if (was_blocked && !w.now.job->blocked()) unblock_like(*w.now.job);
}

// A GET answered 200 proves presence only by being what it must be: an object, not a login page.
void sender::answered_ask(worker& w, const http_answer& answer) {
    if (!is_loose_object(answer.body)) {
        on_request_failed("the answer to GET is no JSON object");
        miss(w, plan::miss::in_doubt, "protocol", answer, "", "the answer to GET is no JSON object", steady_now());
        return;
    }
    on_request_done(w);
    w.now.job->on_lookup_answered(w.now.what, presence::there);
}

void sender::consequences(worker& w, const http_answer& answer, const error_answer& r, delete_form form) {
    const steady_time now = steady_now();
    active_job& job = *w.now.job;
    const bool ask = w.now.what->what == batch::purpose::lookup;
    const std::string said = r.message.empty() ? fmt::format("HTTP status {}", answer.status) : r.message;
    const auto block_job = [&] {
        miss(w, plan::miss::declined, r.error_class, answer, r.code, r.message, now);
        job.block({std::string(r.error_class), r.code, said, r.help, block_cause::answer});
    };
    if (ask) switch (meaning_for_ask(r, answer.status, job.answered())) {
            case ask_meaning::gone:
                on_request_done(w);
                job.on_lookup_answered(w.now.what, presence::gone);
                return;
            case ask_meaning::refused:
                on_request_done(w);
                job.on_lookup_refused(w.now.what, answer.status == 403, r.code, said);
                return;
            case ask_meaning::nothing: break;
        }
    switch (r.what) {
        case next_action::gone:  // of a whole batch it says nothing; of one id, that it failed
        case next_action::content:
            on_request_done(w);
            job.on_split(w.now.what, answer, r, w.ids());
            return;
        case next_action::refused: {
            on_request_done(w);
            judgement all;
            all.sent = w.now.what->count();
            for (std::uint32_t i = 0; i < all.sent; ++i) all.refused.push_back(i);
            all.code = r.code;
            job.on_answered(w.now.what, all, answer, w.ids());
            return;
        }
        case next_action::throttled: {
            ++counted_.throttled;
            failing_.reset();
            const steady_time until = send_gate_.throttled(now, r.pause, limit_of(r), with_.chance());
            with_.limits_changed();
            log(log_level::warn, "throttled",
                fmt::format("the gateway throttles: everybody pauses for {} ms; {}",
                            std::chrono::duration_cast<milliseconds>(until - now).count(), r.message),
                {{"job_id", job.spec().id}, {"code", r.code}, {"requests_per_second", send_gate_.per_second()}});
            miss(w, plan::miss::declined, r.error_class, answer, r.code, r.message, until);
            return;
        }
        case next_action::busy: send_gate_.overloaded(now, r.pause, with_.chance()); [[fallthrough]];
        case next_action::lost:
            ++counted_.server_errors;
            on_request_failed(fmt::format("HTTP status {}", answer.status));
            miss(w, plan::miss::in_doubt, r.error_class, answer, r.code, r.message,
                 now + r.pause.value_or(nanoseconds(0)));
            return;
        case next_action::form_absent:
            on_request_done(w);
            if (form == delete_form::post && with_.settings->api.method == delete_method::automatic) {
                if (form_of(job) == delete_form::post)
                    log(log_level::warn, "api.form",
                        "this endpoint does not publish the POST form: DELETE is used from now on",
                        {{"resource", job.spec().resource}});
                forms_[job.spec().resource] = delete_form::remove;
                miss(w, plan::miss::declined, r.error_class, answer, r.code, r.message, now);
                return;
            }
            block_job();
            return;
        case next_action::unauthorized: unauthorized(w, answer, r); return;
        case next_action::blocked:
            on_request_done(w);
            block_job();
            return;
        case next_action::accepted:  // 201 and the like are no answer to what we ask
            on_request_failed(fmt::format("unexpected status {}", answer.status));
            miss(w, plan::miss::in_doubt, "protocol", answer, "", fmt::format("unexpected status {}", answer.status),
                 now);
            return;
    }
}

// ---- settings and the end ----

void sender::apply(const config& settings, std::unique_ptr<credentials> who) {
    send_gate_.set_rules(rules_of(settings), steady_now());
    replace_credentials(std::move(who));
    for (auto& w : workers_) w->connection.set_limits(settings.api.connect_timeout, settings.api.request_timeout);
    for (active_job* job : scheduler_.all()) job->unblock("the configuration was reloaded");
    start_workers();
    for (auto& w : workers_) w->wake.notify();
    pump();
}

task<void> sender::drain(nanoseconds limit) {
    draining_ = true;
    wake_.cancel();
    const steady_time end = steady_now() + limit;
    for (auto& w : workers_) w->wake.notify();
    credentials_->break_off();
    credentials_changed_.notify();
    while ((running_ > 0 || renewal_.under_way() || looking_up_) && steady_now() < end) co_await ended_.wait_until(end);
    for (auto& w : workers_) w->connection.close();
    while (running_ > 0 || renewal_.under_way() || looking_up_) co_await ended_.wait();
}

}  // namespace culld
