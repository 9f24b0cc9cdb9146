#include "culld/core/notify/notification.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "culld/core/text/json_writer.hpp"

namespace culld {

std::string_view name_of(notification_kind k) {
    return notice_words[static_cast<std::size_t>(k)];
}

std::string notice_text(const notification& n) {
    switch (n.kind) {
        case notification_kind::rejected: return fmt::format("file {} was rejected: {}", n.file, n.detail);
        case notification_kind::blocked:
            return fmt::format("job {} is blocked: {}{}{}", n.job_id, n.code, n.code.empty() ? "" : " ", n.detail);
        case notification_kind::finished:
        case notification_kind::failed: break;
    }
    const job_totals t = n.totals.value_or(job_totals{});
    return fmt::format("job {} is over, {}: {} ids, {} deleted, {} absent, {} failed, {} skipped", n.job_id, n.status,
                       t.ids, t.deleted, t.absent, t.failed, t.skipped);
}

std::string notice_json(const notification& n, const notice_sender& from, wall_time at) {
    const std::string_view event = name_of(n.kind);
    const std::string time = rfc3339(at);
    std::string out;
    json_object o(out);
    const auto text_or_null = [](json_object& into, std::string_view key, std::string_view text) {
        if (text.empty())
            into.raw(key, "null");
        else
            into.member(key, text);
    };
    o.member("version", 1).member("id", fmt::format("{}/{}/{}", n.job_id.empty() ? n.file : n.job_id, event, time));
    o.member("event", event).member("at", time).member("host", from.host).member("culld", from.version);
    text_or_null(o, "job_id", n.job_id);
    text_or_null(o, "file", n.file);
    text_or_null(o, "status", n.status);
    if (n.totals)
        append_totals(o.begin("totals"), *n.totals);
    else
        o.raw("totals", "null");
    std::string& labels = o.begin("labels");
    labels += '{';
    for (const auto& [name, value] : n.labels) {
        if (!labels.ends_with('{')) labels += ',';
        append_json_string(labels, name);
        labels += ':';
        append_json_string(labels, value);
    }
    labels += '}';
    if (n.kind == notification_kind::blocked || n.kind == notification_kind::rejected) {
        json_object reason(o.begin("reason"));
        text_or_null(reason, "class", n.error_class);
        text_or_null(reason, "code", n.code);
        text_or_null(reason, "detail", n.detail);
        text_or_null(reason, "help", n.help);
        reason.close();
    } else {
        o.raw("reason", "null");
    }
    o.member("text", notice_text(n)).close();
    return out;
}

void notice_choice::ask_for(const std::vector<std::string>& kinds) {
    kinds_ = 0;
    for (std::size_t i = 0; i < notice_words.size(); ++i)
        if (std::find(kinds.begin(), kinds.end(), notice_words[i]) != kinds.end()) kinds_ |= 1U << i;
}

bool notice_choice::wants(const notification& n, steady_time now) {
    if (n.kind != notification_kind::blocked) blocked_.erase(n.job_id);
    if ((kinds_ & (1U << static_cast<unsigned>(n.kind))) == 0) return false;
    if (n.kind != notification_kind::blocked) return true;
    std::string why = n.error_class + '\n' + n.code;
    if (const auto before = blocked_.find(n.job_id);
        before != blocked_.end() && before->second.why == why && now - before->second.at < quiet)
        return false;
    // Jobs that went without a word of ours, as one whose journal somebody took away.
    if (blocked_.size() >= remembered_max) blocked_.clear();
    blocked_[n.job_id] = {std::move(why), now};
    return true;
}

}  // namespace culld
