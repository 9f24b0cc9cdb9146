#include "culld/app/daemon/reload_record.hpp"

#include "culld/io/ids/intake.hpp"
#include "culld/io/os/log.hpp"

namespace culld {

namespace {
constexpr auto between_tries = std::chrono::seconds(5);
}

ruled_by reload_record::now() const {
    ruled_by out{.config_sha256 = with_.config_sha256, .protect = {}};
    if (!with_.protect->sha256().empty()) out.protect = {with_.protect->sha256(), with_.protect->size()};
    return out;
}

void reload_record::tell(ruled_by before) {
    ruled_by rules = now();
    log(log_level::info, "reloaded", "the configuration was read again",
        {{"config_sha256", rules.config_sha256},
         {"protected_sha256", with_.protect->sha256()},
         {"protected_count", with_.protect->size()}});
    if (rules == before) return;
    owed_.emplace_back(std::move(rules), std::move(before));
    write_next();
}

void reload_record::write_next() {
    if (owed_.empty() || std::exchange(writing_, true)) return;
    auto write = [this, next = owed_.front()] { return with_.ledger.tell_reload(next.first, next.second, wall_now()); };
    with_.disk.post(std::move(write), [this](const result<void>& done) {
        writing_ = false;
        if (done) {
            owed_.pop_front();
            return write_next();
        }
        log(log_level::error, "ledger.reload", done.error().text() + "; culld tries again by itself");
        again_.expires_after(between_tries);
        again_.async_wait([this](boost::system::error_code ec) {
            if (!ec) write_next();
        });
    });
}

}  // namespace culld
