// The batch delete. The ordinary case (no fault on single ids, every id exists) answers with the ids' own
// bytes.
#include <algorithm>

#include "culld/core/text/json_writer.hpp"
#include "emulator/api/cloud.hpp"

namespace culld::emulator {

namespace {

constexpr std::size_t id_bytes_max = 100;  // secmaster-api 1.3

using id_list = std::vector<std::string_view>;

struct lists {
    id_list success, error;
};

// Ids that were read in place are written as they stand in the body, in their quotes.
void append_ids(const cloud& w, std::string& out, const id_list& ids, bool leading_null) {
    const bool quoted = !w.batch.verbatim.empty();
    const std::uint64_t most = w.rules.truncate_lists;
    const std::size_t count = most == 0 ? ids.size() : std::min<std::size_t>(most, ids.size());
    out.push_back('[');
    if (leading_null) out.append(ids.empty() ? "null" : "null,");
    for (std::size_t i = 0; i < count; ++i) {
        if (i > 0) out.push_back(',');
        if (quoted)
            out.append(ids[i].data() - 1, ids[i].size() + 2);
        else
            append_json_string(out, ids[i]);
    }
    out.push_back(']');
}

std::string uuid_of(const std::string& hex) {
    return hex.substr(0, 8) + '-' + hex.substr(8, 4) + '-' + hex.substr(12, 4) + '-' + hex.substr(16, 4) + '-' +
           hex.substr(20, 12);
}

void append_lists(const cloud& w, std::string& out, const lists& all) {
    out.append(R"("success_ids":)");
    append_ids(w, out, all.success, false);
    out.append(R"(,"error_ids":)");
    append_ids(w, out, all.error, w.rules.null_errors);
}

void write_answer(const cloud& w, const request& r, const lists& all, reply& to) {
    std::string& out = to.body;
    if (!w.rules.odd_samples) {
        out = R"({"code":"00000000","message":"Success.","data":{)";
        append_lists(w, out, all);
        out.append("}}");
        return;
    }
    switch (r.number % 3) {  // the official samples by turns (secmaster-api 1.2, 1.5)
        case 0:
            json_object(out).member("code", uuid_of(to.request_id)).member("message", "Error message");
            out.append(R"(,"data":{)");
            append_lists(w, out, all);
            out.append("}}");
            return;
        case 1:
            out = R"({"code":"00000000","message":"message","request_id":"xxx","success":false,"data":{)";
            append_lists(w, out, all);
            out.append("}}");
            return;
        default:
            out = R"({"code":"SecMaster.00000000","message":"message",)";
            append_lists(w, out, all);
            out.push_back('}');
    }
}

// Deletes what is to be deleted and sorts the ids into the answer's lists.
lists carry_out(cloud& w, const request& r, reply& to) {
    lists all;
    all.success.reserve(w.batch.ids.size());
    for (std::size_t i = 0; i < w.batch.ids.size(); ++i) {
        const std::string_view id = w.batch.ids[i];
        const incidents::key k = w.keys[i];
        if (!w.ids.exists(k)) {
            [[maybe_unused]] const bool existed = w.ids.remove(k, id);  // counts one deletion more, if it ever was
            all.error.push_back(id);
        } else if (w.chance.refuses(r.number, id)) {
            all.error.push_back(id);
        } else {
            const bool hidden = w.chance.hides(r.number, id);
            const bool both = !hidden && w.chance.contradicts(r.number, id);
            const bool spared = (hidden && !w.rules.missing_deleted) || (both && !w.rules.both_deleted);
            if (!spared && w.ids.remove(k, id)) ++to.deleted;
            if (!hidden) all.success.push_back(id);
            if (both) all.error.push_back(id);
        }
    }
    if (w.rules.shuffle)
        for (std::size_t left = all.success.size(); left > 1; --left)
            std::swap(all.success[left - 1], all.success[w.chance.chance().number(r.number + left, "shuffle") % left]);
    return all;
}

// Everything deleted, the ids' own bytes given back.
void answer_all_deleted(const cloud& w, reply& to) {
    to.deleted = w.batch.ids.size();
    to.body.append(R"({"code":"00000000","message":"Success.","data":{"success_ids":[)");
    to.body.append(w.batch.verbatim);
    to.body.append(R"(],"error_ids":[]}})");
}

// The ids that exist, deleted; the rest in error_ids. No fault touches single ids.
void answer_plainly(cloud& w, const request& r, reply& to) {
    const id_list& ids = w.batch.ids;
    lists all;
    for (std::size_t i = 0; i < ids.size(); ++i)
        if (!w.ids.remove(w.keys[i], ids[i])) all.error.push_back(ids[i]);
    if (all.error.empty() && !w.batch.verbatim.empty()) return answer_all_deleted(w, to);
    to.deleted = ids.size() - all.error.size();
    // The errors are a subsequence of the ids, by address: what is not among them was deleted just now.
    auto next = all.error.begin();
    for (const std::string_view id : ids)
        if (next != all.error.end() && next->data() == id.data())
            ++next;
        else
            all.success.push_back(id);
    write_answer(w, r, all, to);
}

}  // namespace

void answer_delete(cloud& w, const place& where, const request& r, reply& to) {
    const auto refuse = [&] {
        ++w.counts.malformed;
        to.did = "body refused";
        invalid_parameters(w, to);
    };
    if (!read_batch(r.body, w.batch)) return refuse();
    const id_list& ids = w.batch.ids;
    to.ids = ids.size();
    w.counts.ids_asked += ids.size();
    w.counts.ids_max = std::max<std::uint64_t>(w.counts.ids_max, ids.size());
    if (ids.size() > w.rules.max_ids) return refuse();
    for (const std::string_view id : ids)
        if (id.empty() || id.size() > id_bytes_max) return refuse();

    if (where.foreign) {
        lists none;
        none.error = ids;
        return write_answer(w, r, none, to);
    }
    const bool plain = !w.rules.touches_ids();
    if (plain && !w.ids.keeps_ids() && !w.batch.verbatim.empty()) {
        w.ids.remove_unseen(ids.size());
        return answer_all_deleted(w, to);
    }
    w.keys.clear();
    for (const std::string_view id : ids) {
        w.keys.push_back(incidents::key_of(id));
        w.keys.back().low ^= where.apart;
        w.ids.prefetch(w.keys.back());
    }
    if (plain) return answer_plainly(w, r, to);
    if (std::any_of(ids.begin(), ids.end(), [&](std::string_view id) { return w.chance.poisons(id); })) {
        to.did = "poisoned";
        return invalid_parameters(w, to);
    }
    write_answer(w, r, carry_out(w, r, to), to);
}

}  // namespace culld::emulator
