#include "culld/app/status/folder_guard.hpp"

#include <fmt/format.h>

#include <random>
#include <utility>

#include "culld/io/os/folder_check.hpp"
#include "culld/io/os/log.hpp"

namespace culld {

namespace {
constexpr auto look_every = std::chrono::seconds(1);
constexpr auto look_at_rest = std::chrono::seconds(10);
}  // namespace

tl::expected<owned_folders, lock_refusal> own_folders(const spool& files, const folder& journals, const folder& plans) {
    owned_folders out;
    auto active = files.at(spool_folder::active);
    if (!active) return tl::unexpected<lock_refusal>({lock_refusal::cause::broken, std::move(active.error())});
    out.active = std::move(*active);
    auto spool_lock = folder_lock::take(files.root(), out.active, "culld", wall_now());
    if (!spool_lock) return tl::unexpected(std::move(spool_lock.error()));
    out.spool = std::move(*spool_lock);
    auto journal_lock = folder_lock::take(journals, plans, "culld", wall_now());
    if (!journal_lock) return tl::unexpected(std::move(journal_lock.error()));
    out.journals = std::move(*journal_lock);
    return out;
}

result<void> keep_together(const folder& spool, const folder& journals) {
    constexpr const char* note = ".journals";
    constexpr std::size_t id_max = 64;
    const auto noted = spool.read_start(note, id_max);
    if (!noted) return fail(noted.error());
    const auto here = journals.read_start(note, id_max);
    if (!here) return fail(here.error());
    if (*noted && *noted == *here) return {};
    if (*noted)
        return fail(problem{
            .what = fmt::format("is not the folder that holds the journals of {}'s jobs", spool.path()),
            .hint =
                fmt::format("is its disk mounted? Bring back the folder that was used; if its journals are lost for "
                            "good, take what lies in {0}/active away, remove {0}/{1} and start again",
                            spool.path(), note),
            .file = journals.path()});
    std::string id = here->value_or("");
    if (id.empty()) {
        std::random_device entropy;
        for (int i = 0; i < 4; ++i) id += fmt::format("{:08x}", entropy());
    }
    // Also where it is there: a start before this one may have failed to bring it to the disk.
    if (auto kept = journals.replace(note, id, 0640); !kept) return kept;
    return spool.replace(note, id, 0640);
}

folder_guard::folder_guard(daemon_context& with, owned_folders& owned,
                           std::function<void(const std::optional<problem>&)> told)
    : with_(with), owned_(owned), told_(std::move(told)), timer_(with.loop), alive_(std::make_shared<bool>(true)) {}

folder_guard::~folder_guard() {
    *alive_ = false;
}

void folder_guard::begin() {
    look_later();
}

void folder_guard::end() {
    ended_ = true;
    timer_.cancel();
}

void folder_guard::jobs_are_open(bool open) {
    if (std::exchange(resting_, !open) && open) look_soon();
}

void folder_guard::look_soon() {
    // Cancelled, the wait is over at once; where there is none a look is under way.
    if (timer_.expiry() > steady_now() + look_every) timer_.cancel();
}

void folder_guard::look_later() {
    timer_.expires_after(resting_ ? look_at_rest : look_every);
    timer_.async_wait([this](boost::system::error_code ec) {
        static_cast<void>(ec);  // sooner or later
        if (ended_) return;
        auto work = [this] { return look(); };
        with_.disk.post(std::move(work), [this, alive = alive_](seen now) {
            if (!*alive) return;
            looked(std::move(now));
            if (!ended_) look_later();
        });
    });
}

folder_guard::seen folder_guard::look() {
    seen out;
    const auto folder_lost = [&out](const folder& it) {
        path_check now = look_at_folder(it);
        if (now.what == path_state::one) return false;
        out.lost = std::move(now.why);
        return true;
    };
    if (folder_lost(with_.journals) || folder_lost(with_.plans) || folder_lost(with_.files.root()) ||
        folder_lost(owned_.active))
        return out;
    for (folder_lock* lock : {&owned_.spool, &owned_.journals}) {
        auto held = lock->look_after();
        if (!held) {
            out.lost = std::move(held.error().what);
            return out;
        }
        out.lock_made = out.lock_made || *held;
    }
    auto ledger = with_.ledger.look();
    if (ledger)
        out.ledger_read = *ledger;
    else
        out.lost = std::move(ledger.error());
    return out;
}

void folder_guard::looked(seen now) {
    if (now.lock_made)
        log(log_level::warn, "lock.made",
            "a lock file was removed or replaced: it was made anew, no other culld came in between");
    if (now.ledger_read)
        log(log_level::warn, "ledger.read",
            "the ledger or its head was replaced; read again, every line that culld wrote is there, and no other");
    const bool same = lost_.has_value() == now.lost.has_value() && (!lost_ || lost_->text() == now.lost->text());
    lost_ = std::move(now.lost);
    if (!same && lost_) log(log_level::error, "ground.lost", *lost_);
    if (!same && !lost_)
        log(log_level::info, "ground.back", "folders, locks and ledger are where they belong again: culld goes on");
    told_(lost_);
}

}  // namespace culld
