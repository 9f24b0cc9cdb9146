// As somebody who wants a deletion to look proven that is not, or a sound folder to look broken: what verify and report
// say of it. Never "ok" or "intact" for what is not; never broken for what a daemon at work leaves.
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "support/archive.hpp"
#include "support/cullctl_runner.hpp"

namespace culld::test {
namespace {

// RFC 8032, 7.1, TEST 1.
constexpr std::string_view our_key =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
constexpr std::string_view our_public_key =
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
    "-----END PUBLIC KEY-----\n";

class Evidence : public CullctlTest {
  public:
    // The table's attacks are no members.
    using CullctlTest::finished, CullctlTest::journals, CullctlTest::root, CullctlTest::write;

    Evidence() : key(signing_key::parse(our_key).value()) {
        prepare();
        write(root + "/ledger.pub", std::string(our_public_key));
        settle();
    }

    // Files of long ago: nobody waits for a daemon to go on with them.
    void settle() const {
        for (const auto& file : std::filesystem::directory_iterator(journals))
            if (file.is_regular_file())
                std::filesystem::last_write_time(file,
                                                 std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
    }
    [[nodiscard]] archive folder_now() const {
        archive a;
        a.journals["job-1"] = finished.text;
        a.journals["job-2"] = open.text;
        a.ledger = ledger.text;
        a.head = ledger.ledger_head();
        return a;
    }
    void put(const archive& a) const {
        for (const auto& [job, text] : a.journals) write(journals + "/" + job + ".jsonl", text);
        write(journals + "/ledger.jsonl", a.ledger);
        if (a.head) write(journals + "/ledger.head", *a.head);
    }
    // The ledger about job-1 and, if `second`, another finished job-3; signed from line `from` on (from 1; 0: never).
    // `said`: a line in front of the second job's says where signing begins.
    void write_signed(std::uint64_t from, bool second = true, bool signed_head = true, bool said = false) {
        chain_writer chain;
        std::string text;
        const wall_time now = parse_rfc3339("2026-11-25T12:00:00Z").value();
        const auto line = [&](std::string_view job, const journal_builder& j, const job_totals& t,
                              std::string_view file, std::string_view status) {
            const std::string journal = journal_name(job), head = hex(j.head);
            const std::string sig = from != 0 && chain.head().seq + 1 >= from ? key.sign(head) : "";
            write_ledger_line(chain, text, now,
                              {.job_id = job,
                               .file = file,
                               .status = status,
                               .totals = &t,
                               .journal = journal,
                               .head = head,
                               .records = j.seq,
                               .sig = sig});
        };
        line("job-1", finished, totals_1, "list.txt", "completed_with_failures");
        if (said) {
            const std::string id = key.public_half().id();
            const std::string sig = key.sign(signed_from_text(chain.head(), 1, id));
            write_signed_from(chain, text, now, {.from = 1, .key = id, .sig = sig});
        }
        if (second) {
            third = journal_builder();
            third.accepted(3, R"("dry_run":false,"verify":"failed")", "job-3")
                .intent(0, 3)
                .result(1, {{0, 3}}, {{0, 3}})
                .finished("completed", totals_3);
            line("job-3", third, totals_3, "job.json", "completed");
            write(journals + "/job-3.jsonl", third.text);
        }
        write(journals + "/ledger.jsonl", text);
        head_text = ledger_head_text(chain.head(), signed_head && from != 0 ? key.sign(hex(chain.head().prev)) : "");
        write(journals + "/ledger.head", head_text);
        settle();
    }

    const job_totals totals_1{
        .ids = 8, .deleted = 5, .absent = 1, .failed = 1, .skipped = 1, .requests = 4, .retries = 2, .throttled = 1};
    const job_totals totals_3{.ids = 3, .deleted = 3, .requests = 1};
    signing_key key;
    journal_builder third;
    std::string head_text;
    const std::string with_key = " --public-key ledger.pub";

    // No way of asking calls it proven.
    void expect_not_proven(const std::string& options = {}, int code = 4, const std::string& job = "job-1") const {
        const ran v = here("verify" + options);
        EXPECT_EQ(v.code, code) << v.out << v.err;
        EXPECT_NE(v.out.find("ok:"), 0U) << v.out;
        EXPECT_EQ(here("verify --json" + options).out.find("\"ok\":true"), std::string::npos);
        const ran r = here("report " + job + options);
        EXPECT_NE(r.code, 0) << r.err;
        EXPECT_EQ(r.out.find("intact"), std::string::npos) << r.out;
        EXPECT_EQ(here("report --json " + job + options).out.find("\"intact\""), std::string::npos);
    }
};

struct attack {
    const char* name;
    std::function<void(Evidence&)> done;
    const char* job = "job-1";
};

class EvidenceAttack : public Evidence, public testing::WithParamInterface<attack> {};

// Without a key. What somebody can make who makes every hash anew is in tamper_test.cpp; here it is what stands in the
// folder, and how it is written.
TEST_P(EvidenceAttack, IsFound) {
    GetParam().done(*this);
    settle();
    expect_not_proven({}, 4, GetParam().job);
}

void replace(const Evidence& e, const std::string& name, const std::function<void(const std::string&)>& with) {
    const std::string path = e.journals + "/" + name;
    std::filesystem::rename(path, e.root + "/true-" + name);
    with(path);
}

const attack attacks[] = {
    {"AnInventedFinishedJournal",
     [](Evidence& e) {
         journal_builder j;
         static_cast<void>(story(j, "job-9", "list.txt"));
         e.write(e.journals + "/job-9.jsonl", j.text);
     },
     "job-9"},
    {"NoLedger",
     [](Evidence& e) {
         std::filesystem::remove(e.journals + "/ledger.jsonl");
         std::filesystem::remove(e.journals + "/ledger.head");
     }},
    {"AnEmptyLedger",
     [](Evidence& e) {
         e.write(e.journals + "/ledger.jsonl", "");
         std::filesystem::remove(e.journals + "/ledger.head");
     }},
    {"NoHead", [](Evidence& e) { std::filesystem::remove(e.journals + "/ledger.head"); }},
    {"AJournalThatIsAFifo",
     [](Evidence& e) {
         replace(e, "job-1.jsonl", [](const std::string& p) { EXPECT_EQ(::mkfifo(p.c_str(), 0666), 0); });
     }},
    {"AJournalThatIsALink",
     [](Evidence& e) {
         replace(e, "job-1.jsonl",
                 [&](const std::string& p) { std::filesystem::create_symlink(e.root + "/true-job-1.jsonl", p); });
     }},
    {"AJournalThatIsAFolder",
     [](Evidence& e) {
         replace(e, "job-1.jsonl", [](const std::string& p) { std::filesystem::create_directory(p); });
     }},
    {"ALedgerThatIsAFifo",
     [](Evidence& e) {
         replace(e, "ledger.jsonl", [](const std::string& p) { EXPECT_EQ(::mkfifo(p.c_str(), 0666), 0); });
     }},
    {"ALedgerThatIsALink",
     [](Evidence& e) {
         replace(e, "ledger.jsonl",
                 [&](const std::string& p) { std::filesystem::create_symlink(e.root + "/true-ledger.jsonl", p); });
     }},
    {"AHeadThatIsALink",
     [](Evidence& e) {
         replace(e, "ledger.head",
                 [&](const std::string& p) { std::filesystem::create_symlink(e.root + "/true-ledger.head", p); });
     }},
    {"AHeadThatIsAFifo",
     [](Evidence& e) {
         replace(e, "ledger.head", [](const std::string& p) { EXPECT_EQ(::mkfifo(p.c_str(), 0666), 0); });
     }},
    {"ALineWithoutEnd",
     [](Evidence& e) { std::filesystem::resize_file(e.journals + "/job-1.jsonl", std::uintmax_t{70} << 20U); }},
    {"ALedgerWithALineWithoutEnd",
     [](Evidence& e) { std::filesystem::resize_file(e.journals + "/ledger.jsonl", std::uintmax_t{70} << 20U); }},
    {"AJournalOfAnotherJob",
     [](Evidence& e) {
         archive a = e.folder_now();
         a.journals["job-1"] = a.journals["job-2"];
         e.put(a);
     }},
    {"LineEndsOfAnotherSystem",
     [](Evidence& e) {
         archive a = e.folder_now();
         auto lines = lines_of(a.journals["job-1"]);
         std::string text;
         digest head{};
         sha256 hash;
         for (std::string line : lines) {
             line.pop_back();
             line.replace(line.rfind("\"prev\":\"") + 8, 64, hex(head));
             line += '\r';
             hash.update(line);
             head = hash.finish();
             text += line + "\n";
         }
         a.journals["job-1"] = text;
         auto of_ledger = lines_of(a.ledger);
         of_ledger[0].replace(of_ledger[0].find("\"head\":\"") + 8, 64, hex(head));
         a.seal(of_ledger);
         e.put(a);
     }},
    {"AnEscapedKeyInTheLedger",
     [](Evidence& e) {
         archive a = e.folder_now();
         auto lines = lines_of(a.ledger);
         lines[0].insert(lines[0].find(",\"records\""), ",\"he\\u0061d\":\"" + std::string(64, 'a') + "\"");
         a.seal(lines);
         e.put(a);
     }},
    {"AnEscapedKeyInTheJournal",
     [](Evidence& e) {
         archive a = e.folder_now();
         auto lines = lines_of(a.journals["job-1"]);
         lines[9].insert(lines[9].find(",\"started_at\""), ",\"st\\u0061tus\":\"completed\"");
         a.journals["job-1"] = joined(lines);
         a.cover_up("job-1");
         e.put(a);
     }},
    {"ATypeOfNobodys",
     [](Evidence& e) {
         archive a = e.folder_now();
         auto lines = lines_of(a.ledger);
         lines[1].replace(lines[1].find("job.rejected"), 12, "job.forgiven");
         a.seal(lines);
         e.put(a);
     }},
    {"ALedgerLineAboutTheLedger",
     [](Evidence& e) {
         archive a = e.folder_now();
         auto lines = lines_of(a.ledger);
         lines.push_back(lines[0]);
         for (const auto& [from, to] : {std::pair("\"job-1\"", "\"ledger\""), {"job-1.jsonl", "ledger.jsonl"}})
             lines[2].replace(lines[2].find(from), std::string_view(from).size(), to);
         a.seal(lines);
         e.put(a);
     }},
    {"ACopyUnderAnotherName", [](Evidence& e) { e.write(e.journals + "/job-7.jsonl", e.finished.text); }, "job-7"},
    {"ACopyInCapitals", [](Evidence& e) { e.write(e.journals + "/JOB-1.jsonl", e.finished.text); }, "JOB-1"},
    {"ANameThatNoJobHas",
     [](Evidence& e) {
         journal_builder j;
         j.accepted(1, R"("dry_run":false,"verify":"failed")", "a b", "x.txt");
         e.write(e.journals + "/a b.jsonl", j.text);
     },
     "'a b'"},
    {"ASecondLedger",
     [](Evidence& e) { std::filesystem::copy_file(e.journals + "/ledger.jsonl", e.journals + "/Ledger.jsonl"); },
     "Ledger"},
};

INSTANTIATE_TEST_SUITE_P(Each, EvidenceAttack, testing::ValuesIn(attacks),
                         [](const auto& param) { return std::string(param.param.name); });

TEST_F(Evidence, NothingToVerifyIsNoSuccess) {
    const std::string empty = root + "/empty";
    std::filesystem::create_directory(empty);
    const auto at = [&](const std::string& folder, const std::string& more = {}) {
        return run("verify --journal-dir " + folder + more);
    };
    EXPECT_EQ(at(empty).code, 66);
    EXPECT_NE(at(empty).err.find("nothing was verified"), std::string::npos);
    EXPECT_EQ(at(empty, " job-1").code, 66);
    EXPECT_EQ(at(empty, with_key).code, 4) << "no ledger where there must be a signed one";
    EXPECT_EQ(at(root + "/none").code, 66);
    EXPECT_EQ(at(spool).code, 66) << "another folder";
    write(empty + "/.lock", "");
    write(empty + "/job-1.jsonl.gz", "x");
    EXPECT_EQ(at(empty).code, 66);
    write(empty + "/ledger.jsonl", "");
    EXPECT_EQ(at(empty).code, 66);
    EXPECT_EQ(at(empty, with_key).code, 66);
    // Only jobs that are open, as on the first day.
    write(empty + "/job-2.jsonl", open.text);
    EXPECT_EQ(at(empty).code, 0);
    EXPECT_NE(at(empty).out.find("no line in the ledger"), std::string::npos) << at(empty).out;
    EXPECT_EQ(at(empty, with_key).code, 66) << "nothing is signed";
    std::filesystem::remove(empty + "/ledger.jsonl");
    EXPECT_EQ(at(empty, with_key).code, 4);
}

TEST_F(Evidence, ItIsSaidWhatWasLookedThrough) {
    EXPECT_NE(here("verify").out.find("2 journals (1 of open jobs)"), std::string::npos);
    EXPECT_NE(here("verify").out.find("ledger lines 1 to 2, 2026-11-25T01:02:00"), std::string::npos);
    EXPECT_NE(here("verify --json").out.find(R"("ledger":{"lines":2,"from":"2026-11-25T)"), std::string::npos);
}

// What is said of another job is not said of this one.
TEST_F(Evidence, AJobIsNamedInFull) {
    for (const char* name :
         {"job", "job-", "j", "JOB-1", "job-11", "job-1.jsonl", "ledger", "../journal/job-1", "''", "list"})
        EXPECT_EQ(here(fmt::format("verify -- {}", name)).code, 66) << name;
    EXPECT_EQ(here("verify job-1").code, 0);
    EXPECT_EQ(here("verify list.txt").code, 0);
    EXPECT_EQ(here("verify job-1 nothing").code, 66);
}

TEST_F(Evidence, WhatIsNotFinishedIsNotCalledIntact) {
    const ran r = here("report job-2");
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(r.out.find("intact"), std::string::npos);
    EXPECT_NE(r.out.find("not over: holds so far"), std::string::npos);
}

TEST_F(Evidence, AMissingJournalIsNoMissingJob) {
    std::filesystem::remove(journals + "/job-1.jsonl");
    EXPECT_EQ(here("report job-1").code, 4);
}

// Copies of finished files, a log rotator's or a person's, are no journals; a daemon's working files neither.
TEST_F(Evidence, WhatDoesNotBelongThereIsLeftAlone) {
    for (const char* name : {"/job-1.jsonl.1", "/job-1.jsonl.gz", "/notes.txt", "/.hidden.jsonl", "/ledger.jsonl.1"})
        write(journals + name, finished.text);
    EXPECT_EQ(here("verify").code, 0) << here("verify").out;
    EXPECT_NE(here("report job-1").out.find("intact"), std::string::npos);
}

TEST_F(Evidence, WithAKeyEveryFinishedJobIsSigned) {
    write_signed(1);
    const ran good = here("verify" + with_key);
    EXPECT_EQ(good.code, 0) << good.out << good.err;
    EXPECT_NE(here("report job-1" + with_key).out.find("intact"), std::string::npos);
    EXPECT_NE(here("report job-1" + with_key).out.find("Ed25519, good"), std::string::npos);
    // Never signed at all.
    write_signed(0);
    expect_not_proven(with_key);
    // The head alone, or all but the head.
    write_signed(1, true, false);
    expect_not_proven(with_key);
    write_signed(2);
    expect_not_proven(with_key);
    // A finished journal beside a signed ledger.
    write_signed(1, false);
    expect_not_proven(with_key, 4, "job-3");
}

TEST_F(Evidence, AnOlderJobIsWholeAndNotCalledIntact) {
    write_signed(2);
    EXPECT_EQ(here("verify --signed-from 2" + with_key).code, 0);
    const ran older = here("report job-1 --signed-from 2" + with_key);
    EXPECT_EQ(older.code, 0) << older.err;
    EXPECT_EQ(older.out.find("intact"), std::string::npos);
    EXPECT_EQ(older.out.find("cannot be trusted"), std::string::npos);
    EXPECT_NE(older.out.find("from before the key"), std::string::npos);
    EXPECT_NE(here("report job-3 --signed-from 2" + with_key).out.find("intact"), std::string::npos);
    EXPECT_EQ(here("report job-3 --signed-from 2 --anchor " + std::string(64, 'a') + with_key).code, 4);
}

// The ledger says itself, in a signed line, that the key came later: nothing more need be given.
TEST_F(Evidence, AKeyThatCameLaterChangesNothing) {
    write_signed(2, true, true, true);
    const ran all = here("verify" + with_key);
    EXPECT_EQ(all.code, 0) << all.out << all.err;
    const ran older = here("report job-1" + with_key), newer = here("report job-3" + with_key);
    EXPECT_EQ(older.code, 0) << older.err;
    EXPECT_EQ(older.out.find("cannot be trusted"), std::string::npos);
    EXPECT_EQ(older.out.find("intact"), std::string::npos);
    EXPECT_EQ(newer.code, 0) << newer.err;
    EXPECT_NE(newer.out.find("intact"), std::string::npos);
    // A finished job behind that line without a signature of its own.
    write_signed(9, true, true, true);
    expect_not_proven(with_key, 4, "job-3");
}

// A daemon ended, or is, between a line and its head: the head lies ready, signed before the line was written.
TEST_F(Evidence, AHeadThatLiesReadyCountsIfItIsSigned) {
    write_signed(1, false);
    const std::string before = head_text;
    write_signed(1);
    write(journals + "/ledger.head", before);
    settle();
    expect_not_proven(with_key, 4, "job-3");
    const std::string ready = journals + "/.ledger.head.new";
    write(ready, head_text);
    EXPECT_EQ(here("verify" + with_key).code, 0) << here("verify" + with_key).out;
    EXPECT_EQ(here("report job-3" + with_key).code, 0);
    for (const std::string& other :
         {before, head_text.substr(0, head_text.find(",\"sig\"")) + "}\n", std::string("{}\n"), std::string()}) {
        write(ready, other);
        EXPECT_EQ(here("verify" + with_key).code, 4) << other;
    }
    write(ready, head_text);
    write(journals + "/ledger.head", "{}\n");
    settle();
    EXPECT_EQ(here("verify" + with_key).code, 4) << "the head that is there is no head";
}

// Between the ledger's line and its head, between a job's last record and the ledger's line, and while a journal is
// being made: what changes in a moment is looked at again.
TEST_F(Evidence, ADaemonAtWorkIsNotCalledBroken) {
    const auto while_verifying = [&](const std::function<void()>& later) {
        std::thread other([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(300));
            later();
        });
        const ran r = here("verify");
        other.join();
        EXPECT_EQ(r.code, 0) << r.out << r.err;
    };
    const std::string head = ledger.ledger_head();
    const std::string first = ledger.text.substr(0, ledger.text.find('\n') + 1);
    const std::string first_head =
        fmt::format("{{\"seq\":0,\"sha256\":\"{}\"}}\n", sha256_of(first.substr(0, first.size() - 1)));
    write(journals + "/ledger.head", first_head);
    while_verifying([&] { write(journals + "/ledger.head", head); });
    // The line, after the job's last record.
    std::filesystem::remove(journals + "/ledger.head");
    write(journals + "/ledger.jsonl", "");
    while_verifying([&] {
        write(journals + "/ledger.jsonl", ledger.text);
        write(journals + "/ledger.head", head);
    });
    // The first record.
    write(journals + "/job-4.jsonl", "");
    journal_builder fresh;
    fresh.accepted(4, R"("dry_run":false,"verify":"failed")", "job-4", "x.txt");
    while_verifying([&] { write(journals + "/job-4.jsonl", fresh.text); });
    write(journals + "/job-4.jsonl", "");
    EXPECT_EQ(here("verify").code, 4) << "it stays empty";
}

// The rest is looked at, and nothing is called ok.
TEST_F(Evidence, AJournalThatCannotBeReadHidesNothing) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs another user";
    std::filesystem::permissions(root, std::filesystem::perms(0755));
    ASSERT_EQ(::chmod((journals + "/job-2.jsonl").c_str(), 0600), 0);
    const auto as_nobody = [&](const std::string& arguments) {
        const std::string line = fmt::format(
            "cd {0} && setpriv --reuid 65534 --regid 65534 --clear-groups {1} {2} "
            "--journal-dir {3} >{0}/out 2>{0}/err",
            root, CULLCTL, arguments, journals);
        const int status = std::system(line.c_str());  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
        return ran{WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(root + "/out"), read(root + "/err")};
    };
    if (as_nobody("--version").code != 0) GTEST_SKIP() << "nobody may not run what was built here";
    const ran some = as_nobody("verify");
    EXPECT_EQ(some.code, 77) << some.out << some.err;
    EXPECT_EQ(some.out.find("ok:"), std::string::npos) << some.out;
    write(journals + "/job-1.jsonl", "x\n");
    EXPECT_EQ(as_nobody("verify").code, 4);
    ASSERT_EQ(::chmod(journals.c_str(), 0700), 0);
    EXPECT_EQ(as_nobody("verify").code, 77);
    ASSERT_EQ(::chmod(journals.c_str(), 0755), 0);
}

}  // namespace
}  // namespace culld::test
