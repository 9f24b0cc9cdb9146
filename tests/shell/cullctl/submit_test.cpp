#include "support/cullctl_runner.hpp"

namespace culld::test {
namespace {

using CullctlSubmit = CullctlTest;

constexpr const char* good_job =
    R"({"version":1,"project_id":"p","workspace_id":"w","ids":["a","b","a"],"labels":{"ticket":"S-1"}})";

TEST_F(CullctlSubmit, AJobIsCheckedAndDropped) {
    write(root + "/job.json", good_job);
    const ran r = here("submit job.json");
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(r.out, "job.json\n");
    EXPECT_EQ(read(spool + "/incoming/job.json"), good_job);
    EXPECT_TRUE(std::filesystem::is_empty(spool + "/tmp"));
    EXPECT_NE(r.err.find("(2 ids)"), std::string::npos) << r.err;
}

TEST_F(CullctlSubmit, ATakenNameGetsANumber) {
    write(root + "/list.txt", "a\n");
    write(spool + "/incoming/list.txt", "waiting");
    EXPECT_EQ(here("submit list.txt").out, "list.1.txt\n");
    EXPECT_EQ(read(spool + "/incoming/list.txt"), "waiting");
}

TEST_F(CullctlSubmit, ABadJobStaysOutside) {
    write(root + "/job.json", "{\"version\":1,\n \"idss\":[\"a\"]}");
    const ran r = here("submit job.json");
    EXPECT_EQ(r.code, 65);
    EXPECT_NE(r.err.find("job.json:2:"), std::string::npos) << r.err;
    EXPECT_TRUE(std::filesystem::is_empty(spool + "/incoming"));
    EXPECT_TRUE(std::filesystem::is_empty(spool + "/tmp"));
}

TEST_F(CullctlSubmit, ASidecarGoesAlong) {
    write(root + "/job.yaml", "version: 1\nproject_id: p\nworkspace_id: w\nids_file: big.ids\n");
    EXPECT_EQ(here("submit job.yaml").code, 65);
    write(root + "/big.ids", "a\nb\n");
    const ran r = here("submit " + root + "/job.yaml");
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(read(spool + "/incoming/big.ids"), "a\nb\n");
    EXPECT_TRUE(std::filesystem::exists(spool + "/incoming/job.yaml"));
    EXPECT_EQ(here("submit job.yaml").code, 75) << "the list of that name still waits";
    EXPECT_EQ(here("submit big.ids").code, 65);
}

TEST_F(CullctlSubmit, StandardInputIsAList) {
    write(root + "/piped", "a\nb\n");
    const ran r = here("submit - --name today.txt", root + "/piped");
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(read(spool + "/incoming/today.txt"), "a\nb\n");
    EXPECT_EQ(here("submit - --name ../x.txt", root + "/piped").code, 64);
}

TEST_F(CullctlSubmit, FilesThatAreNotThereOrNoJobs) {
    EXPECT_EQ(here("submit nothing.json").code, 66);
    write(root + "/notes.doc", "x");
    EXPECT_EQ(here("submit notes.doc").code, 65);
    write(root + "/list.txt", "a\n");
    EXPECT_EQ(run("submit list.txt --spool /nonexistent --journal-dir " + journals).code, 66);
    ASSERT_EQ(::mkfifo((root + "/fifo.txt").c_str(), 0600), 0);
    EXPECT_EQ(here("submit fifo.txt").code, 65);
}

TEST_F(CullctlSubmit, WaitFollowsTheJobToItsEnd) {
    write(root + "/list.txt", "i0\ni1\ni2\ni3\ni4\ni5\ni6\ni7\n");
    // The daemon's part, played by the shell: as soon as the file is there, its journal and ledger line are.
    journal_builder j, l;
    j.minute = l.minute = "2099-11-25T01:02";  // newer than any submission
    const job_totals totals = story(j, "job-9", "list.txt");
    l.ledger(j, totals, "completed_with_failures", "job-9", "list.txt");
    write(root + "/j", j.text);
    write(root + "/l", l.text);
    write(root + "/h", l.ledger_head());
    const std::string daemon = fmt::format(
        "(while [ ! -e {0}/incoming/list.txt ]; do sleep 0.05; done; mv {0}/incoming/list.txt {0}/failed/; "
        "mv {1}/j {2}/job-9.jsonl; "
        "mv {1}/l {2}/ledger.jsonl; mv {1}/h {2}/ledger.head) &",
        spool, root, journals);
    ASSERT_EQ(std::system(daemon.c_str()), 0);  // NOLINT
    EXPECT_EQ(here("submit --wait list.txt").code, 1);
}

TEST_F(CullctlSubmit, AListWithSettingsBecomesAJobAndItsSidecar) {
    write(root + "/list.txt", "a\nb\n");
    const std::string flags =
        " --dry-run --id weekly --workspace w1 --label ticket=S-1 --label by=alice --batch-size 7 --priority 2";
    const ran r = here("submit list.txt" + flags);
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(r.out, "list.json\n");
    const std::string job = read(spool + "/incoming/list.json");
    for (const char* part : {R"("id":"weekly")", R"("workspace_id":"w1")", R"("dry_run":true)", R"("batch_size":7)",
                             R"("priority":2)", R"("labels":{"by":"alice","ticket":"S-1"})"})
        EXPECT_NE(job.find(part), std::string::npos) << job;
    const std::size_t at = job.find("list-");
    const std::string sidecar = job.substr(at, job.find('"', at) - at);
    EXPECT_EQ(read(spool + "/incoming/" + sidecar), "a\nb\n");
    EXPECT_TRUE(std::filesystem::is_empty(spool + "/tmp"));
    EXPECT_EQ(here("lint " + spool + "/incoming/list.json").code, 0);
    // What the daemon would refuse is refused here.
    EXPECT_EQ(here("submit list.txt --batch-size 1000").code, 65);
    EXPECT_EQ(here("submit list.txt --id=-x").code, 65);
    EXPECT_EQ(here("submit list.txt --label nothing").code, 64);
    write(root + "/job.json", good_job);
    EXPECT_EQ(here("submit job.json --dry-run").code, 64) << "it says for itself";
}

TEST_F(CullctlSubmit, ACsvWithSettingsBecomesAPlainList) {
    write(root + "/list.csv", "name,id\nx,a\ny,b\n");
    ASSERT_EQ(here("submit list.csv --priority 1").code, 0);
    for (const auto& entry : std::filesystem::directory_iterator(spool + "/incoming")) {
        if (entry.path().extension() == ".ids") {
            EXPECT_EQ(read(entry.path().string()), "a\nb\n");
        }
    }
    write(root + "/bad.csv", "name,id\nx,a!\n");
    const ran bad = here("submit bad.csv --priority 1");
    EXPECT_EQ(bad.code, 65);
    EXPECT_NE(bad.err.find("bad.csv"), std::string::npos) << bad.err;
}

TEST_F(CullctlSubmit, AUsedIdIsSaidBeforeAnythingIsDropped) {
    prepare();
    write(root + "/job.json", R"({"version":1,"id":"job-1","project_id":"p","workspace_id":"w","ids":["a"]})");
    for (const char* words : {"submit job.json", "submit --confirm 1 job.json"}) {
        const ran r = here(words);
        EXPECT_EQ(r.code, 65) << r.err;
        EXPECT_NE(r.err.find("was accepted before"), std::string::npos) << r.err;
    }
    EXPECT_TRUE(std::filesystem::is_empty(spool + "/incoming"));
    EXPECT_TRUE(std::filesystem::is_empty(spool + "/tmp"));
}

TEST_F(CullctlSubmit, ADaemonThatIsNotThereIsSaid) {
    write(root + "/list.txt", "a\n");
    const ran r = here("submit list.txt --socket " + root + "/none");
    EXPECT_EQ(r.code, 0);
    EXPECT_LT(r.err.find("no daemon answers"), r.err.find("submitted")) << r.err;
}

using CullctlLint = CullctlTest;

TEST_F(CullctlLint, GoodFilesAreCounted) {
    write(root + "/list.txt", "a\nb\na\n");
    const ran r = here("lint list.txt --json");
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_NE(r.out.find(R"("ok":true)"), std::string::npos) << r.out;
    EXPECT_NE(r.out.find(R"("ids":2,"duplicates":1)"), std::string::npos) << r.out;
    EXPECT_TRUE(std::filesystem::is_empty(spool + "/incoming"));
}

TEST_F(CullctlLint, ErrorsHaveLineAndColumn) {
    write(root + "/list.txt", "a\nb!\n");
    const ran r = here("lint list.txt");
    EXPECT_EQ(r.code, 65);
    EXPECT_NE(r.out.find("list.txt:2:"), std::string::npos) << r.out;
    EXPECT_EQ(here("lint nothing.txt").code, 66);
}

}  // namespace
}  // namespace culld::test
