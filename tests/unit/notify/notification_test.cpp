#include "culld/core/notify/notification.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "culld/core/config/config.hpp"
#include "culld/core/config/settings.hpp"

namespace culld {
namespace {

namespace json = boost::json;
using std::chrono::minutes;

const wall_time noticed_at{std::chrono::seconds(1'764'000'000)};

notification news(notification_kind kind, std::string job = "job-1") {
    return {.kind = kind, .job_id = std::move(job), .file = "job.yaml"};
}
notification blocked_by(std::string error_class, std::string code = {}) {
    notification out = news(notification_kind::blocked);
    out.error_class = std::move(error_class);
    out.code = std::move(code);
    out.detail = "no \"trust\"\n";
    out.help = "renew";
    return out;
}
json::object told(const notification& n) {
    return json::parse(notice_json(n, {"host-1", "1.2.3"}, noticed_at)).as_object();
}

TEST(Notification, OfAJobThatIsOverHasItsTotalsAndLabels) {
    notification n = news(notification_kind::failed);
    n.status = "completed_with_failures";
    n.totals = job_totals{.ids = 10, .deleted = 7, .absent = 1, .failed = 2};
    n.labels = {{"ticket", "SEC-1"}, {"by", "a\"b"}};
    const json::object o = told(n);
    EXPECT_EQ(o.at("version"), 1);
    EXPECT_EQ(o.at("event"), "failed");
    EXPECT_EQ(o.at("at"), json::value(rfc3339(noticed_at)));
    EXPECT_EQ(o.at("host"), "host-1");
    EXPECT_EQ(o.at("culld"), "1.2.3");
    EXPECT_EQ(o.at("job_id"), "job-1");
    EXPECT_EQ(o.at("file"), "job.yaml");
    EXPECT_EQ(o.at("status"), "completed_with_failures");
    EXPECT_EQ(o.at("totals").at("deleted"), 7);
    EXPECT_EQ(o.at("labels"), (json::object{{"ticket", "SEC-1"}, {"by", "a\"b"}}));
    EXPECT_TRUE(o.at("reason").is_null());
    EXPECT_EQ(o.at("text"),
              "job job-1 is over, completed_with_failures: 10 ids, 7 deleted, 1 absent, 2 failed, 0 skipped");
}

TEST(Notification, OfABlockedJobSaysWhyAndWhatHelps) {
    const json::object o = told(blocked_by("auth", "APIGW.0301"));
    EXPECT_EQ(
        o.at("reason"),
        (json::object{{"class", "auth"}, {"code", "APIGW.0301"}, {"detail", "no \"trust\"\n"}, {"help", "renew"}}));
    EXPECT_TRUE(o.at("status").is_null());
    EXPECT_TRUE(o.at("totals").is_null());
    EXPECT_EQ(o.at("labels"), json::object());
    EXPECT_EQ(o.at("text"), "job job-1 is blocked: APIGW.0301 no \"trust\"\n");
}

TEST(Notification, OfAFileThatNobodyCouldReadHasNoJob) {
    notification n{.kind = notification_kind::rejected, .job_id = {}, .file = "bad.json"};
    n.error_class = "rejected";
    n.detail = "bad.json:3:1: no";
    const json::object o = told(n);
    EXPECT_TRUE(o.at("job_id").is_null());
    EXPECT_EQ(o.at("id"), json::value("bad.json/rejected/" + rfc3339(noticed_at))) << "told twice, it is the same";
    EXPECT_EQ(o.at("text"), "file bad.json was rejected: bad.json:3:1: no");
}

TEST(Notification, IsOneLineWithTheSameMembersWhateverItIs) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < notice_words.size(); ++i) {
        const notification n = news(static_cast<notification_kind>(i), "a\nb");
        EXPECT_EQ(name_of(n.kind), notice_words[i]);
        EXPECT_EQ(notice_json(n, {}, noticed_at).find('\n'), std::string::npos);
        std::vector<std::string> mine;
        for (const auto& member : told(n)) mine.emplace_back(member.key());
        if (i == 0) names = mine;
        EXPECT_EQ(mine, names);
    }
}

TEST(Notification, KindsAreTheWordsOfTheSettingInItsOrder) {
    const auto words = find_setting("notify.on")->words;
    EXPECT_TRUE(std::equal(words.begin(), words.end(), notice_words.begin(), notice_words.end()));
}

TEST(NotificationChoice, TakesTheKindsAskedFor) {
    notice_choice choice(config{}.notify.on);
    const steady_time now{};
    for (std::size_t i = 0; i < notice_words.size(); ++i)
        EXPECT_TRUE(choice.wants(news(static_cast<notification_kind>(i)), now)) << "by default all of them";
    choice.ask_for({"blocked", "failed"});
    EXPECT_FALSE(choice.wants(news(notification_kind::finished), now));
    EXPECT_TRUE(choice.wants(news(notification_kind::failed), now));
    EXPECT_FALSE(choice.wants(news(notification_kind::rejected), now));
    choice.ask_for({});
    EXPECT_FALSE(choice.wants(news(notification_kind::failed), now));
}

TEST(NotificationChoice, TellsOfABlockOnceAnHour) {
    notice_choice choice({"blocked"});
    steady_time now{};
    EXPECT_TRUE(choice.wants(blocked_by("journal"), now));
    EXPECT_FALSE(choice.wants(blocked_by("journal"), now += minutes(1))) << "a disk that comes and goes";
    EXPECT_TRUE(choice.wants(blocked_by("auth", "APIGW.0301"), now)) << "another reason is news";
    EXPECT_TRUE(choice.wants(blocked_by("auth", "APIGW.0303"), now));
    notification other = blocked_by("auth", "APIGW.0303");
    other.job_id = "job-2";
    EXPECT_TRUE(choice.wants(other, now)) << "so is another job";
    EXPECT_FALSE(choice.wants(blocked_by("auth", "APIGW.0303"), now += minutes(59)));
    EXPECT_TRUE(choice.wants(blocked_by("auth", "APIGW.0303"), now += minutes(1)));
}

TEST(NotificationChoice, ForgetsAJobThatIsOver) {
    notice_choice choice({"blocked"});
    const steady_time now{};
    EXPECT_TRUE(choice.wants(blocked_by("auth"), now));
    EXPECT_FALSE(choice.wants(news(notification_kind::finished), now)) << "not asked for";
    EXPECT_TRUE(choice.wants(blocked_by("auth"), now)) << "another job of the same id, as far as it knows";
}

TEST(NotificationChoice, RemembersNoMoreThanItMay) {
    notice_choice choice({"blocked"});
    const steady_time now{};
    for (std::size_t i = 0; i < notice_choice::remembered_max; ++i)
        EXPECT_TRUE(choice.wants(news(notification_kind::blocked, "job-" + std::to_string(i)), now));
    EXPECT_FALSE(choice.wants(news(notification_kind::blocked, "job-7"), now));
    EXPECT_TRUE(choice.wants(news(notification_kind::blocked, "one-more"), now));
    EXPECT_TRUE(choice.wants(news(notification_kind::blocked, "job-7"), now)) << "told twice rather than never";
}

}  // namespace
}  // namespace culld
