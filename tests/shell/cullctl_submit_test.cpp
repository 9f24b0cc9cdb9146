#include "cullctl_runner.hpp"

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
