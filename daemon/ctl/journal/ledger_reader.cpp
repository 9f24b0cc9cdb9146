#include "ctl/journal/ledger_reader.hpp"

#include <time.h>

#include <cstdint>
#include <utility>

#include "ctl/ui/interrupt.hpp"
#include "culld/io/journal/signing_key_file.hpp"

namespace culld::ctl {

namespace {

constexpr int looks_max = 4;  // half a second apart
constexpr std::int64_t young_s = 10;

// Looks at files that a daemon may be writing: again while that may tell more, for two seconds.
class next_look {
  public:
    next_look(const context& with, const folder& dir) : with_(with), dir_(dir) {}

    // Waits, and says whether to read again. Copies stay what they are; a folder in use may be named as one.
    bool worthwhile() {
        if (++looks_ > looks_max || (!with_.ask_daemon && !is_young(ledger_name) && !is_young(ledger_head_name)))
            return false;
        pause_between_looks();
        return true;
    }

  private:
    [[nodiscard]] bool is_young(const char* name) const {
        const auto facts = dir_.stat(name);
        timespec now{};
        if (!facts || ::clock_gettime(CLOCK_REALTIME, &now) != 0) return false;
        const auto age_s = now.tv_sec - facts->st_mtim.tv_sec;
        return age_s >= 0 && age_s < young_s;
    }

    const context& with_;
    const folder& dir_;
    int looks_ = 0;
};

// Ledger and head once. `head_name`: ledger.head, or the one that lies ready beside it.
result<ledger_reading> read_once(const folder& dir, const ledger_rules& rules, const std::string& head_name) {
    auto ledger = read_ledger(dir, rules);
    if (!ledger) return ledger;
    auto head = read_ledger_head_file(dir, head_name);
    if (!head) return fail(std::move(head.error()));
    if (head->no_file) ledger->checked.refuse(ledger_head_name, 0, "is no regular file", "it was replaced");
    ledger->checked.end(head->text);
    return ledger;
}

enum class head_place {
    elsewhere,   // not to be explained by a daemon at work
    one_behind,  // it names the line before the last, or there is none and one line
    ahead,       // it names a line that came after the ledger was read
};

// What the head says, where nothing else is wrong.
head_place place_of_head(const folder& dir, const ledger_check& checked) {
    const auto& findings = checked.findings();
    if (findings.size() != 1 || findings[0].file != ledger_head_name) return head_place::elsewhere;
    const auto head = read_ledger_head_file(dir, ledger_head_name);
    if (!head || head->no_file) return head_place::elsewhere;
    if (!head->text) return checked.records() == 1 ? head_place::one_behind : head_place::elsewhere;
    const auto says = read_ledger_head(*head->text);
    if (!says) return head_place::elsewhere;
    if (says->seq + 2 == checked.records()) return head_place::one_behind;
    return says->seq >= checked.records() ? head_place::ahead : head_place::elsewhere;
}

}  // namespace

result<ledger_reading> read_whole_ledger(const context& with, const folder& dir, const ledger_rules& rules) {
    for (next_look looks(with, dir);;) {
        auto ledger = read_once(dir, rules, ledger_head_name);
        if (!ledger || ledger->checked.findings().empty()) return ledger;
        const head_place head = place_of_head(dir, ledger->checked);
        if ((ledger->checked.torn() || head != head_place::elsewhere) && looks.worthwhile()) continue;
        const std::string ready = folder::staged_name(ledger_head_name);
        if (head != head_place::one_behind || !dir.exists(ready)) return ledger;
        auto foreseen = read_once(dir, rules, ready);
        if (foreseen && foreseen->checked.findings().empty() && foreseen->checked.head_signed()) return foreseen;
        return ledger;
    }
}

result<ledger_reading> read_ledger_until(const context& with, const folder& dir,
                                         const std::function<bool(const ledger_check&)>& named) {
    bool first = true;  // nothing tells that nobody writes: once is waited whatever the files say
    for (next_look looks(with, dir);;) {
        const bool again = looks.worthwhile();
        if (std::exchange(first, false) && !again) pause_between_looks();
        auto ledger = read_ledger(dir);
        if (!ledger || named(ledger->checked) || !again) return ledger;
    }
}

outcome<std::optional<public_keys>> believed_keys(const context& with) {
    const std::string& file = with.settings.journal.public_key_file;
    if (file.empty()) return std::optional<public_keys>();
    auto loaded = load_public_keys(file);
    if (!loaded) return give_up_on(file, std::move(loaded.error()));
    return std::optional(std::move(*loaded));
}

}  // namespace culld::ctl
