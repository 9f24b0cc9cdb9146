// What culld tells others of its own accord: that a job ended, is blocked, or was rejected; as JSON, for a command's
// standard input and for a webhook. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culld/core/base/time.hpp"
#include "culld/core/verdict/job_totals.hpp"

namespace culld {

enum class notification_kind : std::uint8_t {
    finished,  // a job is over, and its file in done/
    failed,    // a job is over, and its file in failed/: failed ids, aborted, cancelled, expired
    blocked,   // a job waits for somebody to change something
    rejected,  // a file is no valid job
};
// The word in `notify.on` and in the JSON.
[[nodiscard]] std::string_view name_of(notification_kind k);
// All of them, in the order of the enum.
inline constexpr std::array<std::string_view, 4> notice_words{"finished", "failed", "blocked", "rejected"};

struct notification {
    notification_kind kind = notification_kind::finished;
    std::string job_id;  // may be empty: of a rejected file nobody could read it
    std::string file;
    std::string status{};  // of a job that is over
    std::optional<job_totals> totals{};
    std::vector<std::pair<std::string, std::string>> labels{};
    // Of blocked and rejected:
    std::string error_class{}, code{}, detail{}, help{};
};

// Where the news comes from.
struct notice_sender {
    std::string host;
    std::string version;
};

// One line for people: "job cleanup-1 is blocked: APIGW.0301 Incorrect IAM authentication information".
[[nodiscard]] std::string notice_text(const notification& n);
// {"version":1,"id","event","at","host","culld","job_id","file","status","totals","labels","reason","text"}: one object
// without a line end. `id` is the same in each try, so that a receiver knows what it has already.
[[nodiscard]] std::string notice_json(const notification& n, const notice_sender& from, wall_time at);

// Which of them are worth telling: those of the kinds asked for, and a job that is blocked for the same reason again
// and again, as on a disk that comes and goes, once an hour.
class notice_choice {
  public:
    explicit notice_choice(const std::vector<std::string>& kinds) { ask_for(kinds); }
    void ask_for(const std::vector<std::string>& kinds);
    [[nodiscard]] bool wants(const notification& n, steady_time now);

    static constexpr nanoseconds quiet = std::chrono::hours(1);
    static constexpr std::size_t remembered_max = 10'000;  // blocked jobs; ten times as many as may be open

  private:
    struct told {
        std::string why;
        steady_time at;
    };
    std::uint32_t kinds_ = 0;  // a bit each
    std::map<std::string, told, std::less<>> blocked_;
};

}  // namespace culld
