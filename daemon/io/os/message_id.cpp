#include "culld/io/os/message_id.hpp"

#include <algorithm>
#include <array>

namespace culld {

namespace {

constexpr std::array<message_id, 33> all{{
    {"ready", "99976184b6a24a7ab940ccb8db1c022d"},
    {"stopped", "90136cf10256454f8aeb42bd3016959c"},
    {"start.failed", "91e9220bad7843a49e99c486f8c1bb49"},
    {"stop.given_up", "2d0244f405f94d0681b49d0e8874db67"},
    {"internal.error", "1e7d0591ea1845dca660cfb3db0ad0ab"},
    {"reloaded", "6ded19303fb1451bb2a5c034c4b0e3b1"},
    {"reload.failed", "5085f59cbefd490aa8901d467f251cda"},
    {"recovery.failed", "fdebfe37ed904d5eb3afc513c9f03082"},
    {"recovery.left", "aa10bbb208974a79bf2318d86c7245bd"},
    {"job.finished", "06bccf771a36470e9c4743c82fcc0118"},
    {"job.aborted", "2122d72b9d2941b296306ce5fb305b6f"},
    {"job.deadline", "33a36cc27ee8411c81d78757329a3c14"},
    {"job.blocked", "6cfd7ad557a448548e171f4cd2495056"},
    {"job.unblocked", "10bb30f84610412a9dba5472a1a0f21e"},
    {"job.stuck", "37e9c057ae1a4497aba75d004d3db8cb"},
    {"job.rejected", "fc148e8efaf840c78c81cfedda778baa"},
    {"journal.failed", "e8c432e91184471f9e9e69cfc99492cd"},
    {"disk.hangs", "1c7adc8b4f184875b24c256805db9cae"},
    {"disk.answers", "4951a24942ac4cf7a2176c368e7775dc"},
    {"ground.lost", "fedf8df2d192411a9c99f66ac09fabb8"},
    {"ground.back", "8bf76def678e45fab668ae4f8ae6432f"},
    {"lock.made", "799a5ec933624cf8849510721166cb10"},
    {"ledger.line", "5bcabd8649854bacae87b071baffac8d"},
    {"log.dropped", "f0bb2297dac34f24ae01c334d72812e0"},
    {"ledger.torn", "a5e6e553a4304f009c03f02ddb0c7691"},
    {"credentials.failed", "b8fd6392d8394bd3a459026f750839ac"},
    {"signature.refused", "86a39ce2efb34ee6bdb77df331e43e16"},
    {"clock.learned", "ec89bf35ee4f4c529bd006ca10cd710a"},
    {"breaker.open", "1cae3ecbb52f48708314d30adbe38271"},
    {"throttled", "c85a559181a84c899cb3499c053e98ac"},
    {"answer.strangers", "2546528383a54648be0ffad490f37d45"},
    {"notify.failed", "34fa701cf1234d50868d990d16f8c892"},
    {"notify.dropped", "352413496339430badc3c93ca131989b"},
}};

}  // namespace

std::span<const message_id> message_ids() {
    return all;
}

std::string_view message_id_of(std::string_view event) {
    const auto* const found =
        std::find_if(all.begin(), all.end(), [&](const message_id& m) { return m.event == event; });
    return found == all.end() ? std::string_view() : found->id;
}

}  // namespace culld
