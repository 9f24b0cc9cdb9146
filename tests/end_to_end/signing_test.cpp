// The ledger's signing key in a daemon that runs: replaced by a reload, and signing what a disk that failed owed.
#include "faults.hpp"

namespace culld::programs {
namespace {

using namespace std::chrono_literals;

class SignedLedger : public WithFaults {
  protected:
    SignedLedger() { make_key("old"); }

    void make_key(const std::string& name) const {
        const std::string pem = here_.path(name + ".pem");
        EXPECT_EQ(run({"genpkey", "-algorithm", "ed25519", "-out", pem}), 0);
        fs::permissions(pem, fs::perms::owner_read | fs::perms::owner_write);
        EXPECT_EQ(run({"pkey", "-in", pem, "-pubout", "-out", here_.path(name + ".pub")}), 0);
    }
    int run(std::vector<std::string> words) const {
        words.insert(words.begin(), "/usr/bin/openssl");
        return child(std::move(words), here_.path("openssl.log")).ends_within(patience).value_or(-2);
    }
    [[nodiscard]] std::string signs(const std::string& key) const {
        return fmt::format(", signing_key_file: {}, public_key_file: {}", here_.path(key + ".pem"),
                           here_.path("believed.pub"));
    }
    void believe(const std::vector<std::string>& keys) const {
        std::string all;
        for (const std::string& key : keys) all += read(key + ".pub");
        here_.write("believed.pub", all);
    }
    [[nodiscard]] int verify(const std::string& key) const {
        return ctl({"verify", "--public-key", here_.path(key + ".pub")});
    }
    [[nodiscard]] bool ledger_grows_to(std::size_t lines) const {
        return eventually([&] { return ledger().size() == lines; }, 15s);
    }
    [[nodiscard]] bool told_in_log(std::string_view what) const {
        return eventually([&] { return count(log(), what) > 0; }, 15s);
    }
};

TEST_F(SignedLedger, TakesAnotherKeyWithAReload) {
    make_key("new");
    believe({"old", "new"});
    configure({.journal = signs("old")});
    child daemon = started();
    drop_job("a", 5);
    ASSERT_TRUE(ledger_grows_to(1)) << log();

    here_.write("bad.pem", "nothing");
    fs::permissions(here_.path("bad.pem"), fs::perms::owner_read);
    configure({.journal = signs("bad")});
    daemon.signal(SIGHUP);
    ASSERT_TRUE(told_in_log("the configuration stays as it was")) << log();
    drop_job("b", 5);
    ASSERT_TRUE(ledger_grows_to(2)) << log();
    EXPECT_EQ(verify("old"), 0) << "a key that cannot serve changes nothing: " << told();

    configure({.journal = signs("new")});
    daemon.signal(SIGHUP);
    ASSERT_TRUE(told_in_log("the configuration was read again")) << log();
    // A line says that it signs from here on.
    ASSERT_TRUE(ledger_grows_to(3)) << log();
    EXPECT_EQ(ledger().back().at("type").as_string(), "ledger.signed_from");
    drop_job("c", 5);
    ASSERT_TRUE(ledger_grows_to(4)) << log();
    drop("d.yaml", "version: 7\n");
    ASSERT_TRUE(ledger_grows_to(5)) << log();
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.ends_within(patience), 0) << log();
    EXPECT_EQ(verify("believed"), 0) << told();
    EXPECT_EQ(verify("old"), 4) << "the new key signed too";
    EXPECT_EQ(verify("new"), 4) << "the old key signed too";
    EXPECT_EQ(once(), 0) << "and a start believes both: " << log();
}

TEST_F(SignedLedger, MakesUpForARejectionThatCouldNotBeWritten) {
    believe({"old"});
    configure({.journal = signs("old")});
    if (!arm()) GTEST_SKIP() << "NOT TESTED: no failing calls under a sanitizer";
    child daemon = started();
    drop_job("a", 5);
    ASSERT_TRUE(ledger_grows_to(1)) << log();
    fault("fsync ledger 5\n");
    drop("bad.yaml", "version: 7\n");
    ASSERT_TRUE(told_in_log("Input/output error")) << log();
    EXPECT_FALSE(in("rejected", "bad.yaml")) << "the ledger does not know of it yet";
    no_faults();
    ASSERT_TRUE(eventually([&] { return in("rejected", "bad.yaml"); }, 30s)) << log();
    drop_job("b", 5);
    ASSERT_TRUE(eventually([&] { return in("done", "b.yaml"); }, 15s)) << log();
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.ends_within(patience), 0) << log();
    EXPECT_EQ(ledger().size(), 3U) << read("journal/ledger.jsonl");
    EXPECT_EQ(verify("old"), 0) << told();
}

}  // namespace
}  // namespace culld::programs
