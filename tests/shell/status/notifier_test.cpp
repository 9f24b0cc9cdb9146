// News from whoever has it to tell to a command and a webhook, over real pipes and sockets.
#include "culld/app/status/notifier.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>

#include "support/certificates.hpp"
#include "support/loop_fixture.hpp"

namespace culld {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

// Does what a test tells it to, and remembers what it was given.
class puppet final : public notification_transport {
  public:
    puppet(loop_executor on, std::vector<delivery> answers) : over_(on), answers_(std::move(answers)) {}

    task<outcome> carry(std::string_view json) override {
        given.emplace_back(boost::json::parse(json).at("job_id").as_string());
        ++under_way;
        most = std::max(most, under_way);
        broken_off_ = false;
        while (held && !broken_off_) co_await over_.wait();
        --under_way;
        if (broken_off_) co_return outcome{delivery::again, "broken off"};
        const delivery now = answers_.empty() ? delivery::arrived : answers_.front();
        if (!answers_.empty()) answers_.erase(answers_.begin());
        co_return outcome{now, "as the test says"};
    }
    void break_off() override {
        broken_off_ = true;
        over_.notify();
    }
    [[nodiscard]] std::string describe() const override { return "the puppet"; }
    void let_go() {
        held = false;
        over_.notify();
    }

    std::vector<std::string> given;
    bool held = false;
    int under_way = 0, most = 0;

  private:
    event over_;
    std::vector<delivery> answers_;
    bool broken_off_ = false;
};

class Notifier : public testing::Test {
  protected:
    [[nodiscard]] static notification of(const std::string& job) {
        return {.kind = notification_kind::finished, .job_id = job, .file = "x.yaml", .status = "completed"};
    }
    [[nodiscard]] std::unique_ptr<notifier> make(notice_carriers by, const config& settings = {}) {
        // No chance: the shortest pauses, an eighth of two seconds at first.
        return std::make_unique<notifier>(on_.executor(), notice_sender{"host-1", "1"}, settings, std::move(by),
                                          [] { return 0.0; });
    }
    [[nodiscard]] std::shared_ptr<puppet> answering(std::vector<delivery> answers = {}) {
        return std::make_shared<puppet>(on_.executor(), std::move(answers));
    }
    void drain(notifier& n, nanoseconds limit = std::chrono::seconds(5)) { on_.wait(n.drain(steady_now() + limit)); }

    scratch_folder here_;
    looped on_;
};

TEST_F(Notifier, TellsBothWaysEachInOrderAndOneAtATime) {
    const auto command = answering(), webhook = answering({delivery::again, delivery::arrived, delivery::never});
    auto n = make({command, webhook});
    n->tell(of("a"));
    n->begin();
    n->tell(of("b"));
    n->tell(of("c"));
    on_.until([&] { return command->given.size() == 3; });
    drain(*n);
    EXPECT_EQ(command->given, (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_EQ(webhook->given, (std::vector<std::string>{"a", "a", "b", "c"}))
        << "the one holds the other up in nothing";
    EXPECT_EQ(webhook->most, 1);
    EXPECT_EQ(n->ways()[0].queue.counted().arrived, 3U);
    EXPECT_EQ(n->ways()[1].queue.counted().arrived, 2U);
    EXPECT_EQ(n->ways()[1].queue.counted().failed, 1U) << "b is refused for good";
}

TEST_F(Notifier, NeverMakesAnybodyWait) {
    const auto webhook = answering();
    webhook->held = true;
    auto n = make({nullptr, webhook});
    n->begin();
    for (int i = 0; i < 1500; ++i) n->tell(of(std::to_string(i)));
    on_.poll();
    EXPECT_EQ(webhook->given.size(), 1U);
    EXPECT_EQ(n->ways()[1].queue.size(), notification_queue::waiting_max);
    EXPECT_EQ(n->ways()[1].queue.counted().dropped, 500U);
    EXPECT_EQ(n->ways()[0].queue.size(), 0U) << "there is no command";
    webhook->let_go();
    on_.until([&] { return n->ways()[1].queue.size() == 0; });
    drain(*n);
}

TEST_F(Notifier, EndsInTimeWhateverHangs) {
    const auto command = answering();
    command->held = true;
    auto n = make({command, nullptr});
    n->begin();
    n->tell(of("a"));
    n->tell(of("b"));
    on_.poll();
    const steady_time begun = steady_now();
    drain(*n, std::chrono::milliseconds(100));
    EXPECT_GE(steady_now() - begun, std::chrono::milliseconds(100)) << "it has that long";
    EXPECT_LT(steady_now() - begun, std::chrono::seconds(2));
    EXPECT_EQ(command->under_way, 0);
    EXPECT_EQ(n->ways()[0].queue.size(), 0U);
    EXPECT_EQ(n->ways()[0].queue.counted().failed, 2U);
}

TEST_F(Notifier, DoesNotWaitForATryThatComesTooLate) {
    const auto command = answering({delivery::again});
    auto n = make({command, nullptr});
    n->begin();
    n->tell(of("a"));
    on_.until([&] { return n->ways()[0].queue.tries() == 1; });
    const steady_time begun = steady_now();
    drain(*n, std::chrono::milliseconds(50));
    EXPECT_LT(steady_now() - begun, std::chrono::milliseconds(50)) << "the next try is 250 ms away";
}

TEST_F(Notifier, ThatWasNeverBegunEndsAtOnce) {
    auto n = make({answering(), nullptr});
    n->tell(of("a"));
    drain(*n);
}

TEST_F(Notifier, TakesAnotherConfigurationWhileOneIsUnderWay) {
    const auto before = answering(), after = answering();
    before->held = true;
    auto n = make({before, nullptr});
    n->begin();
    n->tell(of("a"));
    n->tell(of("b"));
    on_.poll();
    config settings;
    settings.notify.on = {"failed"};
    n->apply(settings, {after, nullptr});
    before->let_go();
    on_.until([&] { return n->ways()[0].queue.size() == 0; });
    EXPECT_EQ(before->given, std::vector<std::string>{"a"});
    EXPECT_EQ(after->given, std::vector<std::string>{"b"}) << "what waits goes the new way";
    n->tell(of("c"));
    EXPECT_EQ(n->ways()[0].queue.size(), 0U) << "not asked for any more";
    // And none at all.
    after->held = true;
    settings.notify.on = {"finished"};
    n->apply(settings, {after, nullptr});
    n->tell(of("d"));
    n->tell(of("e"));
    on_.poll();
    n->apply(settings, {});
    after->let_go();
    on_.until([&] { return n->ways()[0].queue.size() == 0; });
    EXPECT_EQ(after->given, (std::vector<std::string>{"b", "d"}));
    drain(*n);
}

// ---- real ones ----

class Carrier : public Notifier {
  protected:
    [[nodiscard]] std::string write(const std::string& name, const std::string& text, fs::perms mode) const {
        std::ofstream(here_.path(name)) << text;
        fs::permissions(here_.path(name), mode);
        return here_.path(name);
    }
    [[nodiscard]] std::string secret_file(const std::string& name, const std::string& text) const {
        return write(name, text, fs::perms::owner_read | fs::perms::owner_write);
    }
    [[nodiscard]] notification_transport::outcome carried(const config& settings,
                                                          const std::string& json = "{\"a\":1}") {
        auto by = make_notice_carriers(settings, "");
        if (!by) {
            ADD_FAILURE() << by.error().text();
            return {};
        }
        notification_transport& one = by->webhook ? *by->webhook : *by->command;
        return on_.wait(one.carry(json));
    }
    static hostile_server::behaviour says(const std::string& status, const std::string& more = "") {
        return [=](const hostile_server::victim& c) {
            return c.send("HTTP/1.1 " + status + "\r\n" + more + "Content-Length: 2\r\n\r\nok");
        };
    }
};

TEST_F(Carrier, TheWebhookGetsAPostWithTheHeader) {
    hostile_server server({says("204 No Content"), says("503 x"), says("302 x", "Location: http://127.0.0.1:1/\r\n")});
    config c;
    c.notify.webhook = "http://127.0.0.1:" + server.port() + "/hook?x=1";
    c.notify.header_file = secret_file("header", "Authorization: Bearer s3cret\n");
    EXPECT_EQ(carried(c).what, delivery::arrived);
    const std::string got = server.requests().front();
    EXPECT_THAT(got, testing::StartsWith("POST /hook?x=1 HTTP/1.1\r\nHost: 127.0.0.1:" + server.port() + "\r\n"));
    EXPECT_THAT(got, HasSubstr("\r\nAuthorization: Bearer s3cret\r\nContent-Type: application/json\r\n"));
    EXPECT_THAT(got, testing::EndsWith("Content-Length: 7\r\n\r\n{\"a\":1}"));
    const auto busy = carried(c);
    EXPECT_EQ(busy.what, delivery::again);
    EXPECT_EQ(busy.why, "HTTP status 503");
    EXPECT_EQ(carried(c).what, delivery::never) << "a secret follows no redirect";
    EXPECT_EQ(server.requests().size(), 3U);
}

TEST_F(Carrier, TheWebhooksWholeUrlMayBeASecret) {
    hostile_server server({says("200 OK")});
    config c;
    c.notify.webhook_file = secret_file("url", "http://127.0.0.1:" + server.port() + "/services/S3CRET\n");
    EXPECT_EQ(carried(c).what, delivery::arrived);
    EXPECT_THAT(server.requests().front(), testing::StartsWith("POST /services/S3CRET HTTP/1.1\r\n"));
    EXPECT_EQ(make_notice_carriers(c, "")->webhook->describe(), "the webhook at 127.0.0.1:" + server.port());
}

TEST_F(Carrier, TheWebhookMustProveWhoItIs) {
    const certificate authority = make_certificate({.name = "authority"});
    const certificate own = make_certificate({.name = "own", .alternative = "IP:127.0.0.1"}, &authority);
    write_certificate(authority, here_.path("ca.pem"));
    const auto context = server_context(own);
    hostile_server server({says("200 OK")}, context.get());
    config c;
    c.notify.webhook = "https://127.0.0.1:" + server.port() + "/x";
    const auto refused = carried(c);
    EXPECT_EQ(refused.what, delivery::again);
    EXPECT_THAT(refused.why, HasSubstr("TLS with 127.0.0.1"));
    EXPECT_TRUE(server.requests().empty()) << "nothing is said to who is not trusted";
    c.api.ca_file = here_.path("ca.pem");
    EXPECT_EQ(carried(c).what, delivery::arrived);
}

TEST_F(Carrier, ASilentWebhookIsGivenUpInTime) {
    hostile_server server({[](const hostile_server::victim& c) {
        c.wait_for_the_end();
        return false;
    }});
    config c;
    c.notify.webhook = "http://127.0.0.1:" + server.port();
    c.notify.timeout = std::chrono::milliseconds(200);
    const steady_time begun = steady_now();
    EXPECT_EQ(carried(c).what, delivery::again);
    EXPECT_LT(steady_now() - begun, std::chrono::seconds(3));
}

TEST_F(Carrier, TheCommandReadsOneLine) {
    config c;
    c.notify.command = {
        write("notify", "#!/bin/sh\ncat >" + here_.path("in") + "; echo sorry >&2; exit $1\n", fs::perms::owner_all),
        "0"};
    EXPECT_EQ(carried(c).what, delivery::arrived);
    std::ifstream in(here_.path("in"));
    std::string line;
    ASSERT_TRUE(std::getline(in, line));
    EXPECT_EQ(line, "{\"a\":1}");
    c.notify.command[1] = "3";
    const auto failed = carried(c);
    EXPECT_EQ(failed.what, delivery::again);
    EXPECT_EQ(failed.why, "exit code 3: sorry");
    c.notify.command = {write("slow", "#!/bin/sh\nsleep 100\n", fs::perms::owner_all)};
    c.notify.timeout = std::chrono::milliseconds(100);
    EXPECT_EQ(carried(c).why, "it did not end within 100ms");
}

TEST_F(Carrier, WhatCannotWorkIsToldAtTheStart) {
    const auto refused = [&](const config& c) {
        const auto by = make_notice_carriers(c, "");
        EXPECT_FALSE(by);
        const problem p = by ? problem{} : by.error();
        EXPECT_EQ(p.text().find("S3CRET"), std::string::npos) << p.text();
        return p.field + ": " + p.text();
    };
    config c;
    c.notify.command = {here_.path("none")};
    EXPECT_THAT(refused(c), HasSubstr("notify.command: ")) << "a program that is not there";
    c = {};
    c.notify.webhook = "https://h.example/x";
    for (const char* bad : {"S3CRET", ": S3CRET", "Content-Length: 3 S3CRET", "HOST: S3CRET", "a b: S3CRET"}) {
        c.notify.header_file = secret_file("header", bad);
        EXPECT_THAT(refused(c), HasSubstr("notify.header_file: ")) << bad;
    }
    c.notify.header_file = write("open", "X: S3CRET", fs::perms::owner_read | fs::perms::others_read);
    EXPECT_THAT(refused(c), HasSubstr("notify.header_file: "));
    c = {};
    c.notify.webhook_file = secret_file("url", "http://h.example/S3CRET");
    EXPECT_THAT(refused(c), HasSubstr("must be https"));
    c.notify.webhook_file = secret_file("url", "h.example/S3CRET");
    EXPECT_THAT(refused(c), HasSubstr("notify.webhook_file: "));
    EXPECT_FALSE(make_notice_carriers({}, "")->command);
    EXPECT_FALSE(make_notice_carriers({}, "")->webhook);
}

}  // namespace
}  // namespace culld
