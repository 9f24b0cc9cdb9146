#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "culld/core/text/html_escape.hpp"
#include "support/cullctl_runner.hpp"
#include "support/sanitized.hpp"

namespace culld::test {
namespace {

class CullctlReport : public CullctlTest {
  protected:
    CullctlReport() { prepare(); }

    [[nodiscard]] std::string page(const std::string& job, int code = 0) const {
        const ran r = here("report " + job);
        EXPECT_EQ(r.code, code) << r.err;
        return r.out;
    }
    // What stands between two texts.
    static std::string between(const std::string& text, const std::string& from, const std::string& to) {
        const std::size_t begin = text.find(from);
        if (begin == std::string::npos) return {};
        const std::size_t end = text.find(to, begin + from.size());
        return text.substr(begin + from.size(), end - begin - from.size());
    }
    static bool has(const std::string& text, std::string_view what) { return text.find(what) != std::string::npos; }

    // job-1 with labels, commands and a block of a person's making; hostile in every text.
    void hostile() {
        finished = journal_builder();
        finished
            .add(
                "job.accepted",
                R"("job_id":"job-1","file":"<img src=x>.txt","sha256":"00","bytes":1,"owner":{"uid":0,"gid":4711},"resource":"incidents","project_id":"p","workspace_id":"w","ids":2,"duplicates":0,"options":{"dry_run":false,"verify":"failed"},"labels":{"ticket":"<script>alert(1)</script>"},"culld":"0.1.0","config_sha256":"ab")")
            .intent(0, 2)
            .add("job.paused", R"("by":{"uid":1234567,"pid":42},"reason":"<b>lunch</b>")")
            .add("job.resumed", R"("by":{"uid":0,"pid":43})")
            .add("job.rate", R"("by":{"uid":0,"pid":44},"requests_per_second":2.5)")
            .add("job.blocked", R"("class":"auth","code":"APIGW.0301","detail":"Incorrect <IAM>","help":"renew")")
            .add("job.unblocked", R"("why":"the credentials were renewed")")
            .add("job.recovered", R"("open":[[0,2]],"torn_bytes":17)")
            .result(1, {{0, 2}}, {}, {{0, 1}}, {{1, 1}})
            .add(
                "batch.error",
                R"("batch":9,"attempt":2,"class":"rejected","http_status":400,"code":"SecMaster.20010005","detail":"<no> such id","first":0,"count":2,"at":[[0,2]])")
            .failed({{0, 2}}, "=cmd|' /C calc'!A0");
        const job_totals totals{.ids = 2, .failed = 2, .requests = 2, .retries = 1};
        finished.finished("completed_with_failures", totals);
        ledger = journal_builder();
        ledger.ledger(finished, totals, "completed_with_failures", "job-1", "<img src=x>.txt");
        save();
    }
};

TEST_F(CullctlReport, TellsWhatWasAskedAndWhatBecameOfIt) {
    const std::string out = page("job-1");
    for (const char* what : {"job-1", "list.txt", "completed_with_failures", "Owner of the file", "Failed, by reason",
                             "refused", "Skipped, by reason", "protected", "throttled"})
        EXPECT_TRUE(has(out, what)) << what;
    EXPECT_TRUE(has(out, "</html>"));
    EXPECT_TRUE(has(out, "<b>8</b><span>ids asked for")) << "the totals";
    EXPECT_TRUE(has(out, sha256_of("i0\ni1\ni2\ni3\ni4\ni5\ni6\ni7\n"))) << "the source's hash";
}

TEST_F(CullctlReport, NamesEveryFailedIdWithItsReasonAndAllItsRequests) {
    const std::string out = page("job-1");
    const std::string row = between(out, "<td class=\"mono\">i3</td>", "</tr>");
    EXPECT_TRUE(has(row, "refused")) << row;
    EXPECT_TRUE(has(row, "r-5 r-6")) << row << " both answers about it";
    EXPECT_FALSE(has(out, "<td class=\"mono\">i1</td>")) << "it was absent in the end";
}

// What a browser may do with it is nothing but show it.
TEST_F(CullctlReport, IsOnePageThatNeedsAndAllowsNothingFromOutside) {
    const std::string out = page("job-1");
    const std::string policy = between(out, "Content-Security-Policy\" content=\"", "\"");
    EXPECT_TRUE(policy.starts_with("default-src 'none'; style-src 'sha256-")) << policy;
    EXPECT_TRUE(has(policy, csp_hash(between(out, "<style>", "</style>")))) << "the style that stands there";
    for (const char* what : {"<script", " style=", "src=", "href=", "http://", "https://", "@import", "url(", " on"})
        EXPECT_FALSE(has(between(out, "<body>", "</body>"), what) && std::string_view(what) != " on") << what;
    EXPECT_FALSE(has(out, "url(")) << "in the style either";
    EXPECT_TRUE(has(out, "@media print"));
    EXPECT_TRUE(has(out, "prefers-color-scheme:dark"));
}

TEST_F(CullctlReport, TextsFromOutsideAreNeverMarkup) {
    hostile();
    const std::string out = page("job-1");
    for (const char* what : {"<script>alert", "<img src=x>", "<b>lunch", "<IAM>", "<no> such"})
        EXPECT_FALSE(has(out, what)) << what;
    EXPECT_TRUE(has(out, "&lt;script&gt;alert(1)&lt;/script&gt;"));
}

TEST_F(CullctlReport, ShowsWhatPeopleDidWithTheirUid) {
    hostile();
    const std::string out = page("job-1");
    EXPECT_TRUE(has(out, "uid 1234567, pid 42")) << out;
    EXPECT_TRUE(has(out, "uid 0 (root on this host), pid 43"));
    EXPECT_TRUE(has(out, "rate set to 2.5 requests a second"));
    EXPECT_TRUE(has(out, "blocked: auth"));
    EXPECT_TRUE(has(out, "17 torn bytes"));
    EXPECT_TRUE(has(out, "gid 4711"));
    EXPECT_TRUE(has(out, "SecMaster.20010005: &lt;no&gt; such id")) << "what the API said about the id";
}

TEST_F(CullctlReport, ABrokenJournalIsReportedAndSaidToBeBroken) {
    std::string text = finished.text;
    text[text.find("\"count\":7") + 8] = '6';
    write(journals + "/job-1.jsonl", text);
    const ran r = here("report job-1");
    EXPECT_EQ(r.code, 4);
    EXPECT_TRUE(has(r.out, "This journal cannot be trusted"));
    EXPECT_TRUE(has(r.out, "job-1.jsonl:4"));
    EXPECT_TRUE(has(r.out, "</html>"));
    EXPECT_TRUE(has(r.err, "job-1.jsonl:4")) << r.err;
}

TEST_F(CullctlReport, AJournalThatTheLedgerContradictsIsBroken) {
    ledger = journal_builder();
    ledger.ledger(finished, {.ids = 8, .deleted = 8}, "completed", "job-1", "list.txt");
    save();
    EXPECT_EQ(here("report job-1").code, 4);
}

TEST_F(CullctlReport, AnOpenJobHasAReportToo) {
    const std::string out = page("job-2");
    EXPECT_TRUE(has(out, "not finished: running"));
    EXPECT_TRUE(has(out, "<b>3</b><span>without a verdict"));
    EXPECT_TRUE(has(out, "has no line about the job"));
}

TEST_F(CullctlReport, TheSignatureIsCheckedWithAKey) {
    const std::string keys = fmt::format(
        "cd {} && openssl genpkey -algorithm ed25519 -out a.pem 2>/dev/null && openssl pkey -in a.pem -pubout -out a.pub && "
        "openssl genpkey -algorithm ed25519 -out b.pem 2>/dev/null && openssl pkey -in b.pem -pubout -out b.pub && "
        "printf %s {} >head && openssl pkeyutl -sign -inkey a.pem -rawin -in head -out sig && base64 -w0 sig >sig64",
        root, hex(finished.head));
    ASSERT_EQ(std::system(keys.c_str()), 0);  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
    std::string totals;
    append_totals(
        totals,
        {.ids = 8, .deleted = 5, .absent = 1, .failed = 1, .skipped = 1, .requests = 4, .retries = 2, .throttled = 1});
    ledger = journal_builder();
    ledger.add(
        "job.finished",
        fmt::format(
            R"("job_id":"job-1","file":"list.txt","status":"completed_with_failures","totals":{},"journal":"job-1.jsonl","head":"{}","records":{},"sig":"{}")",
            totals, hex(finished.head), finished.seq, read(root + "/sig64")));
    save();
    const std::string sign_head = fmt::format(
        "cd {} && printf %s {} >head && openssl pkeyutl -sign -inkey a.pem -rawin -in head -out sig && base64 -w0 sig >sig64",
        root, hex(ledger.head));
    ASSERT_EQ(std::system(sign_head.c_str()), 0);  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
    write(journals + "/ledger.head", fmt::format("{{\"seq\":{},\"sha256\":\"{}\",\"sig\":\"{}\"}}\n", ledger.seq - 1,
                                                 hex(ledger.head), read(root + "/sig64")));
    EXPECT_TRUE(has(page("job-1"), "not checked: no public key"));
    EXPECT_TRUE(has(page("job-1 --public-key a.pub"), "Ed25519, good"));
    EXPECT_TRUE(has(page("job-1 --public-key b.pub", 4), "NOT the key"));
    // The page says how to do it by hand; it must be true.
    const std::string out = page("job-1");
    std::string commands;
    for (std::size_t at = out.find("<pre>"); at != std::string::npos; at = out.find("<pre>", at + 1))
        commands += between(out.substr(at), "<pre>", "</pre>") + "\n";
    for (const auto& [from, to] : {std::pair("&gt;", ">"), {"&lt;", "<"}, {"&quot;", "\""}, {"&#39;", "'"}})
        for (std::size_t at = commands.find(from); at != std::string::npos; at = commands.find(from))
            commands.replace(at, std::string_view(from).size(), to);
    write(root + "/by-hand.sh", commands);
    if (std::system("command -v jq >/dev/null") != 0)  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
        GTEST_SKIP() << "no jq";
    static_cast<void>(std::system(  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
        fmt::format("cd {} && cp a.pub journal/ledger.pub && cd journal && sh ../by-hand.sh >../by-hand.out 2>&1", root)
            .c_str()));
    const std::string said = read(root + "/by-hand.out");
    std::size_t heads = 0;
    for (std::size_t at = said.find(hex(finished.head)); at != std::string::npos;
         at = said.find(hex(finished.head), at + 1))
        ++heads;
    EXPECT_EQ(heads, 3U) << "of the file, of the ledger, of the chain walked link by link: " << said;
    EXPECT_TRUE(has(said, "Signature Verified Successfully")) << said;
}

TEST_F(CullctlReport, GoesToAFileWholeOrNotAtAll) {
    write(root + "/r.html", "old");
    const ran r = here("report job-1 -o r.html");
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(r.out, "");
    EXPECT_TRUE(has(read(root + "/r.html"), "</html>"));
    EXPECT_TRUE(has(r.err, "wrote r.html"));
    EXPECT_EQ(here("report job-1 -o no/such/r.html").code, 74);
    EXPECT_EQ(here("report nothing -o n.html").code, 66);
    std::size_t left = 0;
    for (const auto& entry : std::filesystem::directory_iterator(root))
        if (has(entry.path().filename().string(), "cullctl")) ++left;
    EXPECT_EQ(left, 0U) << "half-written files";
    // What a link stands for is written to, and the link stays: think of /dev/stdout.
    std::filesystem::create_symlink(root + "/r.html", root + "/link");
    write(root + "/r.html", "old");
    EXPECT_EQ(here("report job-1 -o link").code, 0);
    EXPECT_TRUE(std::filesystem::is_symlink(root + "/link"));
    EXPECT_TRUE(has(read(root + "/r.html"), "</html>"));
}

// A name of a submitter's making, in commands that an auditor pastes: a word, and nothing that runs.
TEST_F(CullctlReport, CommandsInNamesAreOnlyNames) {
    for (const std::string name : {"$(touch hit).txt", "`touch hit`.txt", "a; touch hit; .txt", "it's; touch hit #.txt",
                                   "-x $(touch hit)", "a\n touch hit\n.txt", "> hit", "a' && touch hit && '"}) {
        finished = journal_builder();
        std::string in_json;
        append_json_string(in_json, name);
        in_json = in_json.substr(1, in_json.size() - 2);
        const job_totals totals = story(finished, "job-1", in_json);
        ledger = journal_builder();
        ledger.ledger(finished, totals, "completed_with_failures", "job-1", in_json);
        save();
        const std::string out = page("job-1");
        std::string commands;
        for (std::size_t at = out.find("<pre>"); at != std::string::npos; at = out.find("<pre>", at + 1))
            commands += between(out.substr(at), "<pre>", "</pre>") + "\n";
        for (const auto& [from, to] :
             {std::pair("&gt;", ">"), {"&lt;", "<"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}})
            for (std::size_t at = commands.find(from); at != std::string::npos; at = commands.find(from, at + 1))
                commands.replace(at, std::string_view(from).size(), to);
        write(root + "/by-hand.sh", commands);
        for (const char* shell : {"sh", "bash"})
            static_cast<void>(std::system(  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
                fmt::format("cd {} && {} ../by-hand.sh >/dev/null 2>&1", journals, shell).c_str()));
        EXPECT_FALSE(std::filesystem::exists(journals + "/hit")) << name << "\n" << commands;
    }
}

// As root, beside somebody who waits for it: what they put in the way is not followed, filled or waited for.
TEST_F(CullctlReport, NeverWritesWhereAnotherUsersLinkLeads) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs two users";
    const std::string victim = root + "/victim", shared = root + "/shared", theirs = root + "/theirs";
    std::filesystem::create_directory(shared);
    std::filesystem::create_directory(theirs);
    ASSERT_EQ(::chmod(shared.c_str(), 01777), 0);
    ASSERT_EQ(::chown(theirs.c_str(), 4711, 4711), 0);
    const auto refused = [&](const std::string& name) {
        write(victim, "precious");
        const ran r = here("report job-1 -o " + name);
        EXPECT_EQ(r.code, 77) << name << r.err;
        EXPECT_TRUE(has(r.err, "another user")) << r.err;
        EXPECT_EQ(read(victim), "precious") << name;
    };
    for (const std::string& in : {shared, theirs}) {
        std::filesystem::create_symlink(victim, in + "/r.html");
        ASSERT_EQ(::lchown((in + "/r.html").c_str(), 4711, 4711), 0);
        refused(in + "/r.html");
        std::filesystem::create_symlink(root, in + "/folder");
        ASSERT_EQ(::lchown((in + "/folder").c_str(), 4711, 4711), 0);
        refused(in + "/folder/victim");
        // A link of ours that leads through one of theirs.
        std::filesystem::create_symlink(in + "/r.html", in + "/ours.html");
        refused(in + "/ours.html");
        ASSERT_EQ(::mkfifo((in + "/fifo").c_str(), 0666), 0);
        ASSERT_EQ(::chown((in + "/fifo").c_str(), 4711, 4711), 0);
        refused(in + "/fifo");
    }
    write(shared + "/file.html", "theirs");
    ASSERT_EQ(::chown((shared + "/file.html").c_str(), 4711, 4711), 0);
    refused(shared + "/file.html");
    EXPECT_EQ(read(shared + "/file.html"), "theirs");
    // A new name is ours, in whatever folder.
    EXPECT_EQ(here("report job-1 -o " + shared + "/new.html").code, 0);
    EXPECT_TRUE(has(read(shared + "/new.html"), "</html>"));
    for (const std::string& in : {shared, theirs})
        for (const auto& entry : std::filesystem::directory_iterator(in))
            EXPECT_FALSE(has(entry.path().filename().string(), ".tmp")) << entry.path();
}

TEST_F(CullctlReport, GoesWhereTheShellPointsIt) {
    for (const char* name : {"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "-"})
        EXPECT_TRUE(has(here(fmt::format("report job-1 -o {}", name)).out, "</html>")) << name;
    EXPECT_EQ(here("report job-1 -o /dev/null").code, 0);
    EXPECT_EQ(here("report job-1 -o .").code, 74);
    EXPECT_EQ(here("report job-1 -o new/").code, 74);
    EXPECT_EQ(here("report job-1 -o ./sub/../r.html").code, 74) << "there is no folder sub";
    std::filesystem::create_directory(root + "/sub");
    EXPECT_EQ(here("report job-1 -o ./sub/../r.html").code, 0);
    EXPECT_TRUE(has(read(root + "/r.html"), "</html>"));
    std::filesystem::create_symlink("loop", root + "/loop");
    EXPECT_EQ(here("report job-1 -o loop").code, 74);
}

TEST_F(CullctlReport, HasTheSameFactsAsJson) {
    hostile();
    const ran r = here("report job-1 --json");
    ASSERT_EQ(r.code, 0) << r.err;
    const auto o = boost::json::parse(r.out);
    EXPECT_EQ(o.at("totals").at("failed"), 2);
    EXPECT_EQ(o.at("asked").at("owner").at("gid"), 4711);
    EXPECT_EQ(o.at("asked").at("labels").at("ticket"), "<script>alert(1)</script>");
    EXPECT_EQ(o.at("verification").at("ok"), true);
    EXPECT_EQ(o.at("events").as_array().size(), 6U);
    EXPECT_EQ(o.at("events").at(0).at("by").at("uid"), 1234567);
    EXPECT_EQ(o.at("failed").as_array().size(), 2U);
    EXPECT_EQ(o.at("failed").at(1).at("id"), "i1");
    EXPECT_EQ(o.at("failed").at(1).at("request_ids").at(0), "r-8");
}

// The tables that people open in a spreadsheet.
TEST_F(CullctlReport, NoFieldOfTheCsvIsAFormula) {
    hostile();
    const ran r = here("result job-1 --csv");
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_TRUE(has(r.out, ",'=cmd|' /C calc'!A0,")) << r.out;
}

// Memory in KiB at the peak of `report`, of a job whose ids all fail.
long peak_of(const std::string& root, std::uint64_t ids) {
    const std::string journal = root + "/big";
    std::filesystem::create_directory(journal);
    {
        journal_builder j;
        std::ofstream out(journal + "/big.jsonl", std::ios::binary);
        const auto flush = [&] {
            out << j.text;
            j.text.clear();
        };
        j.accepted(ids, R"("dry_run":false,"verify":"failed")", "big", "big.txt").intent(0, ids);
        for (std::uint64_t at = 0; at < ids; at += 500) {
            j.result(1, {{at, 500}}, {}, {{at, 500}}).failed({{at, 500}});
            flush();
        }
        const std::uint64_t requests = ids / 500;
        const job_totals totals{.ids = ids, .failed = ids, .requests = requests};
        j.finished("completed_with_failures", totals);
        flush();
        journal_builder ledger;
        ledger.ledger(j, totals, "completed_with_failures", "big", "big.txt");
        std::ofstream(journal + "/ledger.jsonl", std::ios::binary) << ledger.text;
        std::ofstream(journal + "/ledger.head", std::ios::binary) << ledger.ledger_head();
    }
    const pid_t child = ::fork();
    if (child == 0) {
        ::execl(CULLCTL, CULLCTL, "report", "big", "--journal-dir", journal.c_str(), "-o", (root + "/big.html").c_str(),
                "-q", static_cast<char*>(nullptr));
        ::_exit(127);
    }
    int status = 0;
    rusage used{};
    EXPECT_EQ(::wait4(child, &status, 0, &used), child);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_GT(std::filesystem::file_size(root + "/big.html"), ids * 50);
    std::filesystem::remove_all(journal);
    return used.ru_maxrss;
}

TEST_F(CullctlReport, CostsNoMoreMemoryForALongerJob) {
    if (sanitized) GTEST_SKIP() << "the sanitizer keeps what was freed";
    const long small = peak_of(root, 5'000), large = peak_of(root, 100'000);
    EXPECT_LT(large - small, 6 * 1024) << small << " KiB, " << large << " KiB";
}

}  // namespace
}  // namespace culld::test
