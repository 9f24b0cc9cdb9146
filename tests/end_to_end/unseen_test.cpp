// What people cannot see, what was cut, what is no list: rejected with its place, nothing deleted, and cullctl lint
// says the same before anything is dropped.
#include <zstd.h>

#include "programs.hpp"

namespace culld::programs {
namespace {

class Unseen : public Programs {};

constexpr std::string_view id = "0f0e6c1e-6a3b-4f0e-9a51-5d1c5f1f0a01";
constexpr std::string_view id_in_capitals = "0F0E6C1E-6A3B-4F0E-9A51-5D1C5F1F0A01";

std::string zstd_of(const std::string& text) {
    std::string out(::ZSTD_compressBound(text.size()), '\0');
    out.resize(::ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
    return out;
}

TEST_F(Unseen, IsRejectedWithItsPlaceAndLintAgrees) {
    configure({.limits = "requests_per_second: 500, concurrency: 4, max_ids_per_job: 1000"});
    std::string repeated;
    for (int i = 0; i < 3'000'000; ++i) repeated += "again\n";
    struct {
        std::string name, content;
        int line, column;
    } const cases[] = {
        {"dry.yaml", fmt::format("version: 1 # from the export\rdry_run: true\nids: [{}]\n", id), 1, 29},
        {"hidden.txt", fmt::format("# exported\r{}\nb\n", id), 1, 11},
        {"cut.yaml", fmt::format("version: 1\nids: [{}]\nlabels:\n  ticket: \"SEC-12", id), 4, 11},
        {"cut-plain.yaml", fmt::format("version: 1\nids: [{}]\nlabels:\n  ticket: SEC-12", id), 4, 11},
        {"turned.csv", fmt::format("id,title\n{},a\xE2\x80\xAEz\n", id), 2, 39},
        {"nbsp.json", fmt::format("{{\"version\":1,\n\"ids\":[\"{}\xC2\xA0\"]}}", id), 2, 45},
        {"c1.jsonl", fmt::format("\"{}\"\n{{\"id\":\"b\",\"x\":\"\xC2\x9B\"}}\n", id), 2, 16},
        {"blank.txt.zst", zstd_of("a\n" + std::string(std::size_t{200} << 20U, '\n')), 0, 0},
        {"again.txt", repeated, 0, 0},
    };
    for (const auto& c : cases) {
        const std::string path = here_.write(c.name, c.content);
        EXPECT_EQ(ctl({"lint", path, "--json"}, c.name + ".said"), 65) << c.name;
        const json::value said = json::parse(read(c.name + ".said"));
        drop(c.name, c.content);
        EXPECT_EQ(once(), 65) << log();
        ASSERT_TRUE(in("rejected", c.name)) << log();
        const json::value why = reason(c.name);
        EXPECT_EQ(why.at("error"), said.at("error")) << c.name;
        if (c.line == 0) continue;
        EXPECT_EQ(why.at("line"), said.at("line")) << c.name;
        EXPECT_EQ(why.at("column"), said.at("column")) << c.name;
        EXPECT_EQ(why.at("line").to_number<int>(), c.line) << why;
        EXPECT_EQ(why.at("column").to_number<int>(), c.column) << why;
    }
    EXPECT_EQ(truth("delete_requests"), 0);
    EXPECT_EQ(log().find("\xE2\x80\xAE"), std::string::npos);
}

// Protection, repeats and the count hold whatever the letters.
TEST_F(Unseen, AUuidInCapitalsIsTheSameId) {
    here_.write("keep.txt", fmt::format("{}\n", id));
    configure({.more = fmt::format("ids: {{protected_file: {}}}\n", here_.path("keep.txt"))});
    drop("caps.json", fmt::format("{{\"version\":1,\"id\":\"caps\",\"expect_count\":2,\"ids\":[\"{}\",\"{}\",\"b\"]}}",
                                  id_in_capitals, id));
    once();
    const json::object finish = finish_of("caps");
    EXPECT_EQ(finish.at("totals").at("ids").to_number<int>(), 2) << log();
    EXPECT_EQ(finish.at("totals").at("duplicates").to_number<int>(), 1);
    EXPECT_EQ(finish.at("totals").at("skipped").to_number<int>(), 1);
    EXPECT_EQ(server_->truth().at("deleted").as_object().size(), 1U);
    expect_verified();
}

}  // namespace
}  // namespace culld::programs
