// Others stand still: whoever reads the log, the service manager, a resolver, the disk with the lists, the disk with
// the configuration, whoever sits on the control socket. Requests go on, commands are followed, and so is SIGTERM.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "faults.hpp"

namespace culld::programs {
namespace {

class OthersStandStill : public WithFaults {
  protected:
    static constexpr auto end_at_most = 4s;  // request_timeout, and two seconds; what a busy machine takes on top

    void configure_slow(const std::string& more = "", const std::string& endpoint = "") {
        configure({.scenario = "seed: 1\nlatency: {fixed: 2ms}\n",
                   .limits = "requests_per_second: 100, concurrency: 2",
                   .endpoint = endpoint,
                   .api = ", connect_timeout: 1s, request_timeout: 1s",
                   .more = more});
    }
    void expect_goes_on(int requests = 30) const {
        const int before = truth("delete_requests");
        EXPECT_TRUE(eventually([&] { return truth("delete_requests") >= before + requests; })) << log();
    }
    void expect_ends(child& daemon, int code = 0) const {
        daemon.signal(SIGTERM);
        EXPECT_EQ(daemon.ends_within(end_at_most), code) << log();
    }
    [[nodiscard]] std::string armed_or_why(const std::vector<std::string>& more = {}) {
        return arm(more) ? "" : "NOT TESTED: calls are not made to hang under a sanitizer";
    }
};

// libsystemd's sd_notify() waits for room in the manager's queue, for ever.
TEST_F(OthersStandStill, TheServiceManagerDoesNotRead) {
    configure_slow();
    const std::string path = here_.path("notify");
    const unique_fd deaf(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    ASSERT_EQ(::bind(deaf.get(), static_cast<sockaddr*>(static_cast<void*>(&name)), sizeof name), 0);
    // Its queue is full before culld comes.
    const unique_fd other(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    while (::sendto(other.get(), "x", 1, 0, static_cast<sockaddr*>(static_cast<void*>(&name)), sizeof name) == 1) {
    }
    wrapped_in_ = {"/usr/bin/env", "NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=1000000"};
    child daemon = started();
    drop_job("unheard", 3000);
    ASSERT_TRUE(settles_some("unheard", 100)) << log();
    EXPECT_EQ(ctl({"pause", "unheard"}), 0) << told();
    EXPECT_EQ(ctl({"resume", "unheard"}), 0) << told();
    daemon.signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return log().find("reloaded") != std::string::npos; })) << log();
    expect_goes_on();
    expect_ends(daemon);
    // Room again: what the manager must hear has waited for it.
    char message[4096];
    const timeval beat{2, 0};
    ::setsockopt(deaf.get(), SOL_SOCKET, SO_RCVTIMEO, &beat, sizeof beat);
    child second = started();
    std::string all;
    EXPECT_TRUE(eventually([&] {
        const ssize_t n = ::recv(deaf.get(), message, sizeof message, MSG_DONTWAIT);
        if (n > 0) all.append(message, static_cast<std::size_t>(n)).append("\n");
        return all.find("READY=1") != std::string::npos;
    })) << all;
    expect_ends(second);
}

// stderr is a pipe, and the other end does not read: a stopped pager, a log shipper that hangs.
TEST_F(OthersStandStill, WhoeverReadsTheLogDoesNot) {
    configure_slow("log: {level: debug}\n");
    const std::string pipe = here_.path("pipe");
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    const unique_fd unread(::open(pipe.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
    ASSERT_TRUE(unread);
    ASSERT_EQ(::fcntl(unread.get(), F_SETPIPE_SZ, 4096), 4096);
    child daemon(command(), pipe);
    for (int i = 0; i < 60; ++i) drop_job(fmt::format("unread-{}", i), 20);
    ASSERT_TRUE(eventually([&] { return !records("unread-59", "job.finished").empty(); }, patience));
    drop_job("goes-on", 3000);
    expect_goes_on();
    EXPECT_EQ(ctl({"pause", "goes-on"}), 0) << told();
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.ends_within(end_at_most), 0);
    expect_verified();
}

TEST_F(OthersStandStill, TheResolverDoesNotAnswerAtTheEnd) {
    configure_slow("", "https://api.test");
    setup with_token = settings_;  // or credentials would be looked for elsewhere first
    with_token.more += fmt::format("auth: {{method: token, token_file: {}}}\n", secret_file("token", "t"));
    write_config(with_token);
    if (const std::string why = armed_or_why(); !why.empty()) GTEST_SKIP() << why;
    fault("resolve api.test hang\n");
    child daemon = started();
    drop_job("unresolved", 100);
    ASSERT_TRUE(eventually([&] { return hits("resolve") > 0; })) << log();
    EXPECT_EQ(ctl({"pause", "unresolved"}), 0) << told();
    EXPECT_EQ(ctl({"resume", "unresolved"}), 0) << told();
    expect_ends(daemon);
    no_faults();
    write_config({.limits = settings_.limits, .api = settings_.api});
    EXPECT_EQ(once(), 0) << log();
    expect_true_verdicts("unresolved", 100);
    expect_verified();
}

// What the configuration names is read beside the loop, and what is no file is not waited for.
TEST_F(OthersStandStill, AProtectedListIsAPipeNobodyWritesTo) {
    configure_slow();
    const std::string pipe = here_.path("protected");
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    child daemon = started();
    drop_job("runs", 3000);
    ASSERT_TRUE(settles_some("runs", 100)) << log();
    write_config({.limits = settings_.limits, .api = settings_.api, .more = "ids: {protected_file: " + pipe + "}\n"});
    daemon.signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return log().find("is no regular file") != std::string::npos; })) << log();
    EXPECT_NE(log().find("the configuration stays as it was"), std::string::npos) << log();
    expect_goes_on();
    expect_ends(daemon);
    child at_start = start();
    EXPECT_EQ(at_start.ends_within(5s), 78) << log();
    for (const char* what : {"ca_file", "client_cert_file"}) {
        write_config(
            {.limits = settings_.limits,
             .endpoint = "https://127.0.0.1:1",
             .api = fmt::format(", {}: {}{}", what, pipe, what[1] == 'l' ? ", client_key_file: " + pipe : "")});
        child checks(command({"--check-config"}), here_.path("culld.log"));
        EXPECT_EQ(checks.ends_within(5s), 78) << what << "\n" << log();
    }
}

TEST_F(OthersStandStill, TheDiskWithTheConfigurationHangs) {
    configure_slow();
    if (const std::string why = armed_or_why(); !why.empty()) GTEST_SKIP() << why;
    child daemon = started();
    drop_job("runs", 20000);
    ASSERT_TRUE(settles_some("runs", 100)) << log();
    for (const char* file : {"open culld.yaml hang\n", "open the-token hang\n", "open protected hang\n"}) {
        here_.write("protected", "never\n");
        write_config({.limits = settings_.limits,
                      .api = settings_.api,
                      .more = fmt::format("auth: {{method: token, token_file: {}}}\nids: {{protected_file: {}}}\n",
                                          secret_file("the-token", "t"), here_.path("protected"))});
        const std::size_t before = hits("hang"), reloads = count(log(), "event=reloaded");
        fault(file);
        daemon.signal(SIGHUP);
        ASSERT_TRUE(eventually([&] { return hits("hang") > before; })) << file << log();
        expect_goes_on();
        EXPECT_EQ(ctl({"pause", "runs"}), 0) << told();
        EXPECT_EQ(ctl({"resume", "runs"}), 0) << told();
        no_faults();
        EXPECT_TRUE(eventually([&] { return count(log(), "event=reloaded") > reloads; })) << file << log();
    }
    fault("open culld.yaml hang\n");
    daemon.signal(SIGHUP);
    expect_goes_on(5);
    expect_ends(daemon, 74);
    no_faults();
    EXPECT_EQ(once(), 0) << log();
    expect_true_verdicts("runs", 20000);
}

// The list that was checked lies beside the journals, and may lie on what hangs all the same.
TEST_F(OthersStandStill, TheDiskWithOneListHangs) {
    configure_slow();
    if (const std::string why = armed_or_why({"NOTIFY_SOCKET=" + here_.path("notify"), "WATCHDOG_USEC=60000000"});
        !why.empty())
        GTEST_SKIP() << why;
    fault("read hangs.ids hang 0 40\n");
    child daemon = started();
    drop_job("hangs", 30'000);
    ASSERT_TRUE(eventually([&] { return hits("hang") > 0; }, patience)) << log();
    // Everybody's lists are read by one thread: the others wait as well, and the loop does not.
    EXPECT_EQ(ctl({"pause", "hangs"}), 0) << told();
    EXPECT_EQ(ctl({"resume", "hangs"}), 0) << told();
    expect_ends(daemon, 74);
    no_faults();
    EXPECT_EQ(once(), 0) << log();
    expect_true_verdicts("hangs", 30'000);
    expect_verified();
}

// A verdict whose ids cannot be read has no half record: the job waits with it.
TEST_F(OthersStandStill, AListThatCannotBeReadBlocksTheJobBeforeAVerdictIsHalfWritten) {
    configure({.scenario = "seed: 1\nfail_ratio: 1\nlatency: {fixed: 2ms}\n",
               .limits = "requests_per_second: 400, concurrency: 2"});
    if (const std::string why = armed_or_why(); !why.empty()) GTEST_SKIP() << why;
    child daemon = started();
    drop_job("unreadable", 9000, "verify: none\nmax_attempts: 2\n");
    ASSERT_TRUE(settles_some("unreadable", 20, patience)) << log();
    fault("read unreadable.ids 5\n");
    expect_blocked("unreadable", "Input/output error");
    for (const json::object& r : records("unreadable", "job.blocked")) EXPECT_EQ(r.at("class").as_string(), "store");
    no_faults();
    ASSERT_TRUE(eventually([&] { return !records("unreadable", "job.finished").empty(); }, patience)) << log();
    for (const char* type : {"ids.failed", "ids.skipped", "ids.absent"})
        for (const json::object& r : records("unreadable", type))
            EXPECT_FALSE(r.contains("ids") && r.at("ids").as_array().empty()) << json::serialize(r);
    expect_true_verdicts("unreadable", 9000);
    expect_verified();
}

TEST_F(OthersStandStill, TheSpoolHangs) {
    configure_slow();
    if (const std::string why = armed_or_why(); !why.empty()) GTEST_SKIP() << why;
    child daemon = started();
    drop_job("runs", 4000);
    ASSERT_TRUE(settles_some("runs", 100)) << log();
    fault("look incoming hang\nopen incoming hang\n");
    drop_job("waits", 100);
    ASSERT_TRUE(eventually([&] { return hits("hang") > 0; })) << log();
    expect_goes_on();
    EXPECT_EQ(ctl({"pause", "runs"}), 0) << told();
    EXPECT_EQ(ctl({"resume", "runs"}), 0) << told();
    no_faults();
    EXPECT_TRUE(eventually([&] { return in("done", "waits.yaml"); }, patience)) << log();
    const std::size_t before = hits("hang");
    fault("look incoming hang\nopen incoming hang\n");
    drop_job("later", 100);
    ASSERT_TRUE(eventually([&] { return hits("hang") > before; })) << log();
    expect_ends(daemon, 74);
    no_faults();
    EXPECT_EQ(once(), 0) << log();
    expect_true_verdicts("later", 100);
    expect_verified();
}

// ---- the control socket ----

// Connections of another user, who says nothing.
class squatter {
  public:
    squatter(const std::string& socket, uid_t uid, int n, const std::string& says = "") : pid_(::fork()) {
        if (pid_ != 0) return;
        if (uid != 0 && (::setgid(uid) != 0 || ::setuid(uid) != 0)) ::_exit(1);
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        socket.copy(name.sun_path, sizeof name.sun_path - 1);
        std::vector<int> all;
        for (;;) {
            while (static_cast<int>(all.size()) < n) {
                const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
                if (::connect(fd, static_cast<sockaddr*>(static_cast<void*>(&name)), sizeof name) != 0) {
                    ::close(fd);
                    break;
                }
                static_cast<void>(::send(fd, says.data(), says.size(), MSG_NOSIGNAL));
                all.push_back(fd);
            }
            ::usleep(20'000);
            std::erase_if(all, [](int fd) {  // cut: comes again
                char c = 0;
                const bool over = ::recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
                if (over) ::close(fd);
                return over;
            });
        }
    }
    ~squatter() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    squatter(const squatter&) = delete;
    squatter& operator=(const squatter&) = delete;

  private:
    pid_t pid_;
};

TEST_F(OthersStandStill, WhoeverSitsOnTheControlSocketKeepsNobodyOut) {
    configure_slow();
    child daemon = started();
    for (int i = 0; i < 12; ++i) drop_job(fmt::format("job-{}", i), 2000);
    ASSERT_TRUE(eventually([&] { return status("job-11").is_object(); })) << log();
    for (const uid_t uid : {uid_t{0}, uid_t{65534}})
        for (const char* says : {"", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"}) {
            if (uid != 0 && ::geteuid() != 0) continue;
            const squatter many(here_.path("control.sock"), uid, 128, says);
            for (int i = 0; i < 10; ++i) {
                EXPECT_EQ(ctl({"pause", "job-3"}), 0) << told();
                EXPECT_EQ(ctl({"resume", "job-3"}), 0) << told();
            }
            expect_goes_on(20);
        }
    expect_ends(daemon);
}

// What people named and what the API said is not everybody's.
TEST_F(OthersStandStill, ASubmitterSeesTheirOwnJobsInFullAndOthersDoNot) {
    if (::geteuid() != 0) GTEST_SKIP() << "NOT TESTED: needs root, to be somebody else";
    configure_slow();
    fs::permissions(here_.path(""), fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
    child daemon = started();
    const std::string file = here_.write(data_ + "spool/tmp/secret-name.txt", list("s", 2000));
    ASSERT_EQ(::chown(file.c_str(), 1234, 1234), 0);
    fs::rename(file, at("spool/incoming/secret-name.txt"));
    const auto seen_by = [&](const std::string& uid) {
        const std::string out = here_.path("seen");
        fs::remove(out);
        child(std::vector<std::string>{"/usr/bin/setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "curl",
                                       "-s", "--unix-socket", here_.path("control.sock"), "http://culld/v1/jobs"},
              out)
            .ends_within(10s);
        return read("seen");
    };
    ASSERT_TRUE(eventually([&] { return seen_by("0").find("\"state\":\"running\"") != std::string::npos; })) << log();
    EXPECT_EQ(seen_by("4321").find("secret-name.txt"), std::string::npos) << seen_by("4321");
    EXPECT_NE(seen_by("1234").find("secret-name.txt"), std::string::npos) << seen_by("1234");
    EXPECT_NE(seen_by("0").find("secret-name.txt"), std::string::npos) << seen_by("0");
    EXPECT_NE(seen_by("4321").find("\"totals\""), std::string::npos) << "numbers are anybody's";
    expect_ends(daemon);
}

TEST_F(OthersStandStill, LongListsComeInPages) {
    configure_slow();
    child daemon = started();
    for (int i = 0; i < 25; ++i) drop_job(fmt::format("page-{:02}", i), 400);
    ASSERT_TRUE(eventually([&] { return status("page-24").is_object(); }, patience)) << log();
    std::vector<std::string> seen;
    std::string target = "/v1/jobs?limit=7";
    for (int pages = 1; pages <= 4; ++pages) {
        const std::string answer = emulator_test::get_from_socket(here_.path("control.sock"), target);
        const json::value page = json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
        for (const json::value& job : page.at("jobs").as_array()) seen.emplace_back(job.at("job_id").as_string());
        if (pages < 4) target = "/v1/jobs?limit=7&after=" + std::string(page.at("next").as_string());
        EXPECT_EQ(page.as_object().contains("next"), pages < 4);
    }
    EXPECT_EQ(seen.size(), 25U);
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    expect_ends(daemon);
}

// ---- descriptors ----

// The first file that is opened would be stderr, and the log would land in it.
TEST_F(OthersStandStill, StandardDescriptorsThatAreClosedAreOpenedOnNothing) {
    configure_slow();
    child run(
        {"/bin/sh", "-c", fmt::format("exec {} --config {} --once <&- >&- 2>&-", CULLD, here_.path("culld.yaml"))},
        here_.path("culld.log"));
    EXPECT_EQ(run.ends_within(patience), 0);
    for (const char* lock : {"spool/.lock", "journal/.lock"}) {
        const std::string text = read(data_ + lock);
        EXPECT_EQ(count(text, "\n"), 1U) << lock << ": " << text;
    }
}

}  // namespace
}  // namespace culld::programs
