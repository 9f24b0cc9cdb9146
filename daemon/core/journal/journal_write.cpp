#include "culld/core/journal/journal_write.hpp"

#include <fmt/format.h>

namespace culld {

namespace {

void list(json_object& line, std::string_view key, std::string_view quoted) {
    std::string& out = line.begin(key);
    out += '[';
    out += quoted;
    out += ']';
}

void texts(json_object& line, std::string_view key, const std::vector<std::string>& all) {
    std::string& out = line.begin(key);
    out += '[';
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (i > 0) out += ',';
        append_json_string(out, all[i]);
    }
    out += ']';
}

void at(json_object& line, std::string_view key, const spans& where) {
    append_spans(line.begin(key), where);
}

void totals_member(json_object& line, const job_totals& t) {
    append_totals(line.begin("totals"), t);
}

void options(std::string& out, const job_spec& spec) {
    json_object o(out);
    o.member("batch_size", spec.batch_size).member("max_attempts", spec.max_attempts).member("priority", spec.priority);
    if (spec.not_before) o.member("not_before", rfc3339(*spec.not_before));
    if (spec.deadline) o.member("deadline", rfc3339(*spec.deadline));
    o.member("dry_run", spec.dry_run).member("verify", name_of(spec.verify));
    if (spec.expect_count) o.member("expect_count", *spec.expect_count);
    if (spec.abort_when) {
        json_object rule(o.begin("abort_when"));
        rule.member("failed_ratio", spec.abort_when->failed_ratio).member("after", spec.abort_when->after).close();
    }
    o.close();
}

void source(json_object& line, const source_facts& s) {
    line.member("file", s.file).member("sha256", s.sha256).member("bytes", s.bytes);
}

void owner(json_object& line, std::uint32_t uid, std::uint32_t gid) {
    json_object who(line.begin("owner"));
    who.member("uid", uid).member("gid", gid).close();
}

// Without names: a verdict of one run of positions.
void names_or_run(json_object& line, const verdict& v, std::string_view ids) {
    if (ids.empty())
        line.member("first", v.at[0].first).member("count", v.at[0].count);
    else
        list(line, "ids", ids);
}

void person_member(json_object& line, std::string_view key, person who) {
    json_object(line.begin(key)).member("uid", who.uid).member("pid", who.pid).close();
}

void protected_list(json_object& line, const std::optional<protected_facts>& list) {
    if (!list) return;
    json_object o(line.begin("protected"));
    o.member("sha256", list->sha256).member("count", list->count).close();
}

}  // namespace

void append_spans(std::string& out, const spans& where) {
    out += '[';
    for (std::size_t i = 0; i < where.size(); ++i) {
        out += i == 0 ? "[" : ",[";
        append_number(out, where[i].first);
        out += ',';
        append_number(out, where[i].count);
        out += ']';
    }
    out += ']';
}

void write_accepted(chain_writer& chain, std::string& out, wall_time ts, const accepted_facts& facts) {
    const job_intake& in = *facts.intake;
    chain.append(out, "job.accepted", ts, [&](json_object& line) {
        line.member("job_id", in.spec.id);
        source(line, in.source);
        if (in.list) {
            json_object inner(line.begin("list"));
            source(inner, *in.list);
            if (in.list->owner) owner(inner, in.list->owner->uid, in.list->owner->gid);
            if (!in.list->taken_as.empty()) inner.member("taken_as", in.list->taken_as);
            inner.close();
        }
        owner(line, facts.uid, facts.gid);
        line.member("resource", in.spec.resource)
            .member("project_id", in.spec.project_id)
            .member("workspace_id", in.spec.workspace_id)
            .member("ids", in.ids)
            .member("duplicates", in.duplicates);
        options(line.begin("options"), in.spec);
        json_object labels(line.begin("labels"));
        for (const auto& [key, value] : in.spec.labels) labels.member(key, value);  // keys hold [A-Za-z0-9._-] only
        labels.close();
        line.member("culld", CULLD_VERSION)
            .member("config_sha256", facts.config_sha256)
            .member("modified_at", rfc3339(facts.modified_at));
        if (!in.source.taken_as.empty()) line.member("taken_as", in.source.taken_as);
        protected_list(line, in.protect);
    });
}

void write_intent(chain_writer& chain, std::string& out, wall_time ts, span range) {
    chain.append(out, "intent", ts,
                 [&](json_object& line) { line.member("first", range.first).member("count", range.count); });
}

void write_result(chain_writer& chain, std::string& out, wall_time ts, const result_facts& facts) {
    chain.append(out, "batch.result", ts, [&](json_object& line) {
        line.member("batch", facts.of->number)
            .member("attempt", facts.of->attempt)
            .member("http_status", facts.http_status)
            .member("code", facts.code);
        texts(line, "request_ids", *facts.request_ids);
        line.member("ms", facts.ms);
        list(line, facts.verdict ? "deleted" : "reported", facts.deleted);
        list(line, "failed", facts.failed);
        list(line, "unknown", facts.unknown);
        at(line, "at", facts.of->at);
        if (!facts.failed_at.empty()) at(line, "failed_at", facts.failed_at);
        if (!facts.unknown_at.empty()) at(line, "unknown_at", facts.unknown_at);
    });
}

void write_error(chain_writer& chain, std::string& out, wall_time ts, const error_facts& facts) {
    chain.append(out, "batch.error", ts, [&](json_object& line) {
        line.member("batch", facts.of->number).member("attempt", facts.of->attempt).member("class", facts.error_class);
        if (facts.http_status != 0) line.member("http_status", facts.http_status);
        if (!facts.code.empty()) line.member("code", facts.code);
        line.member("detail", facts.detail);
        if (facts.retry_in_ms) line.member("retry_in_ms", *facts.retry_in_ms);
        if (facts.of->at.size() == 1)
            line.member("first", facts.of->at[0].first).member("count", facts.of->at[0].count);
        else
            list(line, "ids", facts.ids);
        at(line, "at", facts.of->at);
        if (facts.request_ids != nullptr && !facts.request_ids->empty()) texts(line, "request_ids", *facts.request_ids);
    });
}

void write_verdict(chain_writer& chain, std::string& out, wall_time ts, const verdict& v, std::string_view ids) {
    switch (v.kind) {
        case verdict_kind::deleted:
        case verdict_kind::absent:
            chain.append(out, v.kind == verdict_kind::deleted ? "ids.deleted" : "ids.absent", ts,
                         [&](json_object& line) {
                             list(line, "ids", ids);
                             line.member("how", v.reason);
                             at(line, "at", v.at);
                         });
            break;
        case verdict_kind::failed:
            chain.append(out, "ids.failed", ts, [&](json_object& line) {
                names_or_run(line, v, ids);
                line.member("reason", v.reason).member("attempts", v.attempts);
                at(line, "at", v.at);
            });
            break;
        case verdict_kind::skipped:
            chain.append(out, "ids.skipped", ts, [&](json_object& line) {
                names_or_run(line, v, ids);
                line.member("reason", v.reason);
                at(line, "at", v.at);
            });
            break;
    }
}

void write_recovered(chain_writer& chain, std::string& out, wall_time ts, const spans& open, std::uint64_t torn_bytes) {
    chain.append(out, "job.recovered", ts, [&](json_object& line) {
        at(line, "open", open);
        line.member("torn_bytes", torn_bytes);
    });
}

void write_checkpoint(chain_writer& chain, std::string& out, wall_time ts, const checkpoint_facts& facts) {
    const plan_state& state = *facts.state;
    chain.append(out, "checkpoint", ts, [&](json_object& line) {
        line.member("intended", state.intended).member("next_batch", state.next_batch);
        std::string& open = line.begin("open");
        open += '[';
        for (std::size_t i = 0; i < state.open.size(); ++i) {
            if (i > 0) open += ',';
            json_object o(open);
            o.member("attempts", state.open[i].attempts).member("word", name_of(state.open[i].last));
            if (state.open[i].declined) o.member("sent", true);
            at(o, "at", state.open[i].at);
            o.close();
        }
        open += ']';
        at(line, "holes", state.presettled);
        line.member("first_good", state.first_good).member("first_bad", state.first_bad).member("paused", facts.paused);
        if (state.answered) line.member("answered", true);
        if (facts.rate) line.member("requests_per_second", *facts.rate);
        if (facts.stopped) line.member("stopped", name_of(*facts.stopped));
        if (!facts.reason.empty()) line.member("reason", facts.reason);
        if (facts.paused_by) person_member(line, "paused_by", *facts.paused_by);
        if (facts.at_rest) line.member("at_rest", true);
        totals_member(line, facts.totals);
    });
}

void write_blocked(chain_writer& chain, std::string& out, wall_time ts, std::string_view error_class,
                   std::string_view code, std::string_view detail, std::string_view help) {
    chain.append(out, "job.blocked", ts, [&](json_object& line) {
        line.member("class", error_class).member("code", code).member("detail", detail).member("help", help);
    });
}

void write_unblocked(chain_writer& chain, std::string& out, wall_time ts, std::string_view why) {
    chain.append(out, "job.unblocked", ts, [&](json_object& line) { line.member("why", why); });
}

void write_command(chain_writer& chain, std::string& out, wall_time ts, std::string_view type, person who,
                   std::string_view reason, std::optional<double> rate) {
    chain.append(out, type, ts, [&](json_object& line) {
        person_member(line, "by", who);
        if (!reason.empty()) line.member("reason", reason);
        if (rate) line.member("requests_per_second", *rate);
    });
}

void write_finished(chain_writer& chain, std::string& out, wall_time ts, std::string_view status,
                    const job_totals& totals, wall_time started_at) {
    chain.append(out, "job.finished", ts, [&](json_object& line) {
        line.member("status", status);
        totals_member(line, totals);
        line.member("started_at", rfc3339(started_at)).member("finished_at", rfc3339(ts));
    });
}

void write_ledger_line(chain_writer& chain, std::string& out, wall_time ts, const ledger_facts& facts) {
    chain.append(out, facts.totals == nullptr ? "job.rejected" : "job.finished", ts, [&](json_object& line) {
        if (facts.job_id.empty())
            line.raw("job_id", "null");
        else
            line.member("job_id", facts.job_id);
        line.member("file", facts.file).member("status", facts.status);
        if (facts.totals != nullptr) {
            totals_member(line, *facts.totals);
            line.member("journal", facts.journal).member("head", facts.head).member("records", facts.records);
            if (!facts.sig.empty()) line.member("sig", facts.sig);
        } else {
            line.raw("totals", "null").raw("journal", "null").raw("head", "null").member("records", 0U);
            line.member("error", facts.error);
            if (facts.node)
                line.member("inode", facts.node->inode).member("changed_at", rfc3339(facts.node->changed_at));
        }
    });
}

void write_ledger_accepted(chain_writer& chain, std::string& out, wall_time ts, const acceptance_facts& facts) {
    chain.append(out, "job.accepted", ts, [&](json_object& line) {
        line.member("job_id", facts.job_id).member("file", facts.file);
        owner(line, facts.uid, facts.gid);
        line.member("ids", facts.ids).member("sha256", facts.sha256);
        if (!facts.list_sha256.empty()) line.member("list_sha256", facts.list_sha256);
        line.member("journal", facts.journal).member("first", facts.first);
    });
}

void write_ledger_order(chain_writer& chain, std::string& out, wall_time ts, std::string_view job_id,
                        const person_order& order) {
    chain.append(out, order.type, ts, [&](json_object& line) {
        line.member("job_id", job_id).member("record", order.record);
        person_member(line, "by", order.by);
        if (order.rate) line.member("requests_per_second", *order.rate);
    });
}

void write_reloaded(chain_writer& chain, std::string& out, wall_time ts, const ruled_by& now, const ruled_by& before) {
    chain.append(out, "config.reloaded", ts, [&](json_object& line) {
        line.member("config_sha256", now.config_sha256);
        protected_list(line, now.protect);
        json_object old(line.begin("before"));
        old.member("config_sha256", before.config_sha256);
        protected_list(old, before.protect);
        old.close();
    });
}

void write_signed_from(chain_writer& chain, std::string& out, wall_time ts, const signing_facts& facts) {
    chain.append(out, "ledger.signed_from", ts, [&](json_object& line) {
        line.member("from", facts.from).member("key", facts.key).member("sig", facts.sig);
    });
}

std::string signed_from_text(const chain_head& before, std::uint64_t from, std::string_view key) {
    return fmt::format("culld ledger.signed_from {} {} {} {}", before.seq, from, key, hex(before.prev));
}

std::string ledger_head_text(const chain_head& head, std::string_view sig) {
    std::string out;
    json_object o(out);
    o.member("seq", head.seq - 1).member("sha256", hex(head.prev));
    if (!sig.empty()) o.member("sig", sig);
    o.close();
    out += '\n';
    return out;
}

}  // namespace culld
