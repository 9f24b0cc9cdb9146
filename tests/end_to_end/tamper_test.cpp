// Promise 5 on what a real run left: three jobs through the three programs, with a signing key; then everything that
// can be done to the folder.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "support/archive.hpp"
#include "support/emulator_support.hpp"

namespace culld {
namespace {

namespace fs = std::filesystem;
using emulator_test::emulator;
using emulator_test::scratch;
using testing::HasSubstr;
using testing::Not;

class TamperedRun : public testing::Test {
  protected:
    TamperedRun() {
        server_ = std::make_unique<emulator>(
            std::vector<std::string>{"--listen", "127.0.0.1:0", "--scenario",
                                     here_.write("scenario.yaml", "seed: 1\nfail_always: [id-3]\nfail_ratio: 0.2\n")});
        fs::create_directories(here_.path("spool/incoming"));
        EXPECT_EQ(shell("openssl genpkey -algorithm ed25519 -out key.pem && chmod 0600 key.pem && "
                        "openssl pkey -in key.pem -pubout -out ledger.pub"),
                  0);
        configure("signing_key_file: " + here_.path("key.pem") + ", public_key_file: " + here_.path("ledger.pub"));
    }
    void configure(const std::string& keys) {
        here_.write(
            "culld.yaml",
            fmt::format("api: {{endpoint: \"http://127.0.0.1:{}\", project_id: p, workspace_id: w}}\n"
                        "spool: {{dir: {}}}\njournal: {{dir: {}, {}}}\nbatch: {{size: 5}}\n"
                        "limits: {{requests_per_second: 500}}\n"
                        "retry: {{base_delay: 5ms, max_delay: 50ms, max_attempts: 3}}\n"
                        "http: {{listen: \"\", socket: {}}}\n",
                        server_->port(), here_.path("spool"), here_.path("journal"), keys, here_.path("control.sock")));
    }
    // In the scratch folder; output goes to the file `out` there.
    int shell(const std::string& line) const {
        const std::string whole = fmt::format("cd '{}' && ({}) >out 2>&1", here_.path("."), line);
        const int status = std::system(whole.c_str());  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    std::string out() const { return read("out"); }
    std::string read(const std::string& name) const {
        return read_small_file(here_.path(name), std::size_t{1} << 24U).value_or("");
    }
    int once() const { return shell(fmt::format("{} --config culld.yaml --once", CULLD)); }
    int verify(const std::string& more = "--public-key ledger.pub") const {
        return shell(fmt::format("{} verify --journal-dir journal {}", CULLCTL, more));
    }
    void drop(const std::string& name, const std::string& content) const {
        here_.write(name, content);
        fs::rename(here_.path(name), here_.path("spool/incoming/" + name));
    }
    static std::string job(const std::string& id, int ids) {
        std::string list;
        for (int i = 0; i < ids; ++i) list += fmt::format("{}id-{}", i == 0 ? "" : ", ", i);
        return fmt::format("version: 1\nid: {}\nids: [{}]\n", id, list);
    }
    void run_jobs() const {
        drop("a.yaml", job("job-a", 12));
        ASSERT_EQ(once(), 1) << out();
        drop("bad.yaml", "version: 7\n");
        ASSERT_EQ(once(), 65) << out();
        drop("b.yaml", job("job-b", 2));
        ASSERT_EQ(once(), 0) << out();
        EXPECT_THAT(out(), HasSubstr(test::hash_of_last_line(read("journal/ledger.jsonl"))))
            << "the new line's hash goes to the log";
    }
    test::archive loaded() const {
        test::archive a;
        for (const char* id : {"job-a", "job-b"}) a.journals[id] = read(fmt::format("journal/{}.jsonl", id));
        a.ledger = read("journal/ledger.jsonl");
        a.head = read("journal/ledger.head");
        return a;
    }
    void save(const test::archive& a) const {
        for (const auto& [id, text] : a.journals) here_.write(fmt::format("journal/{}.jsonl", id), text);
        here_.write("journal/ledger.jsonl", a.ledger);
        here_.write("journal/ledger.head", *a.head);
    }

    scratch here_;
    std::unique_ptr<emulator> server_;
};

TEST_F(TamperedRun, EveryBitOfWhatARealRunLeftIsVouchedFor) {
    run_jobs();
    ASSERT_EQ(verify(), 0) << out();
    test::archive a = loaded();
    const public_keys keys = public_keys::parse(read("ledger.pub")).value();
    const ledger_rules rules{.keys = &keys};
    ASSERT_TRUE(a.sound(rules)) << a.text(rules);
    std::uint64_t bits = 0;
    const auto flip = [&](std::string& part, const auto& sound) {
        const std::string good = part;
        for (std::size_t i = 0; i < good.size(); ++i)
            for (unsigned bit = 0; bit < 8; ++bit, ++bits) {
                part[i] = static_cast<char>(good[i] ^ (1U << bit));
                ASSERT_FALSE(sound()) << "byte " << i << " bit " << bit << " of " << good.substr(0, 60);
                part[i] = good[i];
            }
    };
    const ledger_check honest = a.checked_ledger(rules);
    for (const char* job : {"job-a", "job-b"})
        flip(a.journals[job], [&] { return a.about_journal(job, honest).empty(); });
    for (std::string* part : {&a.ledger, &*a.head})
        flip(*part, [&] { return a.checked_ledger(rules).findings().empty(); });
    RecordProperty("bits", std::to_string(bits));
    // The binary, on the disk, is made of the same rooms.
    for (const char* name : {"job-a.jsonl", "job-b.jsonl", "ledger.jsonl", "ledger.head"}) {
        const std::string file = std::string("journal/") + name, good = read(file);
        for (std::size_t i = 0; i < good.size(); i += good.size() / 5 + 1) {
            std::string bad = good;
            bad[i] = static_cast<char>(bad[i] ^ 1);
            here_.write(file, bad);
            EXPECT_EQ(verify(), 4) << name << " byte " << i << out();
        }
        here_.write(file, good);
    }
    EXPECT_EQ(verify(), 0) << out();
}

TEST_F(TamperedRun, TheReadmesRecipeFindsTheSame) {
    run_jobs();
    const std::string readme = read_small_file(CULLD_README, 1U << 20U).value();
    const std::size_t begin = readme.find("# by-hand: ");
    ASSERT_NE(begin, std::string::npos);
    here_.write("by-hand.sh", readme.substr(begin, readme.find("```", begin) - begin));
    ASSERT_EQ(shell("cp ledger.pub journal/"), 0);
    const auto by_hand = [&](const std::string& id) {
        return shell(fmt::format("cd journal && JOB={} sh ../by-hand.sh", id));
    };
    EXPECT_EQ(by_hand("job-a"), 0) << out();
    EXPECT_THAT(out(), HasSubstr("all of it holds"));
    EXPECT_EQ(by_hand("job-b"), 0) << out();

    const test::archive good = loaded();
    const auto spoiled = [&](const std::string& what, const auto& change) {
        test::archive a = good;
        change(a);
        save(a);
        EXPECT_EQ(by_hand("job-a"), 4) << what << out();
        EXPECT_EQ(verify(), 4) << what << out();
        save(good);
    };
    spoiled("a flipped bit", [](test::archive& a) { a.journals["job-a"][100] ^= 1; });
    spoiled("a flipped bit in the ledger", [](test::archive& a) { a.ledger[100] ^= 1; });
    spoiled("a cut journal", [](test::archive& a) {
        auto lines = test::lines_of(a.journals["job-a"]);
        lines.pop_back();
        a.journals["job-a"] = test::joined(lines);
    });
    spoiled("a cut line", [](test::archive& a) { a.journals["job-a"].pop_back(); });
    spoiled("a removed ledger line", [](test::archive& a) {
        auto lines = test::lines_of(a.ledger);
        lines.pop_back();
        a.ledger = test::joined(lines);
    });
    spoiled("a rewritten chain", [](test::archive& a) {
        std::string& text = a.journals["job-a"];
        text.replace(text.find("id-5"), 4, "id-6");
        a.cover_up("job-a");
    });
    spoiled("a rewritten ledger", [](test::archive& a) {
        auto lines = test::lines_of(a.ledger);
        lines.erase(lines.begin() + 1);
        a.seal(lines);
    });
    EXPECT_EQ(by_hand("job-a"), 0);
}

TEST_F(TamperedRun, CulldIsNoToolOfWhoeverRewritesTheLedger) {
    run_jobs();
    const test::archive good = loaded();
    const auto refused = [&](const std::string& what) {
        drop("c.yaml", job("job-c", 1));
        EXPECT_EQ(once(), 74) << what << out();
        EXPECT_THAT(out(), HasSubstr("cullctl verify")) << what;
        EXPECT_EQ(verify(), 4) << what << out();
        fs::remove(here_.path("spool/incoming/c.yaml"));
        fs::remove(here_.path("spool/active/c.yaml"));
        save(good);
    };
    // The line of a job taken out, the chain closed again, the head removed: let culld sign it.
    test::archive a = good;
    auto lines = test::lines_of(a.ledger);
    lines.erase(lines.begin());
    a.seal(lines);
    save(a);
    fs::remove(here_.path("journal/job-a.jsonl"));
    fs::remove(here_.path("journal/ledger.head"));
    refused("head removed");
    // The head with its signature taken off.
    const auto head = read_ledger_head(*good.head).value();
    a = good;
    a.head = fmt::format("{{\"seq\":{},\"sha256\":\"{}\"}}\n", head.seq, head.sha256);
    save(a);
    refused("signature taken off");
    // A line added, as if a crash had come between the two writes.
    a = good;
    lines = test::lines_of(a.ledger);
    lines.push_back(lines[1]);
    a.ledger = test::rechained(lines);
    save(a);
    refused("a line added");
    EXPECT_EQ(verify(), 0) << out();
    drop("c.yaml", job("job-c", 1));
    EXPECT_EQ(once(), 0) << out();
    EXPECT_EQ(verify(), 0) << out();
}

TEST_F(TamperedRun, AKeyThatCannotServeStopsTheStartWithHelp) {
    const auto refused = [&](const std::string& keys, const std::string& says) {
        configure(keys);
        EXPECT_EQ(once(), 78) << keys << out();
        EXPECT_THAT(out(), HasSubstr(says)) << keys;
        EXPECT_THAT(out(), HasSubstr("key_file")) << keys;
        EXPECT_EQ(shell(fmt::format("{} --config culld.yaml --check-config", CULLD)), 78) << keys;
    };
    const std::string here = here_.path("");
    ASSERT_EQ(
        shell("openssl genpkey -algorithm x25519 -out x.pem && openssl genpkey -algorithm rsa -out rsa.pem && "
              "openssl pkey -in key.pem -aes256 -passout pass:x -out locked.pem && "
              "openssl genpkey -algorithm ed25519 -out other.pem && cp key.pem open.pem && cp key.pem ours.pem && "
              "echo hello > text.pem && : > empty.pem && chmod 0600 *.pem && chmod 0640 open.pem && "
              "openssl pkey -in other.pem -pubout -out other.pub"),
        0)
        << out();
    refused("signing_key_file: " + here + "x.pem", "X25519");
    refused("signing_key_file: " + here + "rsa.pem", "RSA");
    refused("signing_key_file: " + here + "locked.pem", "pass phrase");
    refused("signing_key_file: " + here + "open.pem", "chmod 0600");
    refused("signing_key_file: " + here + "text.pem", "no key");
    refused("signing_key_file: " + here + "empty.pem", "empty");
    refused("signing_key_file: " + here + "none.pem", "No such file");
    refused("signing_key_file: " + here + "ledger.pub", "mode");
    refused("signing_key_file: a-credential", "no credential");
    refused("signing_key_file: " + here + "key.pem, public_key_file: " + here + "other.pub", "public half");
    refused("signing_key_file: " + here + "key.pem, public_key_file: " + here + "key.pem", "private key");
    EXPECT_THAT(out(), Not(HasSubstr("MC4C"))) << "nothing of a key is ever shown";

    ASSERT_EQ(shell("mkdir -m 0700 creds && cp key.pem creds/signing-key"), 0);
    configure("signing_key_file: signing-key");
    EXPECT_EQ(shell(fmt::format("CREDENTIALS_DIRECTORY={}creds {} --config culld.yaml --check-config", here, CULLD)), 0)
        << out();
}

TEST_F(TamperedRun, AKeyMayComeLateAndBeReplaced) {
    configure("");
    drop("a.yaml", job("job-a", 2));
    ASSERT_EQ(once(), 0) << out();
    EXPECT_EQ(verify(), 4) << "nothing is signed";
    EXPECT_THAT(out(), HasSubstr("is not signed"));
    configure("signing_key_file: " + here_.path("key.pem"));
    drop("b.yaml", job("job-b", 2));
    ASSERT_EQ(once(), 0) << out();
    EXPECT_EQ(verify(), 0) << "the ledger itself says where signing begins" << out();
    EXPECT_EQ(verify("--public-key ledger.pub --signed-from 3"), 0) << out();
    EXPECT_EQ(verify("--public-key ledger.pub --signed-from 2"), 4) << out();
    EXPECT_EQ(shell(fmt::format("{} --config culld.yaml report job-a --public-key ledger.pub -o a.html", CULLCTL)), 0)
        << out();

    ASSERT_EQ(shell("openssl genpkey -algorithm ed25519 -out new.pem && chmod 0600 new.pem && "
                    "openssl pkey -in new.pem -pubout -out new.pub && cat ledger.pub new.pub > both.pub"),
              0);
    configure("signing_key_file: " + here_.path("new.pem"));
    drop("c.yaml", job("job-c", 2));
    EXPECT_EQ(once(), 74) << "the old key is not known any more" << out();
    EXPECT_THAT(out(), HasSubstr("keep the old public key"));
    configure("signing_key_file: " + here_.path("new.pem") + ", public_key_file: " + here_.path("both.pub"));
    ASSERT_EQ(once(), 0) << out();
    EXPECT_EQ(verify("--public-key both.pub"), 0) << out();
    EXPECT_EQ(verify("--public-key ledger.pub --signed-from 3"), 4);
    EXPECT_EQ(verify("--public-key new.pub --signed-from 3"), 4);
    EXPECT_EQ(shell(fmt::format("{} --config culld.yaml verify", CULLCTL)), 0) << "from the settings";
}

}  // namespace
}  // namespace culld
