// A configuration with all that is made from it before anything starts: rules for jobs, credentials, where the API is.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "culld/app/accept/job_acceptor.hpp"
#include "culld/app/daemon/daemon.hpp"
#include "culld/io/auth/credentials.hpp"
#include "culld/io/auth/project_lookup.hpp"
#include "culld/io/config/config_files.hpp"
#include "culld/io/http/api_route.hpp"
#include "culld/io/journal/signing_key_file.hpp"
#include "culld/io/notify/notification_transport.hpp"

namespace culld {

struct loaded {
    loaded_config file;
    std::shared_ptr<const config> settings;
    std::shared_ptr<const intake_settings> rules;
    std::unique_ptr<credentials> who;
    std::unique_ptr<project_lookup> project;  // where api.project_id is to be looked up
    route api;
    std::optional<ledger_signing> signing;
    notice_carriers carriers;
};

// All that can be wrong with a configuration, in one place: start, reload and --check-config agree.
// Blocking, any thread. The credentials know nothing of earlier ones before they adopt() that.
using loaded_or_not = tl::expected<loaded, std::vector<config_complaint>>;
// `stop`, set by any thread: a long list is not read to its end.
[[nodiscard]] loaded_or_not load_everything(const daemon_options& options, const std::atomic<bool>* stop = nullptr);

// A line each on stderr, for whoever started us by hand.
void complain(const std::vector<config_complaint>& all);

// Refuses a reload by which no id would be protected any more, and warns of one by which fewer are.
[[nodiscard]] result<void> keeps_protecting(const protected_ids& before, const protected_ids& after);

// The settings that differ between the two and cannot change while culld runs. A reload that would change one of them
// is refused as a whole: the half of it that could be applied is not what the operator asked for.
[[nodiscard]] std::vector<std::string_view> unchangeable(const config& before, const config& after);

// Whether it cannot take the place of `now`; the log says why.
[[nodiscard]] bool reload_refused(const loaded_or_not& fresh, const config& now, const protected_ids& protect);

}  // namespace culld
