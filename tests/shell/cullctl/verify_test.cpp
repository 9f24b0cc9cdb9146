#include <random>

#include "support/archive.hpp"
#include "support/cullctl_runner.hpp"

namespace culld::test {
namespace {

class CullctlVerify : public CullctlTest {
  protected:
    CullctlVerify() { prepare(); }
};

TEST_F(CullctlVerify, HonestFoldersAreFine) {
    const ran r = here("verify");
    EXPECT_EQ(r.code, 0) << r.out << r.err;
    EXPECT_NE(r.out.find("2 journals (1 of open jobs)"), std::string::npos) << r.out;
    EXPECT_EQ(here("verify job-1").out.find("ok: 1 journal (0 of open jobs)"), 0U);
    const ran json = here("verify --json");
    EXPECT_EQ(json.code, 0);
    EXPECT_EQ(json.out.find(R"({"ok":true,"journals":2,)"), 0U) << json.out;
}

TEST_F(CullctlVerify, AChangedByteNamesFileAndLine) {
    std::string text = finished.text;
    text[text.find("\"count\":7") + 8] = '6';
    write(journals + "/job-1.jsonl", text);
    const ran r = here("verify");
    EXPECT_EQ(r.code, 4);
    EXPECT_NE(r.out.find("job-1.jsonl:4"), std::string::npos) << r.out;
}

TEST_F(CullctlVerify, FlippedBitsAnywhereAreFound) {
    std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same bits in every run
    const auto flip_some = [&](const std::string& name, const std::string& good, int times) {
        for (int i = 0; i < times; ++i) {
            std::string text = good;
            const std::size_t at = random() % text.size();
            text[at] = static_cast<char>(text[at] ^ (1U << (random() % 8)));
            write(journals + "/" + name, text);
            EXPECT_EQ(here("verify -q").code, 4) << name << " byte " << at;
        }
        write(journals + "/" + name, good);
    };
    flip_some("job-1.jsonl", finished.text, 40);
    flip_some("ledger.jsonl", ledger.text, 20);
    flip_some("ledger.head", ledger.ledger_head(), 10);
    EXPECT_EQ(here("verify").code, 0);
}

TEST_F(CullctlVerify, ARemovedJournalIsMissed) {
    std::filesystem::remove(journals + "/job-1.jsonl");
    const ran r = here("verify");
    EXPECT_EQ(r.code, 4);
    EXPECT_NE(r.out.find("job-1.jsonl: the journal is missing"), std::string::npos) << r.out;
    EXPECT_EQ(here("verify job-1").code, 4);
}

TEST_F(CullctlVerify, ACutJournalIsFound) {
    write(journals + "/job-1.jsonl", finished.text.substr(0, finished.text.rfind("\n{") + 1));
    EXPECT_EQ(here("verify").code, 4);
    write(journals + "/job-1.jsonl", finished.text.substr(0, finished.text.size() - 1));
    EXPECT_EQ(here("verify").code, 4);
    write(journals + "/job-1.jsonl", "");
    EXPECT_EQ(here("verify").code, 4);
}

TEST_F(CullctlVerify, ACutLedgerIsFound) {
    const std::string one_line = ledger.text.substr(0, ledger.text.find('\n') + 1);
    write(journals + "/ledger.jsonl", one_line);
    EXPECT_EQ(here("verify").code, 4);
    // Even with a head that fits: the finished journal has lost its line.
    journal_builder nothing;
    nothing.ledger_rejected("x", "y");
    write(journals + "/ledger.jsonl", nothing.text);
    write(journals + "/ledger.head", nothing.ledger_head());
    const ran r = here("verify");
    EXPECT_EQ(r.code, 4);
    EXPECT_NE(r.out.find("the ledger does not name it"), std::string::npos) << r.out;
    std::filesystem::remove(journals + "/ledger.jsonl");
    std::filesystem::remove(journals + "/ledger.head");
    EXPECT_EQ(here("verify").code, 4);
}

TEST_F(CullctlVerify, AMissingHeadIsFound) {
    std::filesystem::remove(journals + "/ledger.head");
    const ran r = here("verify");
    EXPECT_EQ(r.code, 4);
    EXPECT_NE(r.out.find("ledger.head: is missing"), std::string::npos) << r.out;
}

TEST_F(CullctlVerify, ATornTailOfAnOpenJobIsNoFault) {
    write(journals + "/job-2.jsonl", open.text + R"({"seq":3,"ts":)");
    const ran r = here("verify");
    EXPECT_EQ(r.code, 0) << r.out;
    EXPECT_NE(r.err.find("no whole line yet"), std::string::npos) << r.err;
}

// Zeros in a last line are what a power cut leaves; with a line behind them, or in a finished journal, they are damage.
TEST_F(CullctlVerify, ZerosAreATornTailOfAnOpenJobOnly) {
    const std::string hole = R"({"seq":3,"ts":)" + std::string(7, '\0') + "}\n";
    write(journals + "/job-2.jsonl", open.text + hole);
    const ran torn = here("verify");
    EXPECT_EQ(torn.code, 0) << torn.out;
    EXPECT_NE(torn.err.find("no whole line yet"), std::string::npos) << torn.err;
    write(journals + "/job-2.jsonl", open.text + hole + hole);
    EXPECT_EQ(here("verify").code, 4);
    write(journals + "/job-2.jsonl", open.text);
    EXPECT_EQ(here("verify").code, 0);
    write(journals + "/job-1.jsonl", finished.text + hole);
    const ran damaged = here("verify");
    EXPECT_EQ(damaged.code, 4);
    EXPECT_NE(damaged.out.find("zero bytes stand in it"), std::string::npos) << damaged.out;
}

TEST_F(CullctlVerify, OneJobIsFoundByItsFile) {
    EXPECT_EQ(here("verify list.txt").code, 0);
    EXPECT_EQ(here("verify nonsense").code, 66);
}

TEST_F(CullctlVerify, ASymbolicLinkIsNotFollowed) {
    std::filesystem::rename(journals + "/job-1.jsonl", root + "/elsewhere");
    std::filesystem::create_symlink(root + "/elsewhere", journals + "/job-1.jsonl");
    const ran r = here("verify");
    EXPECT_EQ(r.code, 4);
    EXPECT_NE(r.out.find("job-1.jsonl: is no regular file"), std::string::npos) << r.out;
}

// Positions add up, and the chain is whole: only the list tells that an id was put in another's place.
TEST_F(CullctlVerify, AnIdInTheWrongPlaceIsFoundThroughTheList) {
    EXPECT_EQ(here("verify --names").code, 0) << here("verify --names").out << here("verify --names").err;
    for (const auto& [from, to] :
         {std::pair("\"deleted\":[\"i4\"", "\"deleted\":[\"i9\""),
          std::pair("\"deleted\":[\"i4\"", "\"deleted\":[\"i5\""), std::pair("\"ids\":[\"i3\"]", "\"ids\":[\"i2\"]")}) {
        archive a;
        a.journals["job-1"] = finished.text;
        a.ledger = ledger.text;
        a.head = ledger.ledger_head();
        std::string& text = a.journals["job-1"];
        text.replace(text.find(from), std::string_view(from).size(), to);
        a.cover_up("job-1");
        write(journals + "/job-1.jsonl", text);
        write(journals + "/ledger.jsonl", a.ledger);
        write(journals + "/ledger.head", *a.head);
        EXPECT_EQ(here("verify").code, 0);
        const ran r = here("verify --names");
        EXPECT_EQ(r.code, 4);
        EXPECT_NE(r.out.find("where the list has"), std::string::npos) << r.out;
    }
    save();
    std::filesystem::remove(spool + "/failed/list.txt");
    EXPECT_EQ(here("verify --names").code, 66) << "no list, no proof";
}

TEST_F(CullctlVerify, AnchorsMustStillBeThere) {
    const std::string first = sha256_of(ledger.text.substr(0, ledger.text.find('\n')));
    EXPECT_EQ(here("verify --anchor " + first).code, 0);
    const ran r = here("verify --anchor " + first + " --anchor " + std::string(64, 'a'));
    EXPECT_EQ(r.code, 4);
    EXPECT_NE(r.out.find("no line has the SHA-256 aaaa"), std::string::npos) << r.out;
    EXPECT_EQ(here("verify --anchor nonsense").code, 64);
}

TEST_F(CullctlVerify, SignaturesAreCheckedWithAPublicKey) {
    const auto shell = [&](const std::string& line) {
        return std::system(fmt::format("cd {} && ({}) >/dev/null 2>&1", root, line).c_str());  // NOLINT
    };
    if (shell("command -v openssl") != 0) GTEST_SKIP() << "no openssl command";
    ASSERT_EQ(shell("openssl genpkey -algorithm ed25519 -out key.pem"), 0);
    ASSERT_EQ(shell("openssl pkey -in key.pem -pubout -out pub.pem"), 0);
    const auto sign = [&](const std::string& text) {
        write(root + "/text", text);
        EXPECT_EQ(shell("openssl pkeyutl -sign -inkey key.pem -rawin -in text -out sig && base64 -w0 sig > sig64"), 0);
        return read(root + "/sig64");
    };
    EXPECT_EQ(here("verify --public-key pub.pem").code, 4);  // nothing is signed
    journal_builder with_sig;
    job_totals totals{
        .ids = 8, .deleted = 5, .absent = 1, .failed = 1, .skipped = 1, .requests = 4, .retries = 2, .throttled = 1};
    std::string counted;
    append_totals(counted, totals);
    const auto line = [&](const std::string& sig) {
        return fmt::format(
            R"("job_id":"job-1","file":"list.txt","status":"completed_with_failures","totals":{},"journal":"job-1.jsonl","head":"{}","records":{},"sig":"{}")",
            counted, hex(finished.head), finished.seq, sig);
    };
    with_sig.add("job.finished", line(sign(hex(finished.head))));
    const auto head = [&](const std::string& sig) {
        return fmt::format("{{\"seq\":0,\"sha256\":\"{}\",\"sig\":\"{}\"}}\n", hex(with_sig.head), sig);
    };
    write(journals + "/ledger.jsonl", with_sig.text);
    write(journals + "/ledger.head", head(sign(hex(with_sig.head))));
    const ran good = here("verify --public-key pub.pem");
    EXPECT_EQ(good.code, 0) << good.out << good.err;
    write(journals + "/ledger.head", head(sign(std::string(64, '0'))));
    EXPECT_EQ(here("verify --public-key pub.pem").code, 4);
    EXPECT_EQ(here("verify --public-key nothing.pem").code, 66);
}

}  // namespace
}  // namespace culld::test
