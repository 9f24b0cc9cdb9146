#include "culld/core/verdict/job_totals.hpp"

#include "culld/core/text/json_writer.hpp"

namespace culld {

void append_totals(std::string& out, const job_totals& t) {
    json_object o(out);
    o.member("ids", t.ids)
        .member("deleted", t.deleted)
        .member("absent", t.absent)
        .member("failed", t.failed)
        .member("skipped", t.skipped)
        .member("duplicates", t.duplicates)
        .member("requests", t.requests)
        .member("retries", t.retries)
        .member("throttled", t.throttled)
        .close();
}

}  // namespace culld
