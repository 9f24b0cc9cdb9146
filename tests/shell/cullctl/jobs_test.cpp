#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <mutex>
#include <thread>
#include <vector>

#include "culld/io/os/file.hpp"
#include "support/cullctl_runner.hpp"

namespace culld::test {
namespace {

class CullctlJobs : public CullctlTest {
  protected:
    CullctlJobs() { prepare(); }
};

// Answers on a Unix socket with canned bodies, one connection at a time, and keeps the requests.
class stand_in_daemon {
  public:
    stand_in_daemon(std::string path, std::string jobs) : path_(std::move(path)), jobs_(std::move(jobs)) {
        listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_.copy(address.sun_path, sizeof address.sun_path - 1);
        EXPECT_EQ(::bind(listener_.get(), static_cast<sockaddr*>(static_cast<void*>(&address)), sizeof address), 0);
        EXPECT_EQ(::listen(listener_.get(), 16), 0);
        thread_ = std::thread([this] { serve(); });
    }
    ~stand_in_daemon() {
        static_cast<void>(::shutdown(listener_.get(), SHUT_RDWR));
        thread_.join();
    }
    [[nodiscard]] std::vector<std::string> requests() {
        const std::lock_guard lock(mutex_);
        return requests_;
    }
    void set_jobs(std::string jobs) {
        const std::lock_guard lock(mutex_);
        jobs_ = std::move(jobs);
    }
    void answer_posts(unsigned status, std::string body) {
        const std::lock_guard lock(mutex_);
        post_status_ = status;
        post_body_ = std::move(body);
    }

  private:
    void serve() {
        for (;;) {
            const unique_fd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!peer) return;
            std::string request;
            char block[4096];
            while (request.find("\r\n\r\n") == std::string::npos || !whole(request)) {
                const ssize_t n = ::read(peer.get(), block, sizeof block);
                if (n <= 0) break;
                request.append(block, static_cast<std::size_t>(n));
            }
            const std::lock_guard lock(mutex_);
            requests_.push_back(request);
            const bool get = request.starts_with("GET ");
            const std::string body = get ? get_body(request) : post_body_;
            static_cast<void>(
                write_all(peer.get(),
                          fmt::format("HTTP/1.1 {} X\r\nContent-Type: application/json\r\nContent-Length: "
                                      "{}\r\nConnection: close\r\n\r\n{}",
                                      !get           ? post_status_
                                      : body.empty() ? 404
                                                     : 200,
                                      body.size(), body),
                          "peer"));
        }
    }
    [[nodiscard]] std::string get_body(const std::string& request) const {
        if (request.starts_with("GET /v1/jobs ")) return jobs_;
        if (request.starts_with("GET /livez ")) return "ok\n";
        const auto parsed = boost::json::parse(jobs_);
        for (const auto& job : parsed.at("jobs").as_array())
            if (request.starts_with("GET /v1/jobs/" + std::string(job.at("job_id").as_string()) + " "))
                return boost::json::serialize(job);
        return {};
    }
    static bool whole(const std::string& request) {
        const std::size_t at = request.find("Content-Length: ");
        if (at == std::string::npos) return true;
        return request.size() >= request.find("\r\n\r\n") + 4 + std::stoul(request.substr(at + 16));
    }

    std::string path_;
    std::mutex mutex_;
    std::string jobs_;
    unsigned post_status_ = 200;
    std::string post_body_ = R"({"job_id":"job-2","state":"paused"})";
    std::vector<std::string> requests_;
    unique_fd listener_;
    std::thread thread_;
};

constexpr const char* two_jobs =
    R"({"jobs":[{"job_id":"job-2","file":"open.txt","state":"running","status":null,"totals":{"ids":4,"deleted":1,"absent":0,"failed":0,"skipped":0,"duplicates":0,"requests":1,"retries":0,"throttled":0},"in_flight":2,"remaining":3,"rate":1.5,"eta_seconds":2,"reason":null,"accepted_at":"2026-11-25T01:02:03.000000Z","finished_at":null},{"job_id":"job-3","file":"c.txt","state":"finished","status":"completed","totals":{"ids":1,"deleted":1,"absent":0,"failed":0,"skipped":0,"duplicates":0,"requests":1,"retries":0,"throttled":0},"in_flight":0,"remaining":0,"rate":0,"eta_seconds":null,"reason":null,"accepted_at":"2026-11-25T01:02:04.000000Z","finished_at":"2026-11-25T01:02:05.000000Z"}]})";

TEST_F(CullctlJobs, ListReadsJournalsWhereNoDaemonRuns) {
    const ran r = here("list --json");
    ASSERT_EQ(r.code, 0) << r.err;
    const auto parsed = boost::json::parse(r.out);
    const auto& jobs = parsed.at("jobs").as_array();
    ASSERT_EQ(jobs.size(), 2U);
    EXPECT_EQ(jobs[0].at("job_id"), "job-1");
    EXPECT_EQ(jobs[0].at("state"), "finished");
    EXPECT_EQ(jobs[0].at("status"), "completed_with_failures");
    EXPECT_EQ(jobs[0].at("totals").at("deleted"), 5);
    EXPECT_EQ(jobs[1].at("job_id"), "job-2");
    EXPECT_EQ(jobs[1].at("state"), "waiting") << "nothing moves without a daemon";
    EXPECT_EQ(jobs[1].at("waits_for"), "daemon");
    EXPECT_EQ(jobs[1].at("remaining"), 3);
    EXPECT_TRUE(jobs[1].at("status").is_null());
    for (const char* key : {"job_id", "file", "state", "status", "totals", "in_flight", "remaining", "rate",
                            "eta_seconds", "reason", "help", "accepted_at", "finished_at"})
        EXPECT_TRUE(jobs[1].as_object().contains(key)) << key;
}

TEST_F(CullctlJobs, TheTableHasNoColourInAPipe) {
    const ran r = here("list");
    EXPECT_EQ(r.code, 0);
    EXPECT_EQ(r.out.find('\x1b'), std::string::npos);
    EXPECT_NE(r.out.find("completed_with_failures"), std::string::npos) << r.out;
}

TEST_F(CullctlJobs, TheTableIsNoWiderThanWhatItHolds) {
    stand_in_daemon daemon(root + "/s", two_jobs);
    const ran r = here("list --socket " + root + "/s");
    EXPECT_EQ(r.out.find("JOB    STATE      DELETED  ABSENT  FAILED  SKIPPED  LEFT  TOTAL   RATE  ETA"), 0U) << r.out;
    EXPECT_NE(r.out.find("\njob-2  running          1       0       0        0     3      4  1.5/s   2s"),
              std::string::npos)
        << r.out;
}

TEST_F(CullctlJobs, AJobIsNamedByItsWholeIdOrFile) {
    EXPECT_EQ(here("status job-1").code, 0);
    EXPECT_EQ(here("status list.txt").code, 0);
    for (const char* verb : {"status", "result", "report", "verify"}) {
        const ran two = here(fmt::format("{} job-", verb));
        EXPECT_EQ(two.code, 66) << verb << two.out;
        EXPECT_NE(two.err.find("did you mean \"job-1\" or \"job-2\"?"), std::string::npos) << verb << two.err;
        EXPECT_EQ(here(fmt::format("{} list.tx", verb)).code, 66) << verb;
    }
    std::filesystem::rename(journals + "/job-2.jsonl", root + "/aside");
    for (const char* verb : {"status", "result", "report", "verify"})
        EXPECT_EQ(here(fmt::format("{} job-", verb)).code, 66) << verb << ": of one job alone, too";
    const ran typo = here("status jobb-1");
    EXPECT_EQ(typo.code, 66);
    EXPECT_NE(typo.err.find("did you mean \"job-1\""), std::string::npos) << typo.err;
    const ran rejected = here("status bad.json --json");
    EXPECT_EQ(rejected.code, 0);
    EXPECT_NE(rejected.out.find("no such field"), std::string::npos) << rejected.out;
}

TEST_F(CullctlJobs, ADamagedOpenJournalShowsAsBlocked) {
    std::string text = open.text;
    text[text.find("\"count\":4") + 8] = '3';
    write(journals + "/job-2.jsonl", text);
    const ran r = here("status job-2 --json");
    EXPECT_EQ(r.code, 0);
    EXPECT_NE(r.out.find("\"state\":\"blocked\""), std::string::npos) << r.out;
    EXPECT_NE(here("status job-2").out.find("\nhelp         nothing more of it is sent"), std::string::npos);
}

constexpr const char* blocked_job =
    R"({"jobs":[{"job_id":"job-4","file":"d.txt","state":"blocked","status":null,"totals":{"ids":4,"deleted":1,"absent":0,"failed":0,"skipped":0,"duplicates":0,"requests":1,"retries":0,"throttled":0},"in_flight":0,"remaining":3,"rate":0,"eta_seconds":null,"reason":"APIGW.0301: Incorrect IAM authentication information","help":"replace the token file","accepted_at":"2026-11-25T01:02:03.000000Z","finished_at":null}]})";

TEST_F(CullctlJobs, ABlockedJobSaysWhyAndWhatToDo) {
    stand_in_daemon daemon(root + "/s", blocked_job);
    const ran status = here("status job-4 --socket " + root + "/s");
    EXPECT_NE(status.out.find("\nwhy          APIGW.0301: Incorrect IAM authentication information\n"
                              "help         replace the token file\n"),
              std::string::npos)
        << status.out;
    const ran list = here("list --socket " + root + "/s");
    EXPECT_NE(list.err.find("cullctl status job-4 says what to do"), std::string::npos) << list.err;
}

TEST_F(CullctlJobs, AJournalSaysWhyItsJobIsBlockedUntilItIsNotAnyMore) {
    open.add("job.blocked",
             R"("class":"auth","code":"APIGW.0301","detail":"Incorrect","help":"replace the token file")");
    write(journals + "/job-2.jsonl", open.text);
    EXPECT_NE(here("status job-2").out.find("\nhelp         replace the token file\n"), std::string::npos);
    open.add("job.unblocked", R"("why":"resumed by an operator")");
    write(journals + "/job-2.jsonl", open.text);
    const ran r = here("status job-2");
    EXPECT_EQ(r.out.find("replace"), std::string::npos) << r.out;
    EXPECT_NE(r.out.find("\nwhy          this is what its journal says"), std::string::npos) << r.out;
}

TEST_F(CullctlJobs, WatchOfAFinishedJobTellsHowItEnded) {
    EXPECT_EQ(here("watch job-1").code, 1);
    EXPECT_EQ(here("watch bad.json").code, 65);
}

TEST_F(CullctlJobs, TheDaemonsOwnObjectsArePassedOn) {
    stand_in_daemon daemon(root + "/s", two_jobs);
    const ran r = here("list --json --socket " + root + "/s");
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(boost::json::parse(r.out).at("jobs"), boost::json::parse(two_jobs).at("jobs"));
    EXPECT_EQ(boost::json::parse(r.out).at("rejected").at(0).at("file"), "bad.json");
    const ran status = here("status job-2 --json --socket " + root + "/s");
    EXPECT_NE(status.out.find("\"rate\":1.5"), std::string::npos) << status.out;
}

TEST_F(CullctlJobs, OldJobsTheDaemonForgotAreFoundInTheJournals) {
    stand_in_daemon daemon(root + "/s", two_jobs);
    EXPECT_EQ(here("status job-1 --socket " + root + "/s").code, 0);
}

TEST_F(CullctlJobs, ListAllShowsWhatTheDaemonForgot) {
    stand_in_daemon daemon(root + "/s", two_jobs);
    const ran r = here("list --all --json --socket " + root + "/s");
    ASSERT_EQ(r.code, 0) << r.err;
    const auto parsed = boost::json::parse(r.out);
    ASSERT_EQ(parsed.at("jobs").as_array().size(), 3U);
    EXPECT_NE(r.out.find("\"rate\":1.5"), std::string::npos) << "the daemon knows better";
}

TEST_F(CullctlJobs, CommandsArePosted) {
    stand_in_daemon daemon(root + "/s", two_jobs);
    const std::string socket = " --socket " + root + "/s";
    EXPECT_EQ(here("pause job-2 --reason 'lunch \"break\"'" + socket).code, 0);
    EXPECT_EQ(here("resume open.txt" + socket).code, 0);
    EXPECT_EQ(here("cancel job-2" + socket).code, 0);
    EXPECT_EQ(here("rate job-2 2.5" + socket).code, 0);
    const ran all = here("rate 4" + socket);
    EXPECT_EQ(all.code, 0);
    EXPECT_NE(all.err.find("4 requests a second for the one open job (job-2)"), std::string::npos) << all.err;
    std::vector<std::string> posts;
    for (const std::string& request : daemon.requests())
        if (request.starts_with("POST"))
            posts.push_back(request.substr(0, request.find(" HTTP")) + " " +
                            request.substr(request.find("\r\n\r\n") + 4));
    EXPECT_EQ(posts, (std::vector<std::string>{R"(POST /v1/jobs/job-2/pause {"reason":"lunch \"break\""})",
                                               "POST /v1/jobs/job-2/resume {}", "POST /v1/jobs/job-2/cancel {}",
                                               R"(POST /v1/jobs/job-2/rate {"requests_per_second":2.5})",
                                               R"(POST /v1/jobs/job-2/rate {"requests_per_second":4})"}));
}

// A beginning that fits one job today fits another tomorrow; and a file's name is not an id.
TEST_F(CullctlJobs, CommandsTakeNoBeginningsOfIds) {
    stand_in_daemon daemon(root + "/s", two_jobs);
    const std::string socket = " --socket " + root + "/s";
    for (const char* words : {"pause job", "resume job-", "cancel job", "rate job 5", "cancel open.txt"}) {
        const ran r = here(words + socket);
        EXPECT_EQ(r.code, 66) << words;
        EXPECT_NE(r.err.find("job-2"), std::string::npos) << words << r.err;
    }
    EXPECT_EQ(here("cancel job-2 nobody" + socket).code, 66) << "a mistake stops nothing half";
    for (const std::string& request : daemon.requests()) EXPECT_FALSE(request.starts_with("POST")) << request;
}

TEST_F(CullctlJobs, WhatXargsBringsBecomesNoOption) {
    stand_in_daemon daemon(root + "/s", two_jobs);
    const std::string socket = " --socket " + root + "/s";
    write(root + "/ids", "--help\njob-2\n");
    EXPECT_EQ(std::system(fmt::format("cd {0} && xargs {1}{2} --journal-dir {3} pause <ids >out 2>err", root, CULLCTL,
                                      socket, journals)
                              .c_str()),  // NOLINT
              123 * 256)
        << read(root + "/err");
    const std::string pause = fmt::format("--journal-dir {} --spool {}{} pause -- ", journals, spool, socket);
    EXPECT_EQ(run(pause + "--help").code, 64);
    EXPECT_EQ(run(pause + "job-2 job-2").code, 0);
    EXPECT_EQ(here("pause --help").code, 0);
}

TEST_F(CullctlJobs, ARejectedFileIsListedAndIsNoOtherJob) {
    const ran list = here("list");
    EXPECT_NE(list.out.find("bad.json"), std::string::npos) << list.out;
    EXPECT_NE(list.out.find("line 3: no such field"), std::string::npos) << list.out;
    EXPECT_EQ(here("status bad").code, 66);
    // A file of a finished job's name, dropped again and rejected: that is what the name means now.
    ledger.ledger_rejected("list.txt", "a job with that id was accepted before");
    save();
    const ran again = here("status list.txt");
    EXPECT_NE(again.out.find("\nstate        rejected"), std::string::npos) << again.out;
    EXPECT_NE(again.err.find("is job job-1"), std::string::npos) << again.err;
    EXPECT_NE(here("status job-1 --json").out.find("completed_with_failures"), std::string::npos);
}

// Whoever may not read the ledger reads the reasons beside rejected files, where files dropped by others lie as well.
TEST_F(CullctlJobs, AReasonThatSomebodyElseDroppedIsNotBelieved) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
    const std::string reasons = spool + "/rejected/", nowhere = " --journal-dir " + root + "/none --spool " + spool;
    write(reasons + "mine.txt.reason.json", R"({"file":"mine.txt","error":"one bad id","at":"2026-11-25T01:02:03Z"})");
    write(reasons + "open.txt.reason.json", R"({"file":"open.txt","error":"forged","at":"2036-11-25T01:02:03Z"})");
    ASSERT_EQ(::chown((reasons + "open.txt.reason.json").c_str(), 64002, 64002), 0);
    ASSERT_EQ(::symlink("mine.txt.reason.json", (reasons + "linked.reason.json").c_str()), 0);
    ASSERT_EQ(::mkfifo((reasons + "fifo.reason.json").c_str(), 0644), 0);
    stand_in_daemon daemon(root + "/s", two_jobs);
    const ran list = run("list --socket " + root + "/s" + nowhere);
    EXPECT_NE(list.out.find("one bad id"), std::string::npos) << list.out << list.err;
    EXPECT_EQ(list.out.find("one bad id"), list.out.rfind("one bad id"));
    EXPECT_EQ(list.out.find("forged"), std::string::npos) << list.out;
    // Nor does a real rejection hide a job that is open under the same name.
    write(reasons + "again.txt.reason.json", R"({"file":"open.txt","error":"later","at":"2036-11-25T01:02:03Z"})");
    const ran status = run("status open.txt --socket " + root + "/s" + nowhere);
    EXPECT_EQ(status.out.find("later"), std::string::npos) << status.out << status.err;
}

TEST_F(CullctlJobs, ListSaysHowManyJobsAreOlder) {
    stand_in_daemon daemon(root + "/s", two_jobs);
    const ran r = here("list --socket " + root + "/s");
    EXPECT_NE(r.err.find("1 older job is not shown: cullctl list --all"), std::string::npos) << r.err;
}

TEST_F(CullctlJobs, WithoutADaemonThatIsSaid) {
    const ran r = here("list --socket " + root + "/none");
    EXPECT_EQ(r.code, 0);
    EXPECT_NE(r.err.find("no daemon answers"), std::string::npos) << r.err;
    EXPECT_NE(r.out.find("waiting"), std::string::npos) << r.out;
    EXPECT_EQ(r.out.find("running"), std::string::npos) << r.out;
}

TEST_F(CullctlJobs, RefusalsHaveTheirExitCodes) {
    stand_in_daemon daemon(root + "/s", two_jobs);
    for (const auto& [status, code] :
         {std::pair(403U, 77), std::pair(404U, 66), std::pair(409U, 75), std::pair(500U, 74)}) {
        daemon.answer_posts(status, R"({"error":"only the operator may","hint":"ask"})");
        const ran r = here("pause job-2 --socket " + root + "/s");
        EXPECT_EQ(r.code, code);
        EXPECT_NE(r.err.find("only the operator may"), std::string::npos) << r.err;
    }
}

TEST_F(CullctlJobs, WithoutADaemonCommandsExitThree) {
    const ran r = here("pause job-2 --socket " + root + "/none");
    EXPECT_EQ(r.code, 3);
    EXPECT_NE(r.err.find("is culld running?"), std::string::npos) << r.err;
    EXPECT_EQ(here("rate 5 --socket " + root + "/none").code, 3);
}

TEST_F(CullctlJobs, WatchFollowsAJobToItsEnd) {
    stand_in_daemon daemon(root + "/s", two_jobs);
    std::thread later([&] {
        while (daemon.requests().size() < 3) std::this_thread::yield();
        std::string ended = two_jobs;
        const std::string running = R"("state":"running","status":null)";
        ended.replace(ended.find(running), running.size(), R"("state":"finished","status":"cancelled")");
        daemon.set_jobs(ended);
    });
    const ran r = here("watch job-2 --json --socket " + root + "/s");
    later.join();
    EXPECT_EQ(r.code, 2);
    EXPECT_EQ(std::count(r.out.begin(), r.out.end(), '\n'), 2) << r.out;
}

TEST_F(CullctlJobs, UsageErrorsExit64AndGuess) {
    const ran verb = run("statu");
    EXPECT_EQ(verb.code, 64);
    EXPECT_NE(verb.err.find("did you mean \"status\"?"), std::string::npos) << verb.err;
    const ran flag = run("list --jsn");
    EXPECT_EQ(flag.code, 64);
    EXPECT_NE(flag.err.find("did you mean \"--json\"?"), std::string::npos) << flag.err;
    EXPECT_EQ(run("").code, 64);
    EXPECT_EQ(run("status").code, 64);
    EXPECT_EQ(run("rate job-1 fast").code, 64);
    EXPECT_EQ(run("result job-1 --only nothing").code, 64);
    const ran word = run("result job-1 --only faild");
    EXPECT_EQ(word.code, 64);
    EXPECT_NE(word.err.find("did you mean \"failed\"?"), std::string::npos) << word.err;
    EXPECT_EQ(run("list --js").code, 64) << "no abbreviations";
    EXPECT_EQ(run("--help").code, 0);
    EXPECT_EQ(run("verify --help").code, 0);
    EXPECT_EQ(run("--version").code, 0);
}

TEST_F(CullctlJobs, AConfigurationThatIsNotThereIsAnError) {
    EXPECT_EQ(run("list --config nothing.yaml").code, 78);
}

TEST_F(CullctlJobs, ConfigShowTellsWhereEachSettingCameFrom) {
    write(root + "/c.yaml", "api: {region: cn-north-4}\nlimits:\n  burst: 7\n");
    const ran r = run("config show --origin --config c.yaml");
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_NE(r.out.find("c.yaml:3:"), std::string::npos) << r.out;
    EXPECT_NE(r.out.find("concurrency: 4"), std::string::npos);
    EXPECT_NE(r.out.find("# default"), std::string::npos);
    EXPECT_EQ(run("config show --config c.yaml").out.find('#'), std::string::npos);
    write(root + "/c.yaml", "api: {region: cn-north-4}\nlimits:\n  brust: 7\n");
    const ran typo = run("config show --config c.yaml");
    EXPECT_EQ(typo.code, 78);
    EXPECT_NE(typo.err.find("did you mean \"burst\"?"), std::string::npos) << typo.err;
    EXPECT_EQ(run("config shwo").code, 64);
}

TEST_F(CullctlJobs, AFolderThatIsNotThereIsSaid) {
    EXPECT_EQ(run("list --journal-dir /nonexistent").code, 66);
}

TEST_F(CullctlJobs, AFullDiskUnderStdoutIsNotSuccess) {
    if (!std::filesystem::exists("/dev/full")) GTEST_SKIP();
    const int status = std::system(
        fmt::format("{} list --journal-dir {} >/dev/full 2>/dev/null", CULLCTL, journals).c_str());  // NOLINT
    EXPECT_EQ(WEXITSTATUS(status), 74);
}

}  // namespace
}  // namespace culld::test
