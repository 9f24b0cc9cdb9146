#include <algorithm>
#include <sstream>
#include <vector>

#include "support/cullctl_runner.hpp"

namespace culld::test {
namespace {

class CullctlResult : public CullctlTest {
  protected:
    CullctlResult() { prepare(); }

    static std::vector<std::string> sorted_lines(const std::string& text) {
        std::vector<std::string> out;
        std::istringstream in(text);
        for (std::string line; std::getline(in, line);) out.push_back(line);
        std::sort(out.begin(), out.end());
        return out;
    }
};

TEST_F(CullctlResult, OneRowAnId) {
    const ran r = here("result job-1 --csv");
    EXPECT_EQ(r.code, 0) << r.err;
    const auto lines = sorted_lines(r.out);
    ASSERT_EQ(lines.size(), 9U) << r.out;
    EXPECT_EQ(lines[0], "i0,deleted,,1,200,r-5,2026-11-25T01:02:05.000000Z");
    EXPECT_EQ(lines[1], "i1,absent,get,2,200,r-6,2026-11-25T01:02:07.000000Z");
    EXPECT_EQ(lines[3], "i3,failed,refused,2,200,r-6,2026-11-25T01:02:08.000000Z");
    EXPECT_EQ(lines[7], "i7,skipped,protected,0,,,2026-11-25T01:02:01.000000Z");
    EXPECT_EQ(lines[8], "id,verdict,reason,attempts,http_status,request_id,at");
}

TEST_F(CullctlResult, FilteredIdsAreAListAgain) {
    EXPECT_EQ(here("result job-1 --only failed --ids").out, "i3\n");
    EXPECT_EQ(here("result job-1 --only absent --ids").out, "i1\n");
    EXPECT_EQ(here("result job-1 --only skipped --ids").out, "i7\n");
    EXPECT_EQ(sorted_lines(here("result job-1 --only deleted --ids").out),
              (std::vector<std::string>{"i0", "i2", "i4", "i5", "i6"}));
    EXPECT_EQ(here("result job-1 --only remaining --ids").out, "");
}

TEST_F(CullctlResult, RemainingAreThoseWithoutAVerdict) {
    const ran r = here("result job-2 --only remaining --ids");
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(r.out, "i1\ni2\ni3\n");
    EXPECT_EQ(sorted_lines(here("result job-2 --ids").out), (std::vector<std::string>{"i0", "i1", "i2", "i3"}));
}

TEST_F(CullctlResult, JsonIsALineAnId) {
    const ran r = here("result job-1 --only failed --json");
    EXPECT_EQ(
        r.out,
        R"({"id":"i3","verdict":"failed","reason":"refused","attempts":2,"http_status":200,"request_id":"r-6","at":"2026-11-25T01:02:08.000000Z"})"
        "\n");
}

TEST_F(CullctlResult, AnotherFileOfThatNameIsNotTaken) {
    write(spool + "/active/open.txt", "x0\nx1\nx2\nx3\n");
    const ran r = here("result job-2 --only remaining --ids");
    EXPECT_EQ(r.code, 66);
    EXPECT_EQ(r.out, "");
    EXPECT_NE(r.err.find("not in the spool any more"), std::string::npos) << r.err;
}

TEST_F(CullctlResult, AFileThatGotANumberIsFoundByItsHash) {
    std::filesystem::rename(spool + "/active/open.txt", spool + "/done/open.1.txt");
    write(spool + "/done/open.txt", "other\n");
    EXPECT_EQ(here("result job-2 --only remaining --ids").out, "i1\ni2\ni3\n");
}

TEST_F(CullctlResult, AChangedJournalIsNotBelieved) {
    std::string text = finished.text;
    text[text.find("\"count\":7") + 8] = '6';
    write(journals + "/job-1.jsonl", text);
    EXPECT_EQ(here("result job-1 --csv").code, 4);
}

TEST_F(CullctlResult, FormulasAreDefused) {
    journal_builder named;
    named.accepted(1, R"("dry_run":false,"verify":"failed")", "evil")
        .intent(0, 1)
        .add(
            "batch.result",
            R"("batch":0,"attempt":1,"http_status":200,"code":"","request_ids":["=cmd|' /C calc'!A0,\"x\""],"ms":1,"deleted":["-a"],"failed":[],"unknown":[],"at":[[0,1]])");
    write(journals + "/evil.jsonl", named.text);
    const ran r = here("result evil --csv");
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_NE(r.out.find("\n-a,deleted,,1,200,\"'=cmd|' /C calc'!A0,\"\"x\"\"\","), std::string::npos) << r.out;
}

TEST_F(CullctlResult, NothingIsLeftBehind) {
    ASSERT_EQ(here("result job-2 --only remaining --ids").code, 0);
    for (const auto& entry : std::filesystem::directory_iterator(root))
        EXPECT_FALSE(entry.path().filename().string().starts_with("cullctl-")) << entry.path();
}

}  // namespace
}  // namespace culld::test
