// culld itself against a server that does what no server should (hostile_server.py), in each of 44 ways: it must end in
// bounded time and memory, and never call an id deleted that the server has not deleted.
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <list>

#include "programs.hpp"
#include "support/certificates.hpp"

namespace culld::programs {
namespace {

constexpr int ids_each = 6;
constexpr std::string_view canary_token = "cAnArYtOkEn0123456789";

struct mischief {
    const char* mode;
    int code;             // of culld --once against a server that never gets better
    const char* verdict;  // of every id then; "remaining": none, the job is blocked
    // Against one that gets better: the same job ends with all ids deleted, or found gone; or blocked all the same,
    // since such an answer is for people to look at.
    bool heals = true;
};

const mischief all_mischief[] = {
    {"good", 0, "deleted"},
    {"silent", 1, "failed"},
    {"close", 1, "failed"},
    {"rst", 1, "failed"},
    {"drip-headers", 1, "failed"},
    {"drip-body", 1, "failed"},
    {"never-ending", 1, "failed"},
    {"huge-header", 1, "failed"},
    {"many-headers", 1, "failed"},
    {"short-body", 1, "failed"},
    {"long-body", 1, "failed"},
    {"two-lengths", 1, "failed"},
    {"te-cl", 1, "failed"},
    {"chunk-ext", 1, "failed"},
    {"chunk-bomb", 1, "failed"},
    {"chunk-overflow", 1, "failed"},
    {"gzip-bomb", 1, "failed"},
    {"redirect", 75, "remaining", false},
    {"redirect-http", 75, "remaining", false},
    {"continue-flood", 1, "failed"},
    {"not-json", 1, "failed"},
    {"deep-json", 1, "failed"},
    {"dup-keys", 1, "failed"},
    {"dup-lists", 1, "failed"},
    // Odd, and good enough to be read.
    {"bad-utf8", 0, "deleted"},
    {"bom", 0, "deleted"},
    {"gzip", 0, "deleted"},
    {"echo", 0, "deleted"},
    {"nul", 1, "failed"},
    {"wrong-ids", 1, "failed"},
    {"big-number", 1, "failed"},
    {"204", 1, "failed"},
    {"999", 1, "failed"},
    // The pause that it asks for is longer than the job may last.
    {"429-negative", 2, "skipped"},
    {"429-huge", 2, "skipped", false},
    {"429-date", 2, "skipped", false},
    {"503", 1, "failed"},
    {"401", 75, "remaining", false},
    {"echo-401", 75, "remaining", false},
    {"done-then-rst", 1, "failed"},
    {"http09", 1, "failed"},
    {"bare-lf", 1, "failed"},
    {"log-inject", 75, "remaining", false},
};

class Hostile : public Programs {
  protected:
    Hostile() {
        const certificate authority = make_certificate({.name = "Test CA"});
        const certificate shown = make_certificate({.alternative = "IP:127.0.0.1"}, &authority);
        write_certificate(authority, here_.path("ca.pem"));
        write_certificate(shown, here_.path("server.pem"));
        here_.write("server.key", key_pem(shown));
        here_.write("token", canary_token);
        EXPECT_EQ(::chmod(here_.path("token").c_str(), 0600), 0);
    }
    // One run in a folder of its own.
    struct run {
        const mischief* what;
        std::string lasting, name;
        child program;
        std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
    };
    void lay_out(const std::string& name, const std::string& endpoint, const std::string& job) const {
        for (const char* folder : {"/spool/incoming", "/spool/tmp", "/journal"})
            fs::create_directories(here_.path(name + folder));
        here_.write(name + "/culld.yaml",
                    fmt::format("api: {{endpoint: \"{}\", project_id: p, workspace_id: w, ca_file: {}, "
                                "connect_timeout: 500ms, request_timeout: 500ms}}\n"
                                "auth: {{method: token, token_file: {}}}\n"
                                "spool: {{dir: {}}}\njournal: {{dir: {}}}\n"
                                "limits: {{requests_per_second: 50, concurrency: 2}}\nbatch: {{size: 3}}\n"
                                "retry: {{base_delay: 50ms, max_delay: 300ms, max_attempts: 3, give_up_after: 1s}}\n"
                                "breaker: {{failures: 4, probe: 200ms}}\nlog: {{level: debug}}\n"
                                "http: {{listen: \"\", socket: {}}}\n",
                                endpoint, here_.path("ca.pem"), here_.path("token"), here_.path(name + "/spool"),
                                here_.path(name + "/journal"), here_.path(name + "/control.sock")));
        here_.write(name + "/spool/incoming/j.yaml", job);
    }
    [[nodiscard]] child begin(const std::string& name) const {
        return {{CULLD, "--config", here_.path(name + "/culld.yaml"), "--once"}, here_.path(name + "/log")};
    }
    [[nodiscard]] std::map<std::string, std::string> verdicts_of(const std::string& name) const {
        std::map<std::string, std::string> out;
        child ask({CULLCTL, "--journal-dir", here_.path(name + "/journal"), "result", "j", "--csv"},
                  here_.path(name + "/csv"));
        EXPECT_EQ(ask.ends_within(patience), 0) << read(name + "/csv");
        std::istringstream in(read(name + "/csv"));
        std::string line;
        std::getline(in, line);
        while (std::getline(in, line)) {
            const std::size_t comma = line.find(',');
            out[line.substr(0, comma)] = line.substr(comma + 1, line.find(',', comma + 1) - comma - 1);
        }
        return out;
    }
    void expect_verified(const std::string& name) const {
        child check({CULLCTL, "--journal-dir", here_.path(name + "/journal"), "verify"}, here_.path(name + "/verify"));
        EXPECT_EQ(check.ends_within(patience), 0) << read(name + "/verify");
    }
    // The secret is nowhere, and nothing of the server's is a line of its own or reaches a terminal.
    void expect_clean(const std::string& name) const {
        for (const std::string& text : {read(name + "/log"), read(name + "/journal/j.jsonl")}) {
            EXPECT_EQ(text.find(canary_token), std::string::npos) << name;
            EXPECT_EQ(text.find(canary_token.substr(3, 8)), std::string::npos) << name;
            EXPECT_EQ(text.find('\x1b'), std::string::npos) << name;
            EXPECT_EQ(text.find("\ninjected"), std::string::npos) << name;
        }
    }
};

TEST_F(Hostile, EveryMischiefEndsInTimeAndNothingIsCalledDeletedThatIsNot) {
    child server({"/usr/bin/python3", HOSTILE_SERVER, here_.path("server.pem"), here_.path("server.key"),
                  here_.path("truth.json")},
                 here_.path("server.log"));
    ASSERT_TRUE(eventually([&] { return read("server.log").find('\n') != std::string::npos; }));
    ASSERT_TRUE(read("server.log").starts_with("listening on ")) << read("server.log");
    const std::string endpoint = "https://127.0.0.1:" + std::to_string(std::stoi(read("server.log").substr(13)));

    std::vector<std::pair<const mischief*, std::string>> todo;
    for (const mischief& m : all_mischief)
        for (const char* lasting : {"stays", "heals"}) todo.emplace_back(&m, lasting);
    std::list<run> running;
    std::map<std::string, int> codes;
    std::map<std::string, std::map<std::string, std::string>> verdicts_of_all;
    while (!todo.empty() || !running.empty()) {
        while (!todo.empty() && running.size() < 12) {
            const auto [m, lasting] = todo.back();
            todo.pop_back();
            const std::string name = fmt::format("{}-{}", m->mode, lasting);
            const bool throttles = std::string_view(m->mode).starts_with("429");
            lay_out(name, endpoint,
                    fmt::format("version: 1\nid: j\nproject_id: \"{}\"\nworkspace_id: {}\nids: [{}]\n{}", m->mode,
                                lasting, fmt::join(std::vector<std::string>{"a", "b", "c", "d", "e", "f"}, ", "),
                                throttles ? "deadline: " + from_now(2500ms) + "\n" : ""));
            running.push_back({m, lasting, name, begin(name)});
        }
        for (auto it = running.begin(); it != running.end();) {
            const auto code = it->program.ends_within(0s);
            const bool late = std::chrono::steady_clock::now() - it->begun > 30s;
            EXPECT_FALSE(late) << it->name << ": " << read(it->name + "/log");
            if (!code && !late) {
                ++it;
                continue;
            }
            codes[it->name] = code.value_or(-2);
            verdicts_of_all[it->name] = verdicts_of(it->name);
            expect_verified(it->name);
            it = running.erase(it);
        }
        std::this_thread::sleep_for(20ms);
    }
    rusage most{};
    ASSERT_EQ(::getrusage(RUSAGE_CHILDREN, &most), 0);
    if (!sanitized) {
        EXPECT_LT(most.ru_maxrss, 64 * 1024) << "KiB, of the largest process";
    }

    server.signal(SIGTERM);
    ASSERT_EQ(server.ends_within(patience), 0) << read("server.log");
    const json::object truth = json::parse(read("truth.json")).as_object();
    EXPECT_EQ(truth.at("strays").as_array().size(), 0U) << json::serialize(truth.at("strays"));
    for (const mischief& m : all_mischief)
        for (const std::string lasting : {"stays", "heals"}) {
            const std::string name = fmt::format("{}-{}", m.mode, lasting);
            SCOPED_TRACE(name);
            const bool heals = lasting == "heals" && m.heals;
            const int code = heals ? 0 : m.code;
            EXPECT_EQ(codes[name], code) << read(name + "/log").substr(0, 4000);
            const json::object& facts = truth.at(m.mode + std::string("/") + lasting).as_object();
            std::set<std::string> done;
            for (const json::value& id : facts.at("done").as_array()) done.emplace(id.as_string());
            EXPECT_LE(facts.at("deletions").to_number<int>(), 60);
            EXPECT_LE(facts.at("gets").to_number<int>(), 60);
            const auto& verdicts = verdicts_of_all[name];
            EXPECT_EQ(verdicts.size(), std::size_t(ids_each));
            for (const auto& [id, verdict] : verdicts) {
                if (verdict == "deleted" || verdict == "absent") {
                    EXPECT_TRUE(done.contains(id)) << id << " is called " << verdict;
                }
                if (heals)
                    EXPECT_TRUE(verdict == "deleted" || verdict == "absent") << id << " " << verdict;
                else
                    EXPECT_EQ(verdict, m.verdict) << id;
            }
            expect_clean(name);
        }
}

// What an operator reads when TLS fails: in the log and in the journal, and the server has seen no request.
TEST_F(Hostile, NoServerWithAWrongCertificateSeesARequestAndTheMessageNamesWhatIsWrong) {
    const certificate authority = make_certificate({.name = "Test CA"});
    write_certificate(authority, here_.path("ca.pem"));
    const std::string here = "IP:127.0.0.1";
    const struct {
        const char* name;
        certificate shown;
        int newest;
        const char* says;
    } cases[] = {
        {"other-host", make_certificate({.alternative = "DNS:evil.test"}, &authority), TLS1_3_VERSION,
         "the certificate is not for 127.0.0.1"},
        {"name-only", make_certificate({.name = "127.0.0.1", .alternative = "DNS:evil.test"}, &authority),
         TLS1_3_VERSION, "the certificate is not for 127.0.0.1"},
        {"subject-only", make_certificate({.name = "127.0.0.1", .name_only = true}, &authority), TLS1_3_VERSION,
         "the subject alone does not count"},
        {"self-signed", make_certificate({.alternative = here}), TLS1_3_VERSION, "self-signed certificate"},
        {"expired", make_certificate({.alternative = here, .from_days = -9, .to_days = -1}, &authority), TLS1_3_VERSION,
         "certificate has expired"},
        {"tls-1.1", make_certificate({.alternative = here}, &authority), TLS1_1_VERSION, "older than TLS 1.2"},
    };
    for (const auto& c : cases) {
        SCOPED_TRACE(c.name);
        const auto context = server_context(c.shown, c.newest);
        hostile_server server({good_answer("{}")}, context.get());
        lay_out(c.name, "https://127.0.0.1:" + server.port(),
                "version: 1\nid: j\nids: [a]\ndeadline: " + from_now(400ms) + "\n");
        EXPECT_EQ(begin(c.name).ends_within(patience), 2) << read(c.name + std::string("/log"));
        EXPECT_THAT(server.requests(), testing::IsEmpty());
        EXPECT_NE(read(c.name + std::string("/log")).find(c.says), std::string::npos)
            << read(c.name + std::string("/log"));
        const std::string journal = read(c.name + std::string("/journal/j.jsonl"));
        EXPECT_NE(journal.find("\"class\":\"tls\""), std::string::npos) << journal;
        EXPECT_NE(journal.find(c.says), std::string::npos) << journal;
        expect_clean(c.name);
    }
}

}  // namespace
}  // namespace culld::programs
