// Every reader of what people write, and every kind of character that they cannot see: one rule (visible_text).
#include <gtest/gtest.h>

#include <fstream>

#include "culld/core/config/settings_merge.hpp"
#include "culld/core/text/yaml_tree.hpp"
#include "culld/io/ids/intake.hpp"
#include "culld/io/lists/job_reader.hpp"
#include "culld/io/lists/list_reader.hpp"
#include "emulator/faults/scenario.hpp"
#include "support/packed.hpp"
#include "support/scratch.hpp"

namespace culld {
namespace {

struct unseen {
    std::string bytes;
    std::string what;
};
const std::vector<unseen> all_unseen{
    {"\r", "a carriage return (CR) that ends no line"},
    {"\x01", "control character 0x01"},
    {"\x1B", "control character 0x1b"},
    {"\x7F", "control character 0x7f"},
    {"\xC2\x9B", "control character 0x9b"},
    {"\xC2\xA0", "an invisible character, U+00A0 (no-break space)"},
    {"\xC2\xAD", "an invisible character, U+00AD (soft hyphen)"},
    {"\xE2\x80\x8B", "an invisible character, U+200B (zero width space)"},
    {"\xE2\x80\xAE", "an invisible character, U+202E (it turns the direction of the text)"},
    {"\xEF\xBB\xBF", "an invisible character, U+FEFF (a byte order mark that is not at the start)"},
    {"\xA0", "byte 0xa0 is not UTF-8"},
};

// A kind of text that somebody reads; `@` is where something is put.
struct reader {
    std::string name;
    std::vector<std::string> texts;
    result<void> (*read)(const scratch& dir, std::string_view content, compression packed);
};

result<void> as_list(const scratch& dir, std::string_view content, compression packed, file_kind kind) {
    const unique_fd fd = dir.file("read", content);
    byte_source from(fd.get(), "read", packed);
    remembering_sink sink;
    return read_list(from, kind, sink);
}
result<void> as_job(const scratch& dir, std::string_view content, file_kind kind) {
    config settings;
    settings.api.project_id = settings.api.workspace_id = "w";
    const std::array<std::string_view, 1> resources{"incidents"};
    const unique_fd fd = dir.file("read", content);
    byte_source from(fd.get(), "read", compression::none);
    remembering_sink sink;
    job_document document({settings, resources}, sink);
    if (auto spec = read_job(from, kind, document, sink); !spec) return fail(spec.error());
    return {};
}
result<void> as_tree(std::string_view content) {
    auto tree = parse_strict_yaml(content);
    if (!tree) return fail(tree.error().front());
    return {};
}

const std::vector<reader> all_readers{
    {"txt",
     {"a\nb@\n", "# note@ x\na\n", "a # note @ x\nb\n", "@a\n", "a\n@"},
     [](const scratch& d, std::string_view c, compression p) { return as_list(d, c, p, file_kind::list_txt); }},
    {"ids",
     {"a\n# by@ hand\n"},
     [](const scratch& d, std::string_view c, compression p) { return as_list(d, c, p, file_kind::sidecar); }},
    {"csv",
     {"id,t\na,x@y\n", "id,t@\na,b\n", "id,t\na,\"x@y\"\n", "id,t\na@,b\n", "id,t\n\"a@\",b\n", "t,id\n@,a\n"},
     [](const scratch& d, std::string_view c, compression p) { return as_list(d, c, p, file_kind::list_csv); }},
    {"jsonl",
     {"\"a@\"\n", "{\"t\":\"x@y\",\"id\":\"a\"}\n", "\"a\"@ \n", "{\"id@\":\"a\",\"id\":\"a\"}\n"},
     [](const scratch& d, std::string_view c, compression p) { return as_list(d, c, p, file_kind::list_jsonl); }},
    {"json job",
     {"{\"version\":1,@\"ids\":[\"a\"]}", "{\"version\":1,\"ids\":[\"a@\"]}", "{\"version\":1,\"ids\":[@\"a\"]}",
      "{\"version\":1,\"ids\":[\"a\"],\"labels\":{\"t\":\"x@y\"}}", "{\"version\":1,\"ids\":[\"a\"]} @ \n"},
     [](const scratch& d, std::string_view c, compression) { return as_job(d, c, file_kind::job_json); }},
    {"yaml job",
     {"version: 1 # from the export@dry_run: true\nids: [a]\n", "version: 1\nids: [a@, b]\n",
      "version: 1\nids:\n- a@ # x\n", "version: 1\nids: [a]\nlabels: {t: \"x@y\"}\n", "version: 1\nids: [a]\n#@!\n",
      "@ version: 1\nids: [a]\n"},
     [](const scratch& d, std::string_view c, compression) { return as_job(d, c, file_kind::job_yaml); }},
    {"configuration",
     {"api: {region: x} # y@spool: {dir: /z}\n", "log: {level: \"in@fo\"}\n"},
     [](const scratch&, std::string_view c, compression) { return as_tree(c); }},
    {"scenario",
     {"seed: 1 # x@max_ids: 3\n", "language: \"e@n\"\n"},
     [](const scratch&, std::string_view c, compression) -> result<void> {
         if (auto s = emulator::parse_scenario(std::string(c), "f"); !s) return fail(s.error());
         return {};
     }},
    {"protected",
     {"a # keep@ this\nb\n", "a@\nb\n"},
     [](const scratch& d, std::string_view c, compression) -> result<void> {
         static_cast<void>(d.file("kept.txt", c));
         const auto pattern = id_pattern::compile("[A-Za-z0-9_-]{1,100}").value();
         if (auto ids = load_protected_ids(d.path() + "/kept.txt", pattern); !ids) return fail(ids.error());
         return {};
     }},
};

std::string with(std::string_view text, std::string_view put) {
    std::string out(text);
    out.replace(out.find('@'), 1, put);
    return out;
}

TEST(UnseenText, IsAnErrorWithItsPlaceWhereverItIsRead) {
    const scratch dir;
    for (const reader& r : all_readers)
        for (const std::string& text : r.texts) {
            const std::size_t at = text.find('@');
            const auto line = static_cast<std::uint64_t>(
                std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
            const std::size_t start = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
            const std::uint64_t column = start == std::string::npos ? at + 1 : at - start;
            for (const unseen& u : all_unseen) {
                // A CR at a line's end is one, and a byte order mark at the very start.
                if (u.bytes == "\r" && (at + 1 == text.size() || text[at + 1] == '\n')) continue;
                if (u.bytes == "\xEF\xBB\xBF" && at == 0) continue;
                const auto done = r.read(dir, with(text, u.bytes), compression::none);
                ASSERT_FALSE(done) << r.name << ": " << text << " with " << u.what;
                EXPECT_EQ(done.error().what, u.what) << r.name << ": " << text;
                EXPECT_EQ(done.error().line, line + 1) << r.name << ": " << text << " with " << u.what;
                EXPECT_EQ(done.error().column, column) << r.name << ": " << text << " with " << u.what;
            }
        }
}

TEST(UnseenText, IsNamedInPackedListsAndAtTheEdgesOfBlocks) {
    const scratch dir;
    for (const std::size_t before :
         {std::size_t{0}, std::size_t{256} * 1024 - 41, std::size_t{256} * 1024 - 40, std::size_t{256} * 1024 - 39})
        for (const unseen& u : all_unseen) {
            std::string text;
            while (text.size() + 37 <= before) text += uuid(text.size() / 37) + "\n";
            text += "#" + std::string(before - text.size(), '.');
            const std::string content = text + u.bytes + "x\n" + uuid(1) + "\n";
            const auto lines = static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
            const std::uint64_t column = text.size() - (lines == 0 ? 0 : text.rfind('\n') + 1) + 1;
            for (const auto& [packed, kind] : {std::pair{content, compression::none},
                                               {gzipped(content), compression::gzip},
                                               {zstd_frame(content), compression::zstd}}) {
                const auto done = as_list(dir, packed, kind, file_kind::list_txt);
                ASSERT_FALSE(done) << u.what;
                EXPECT_EQ(done.error().what, u.what);
                EXPECT_EQ(done.error().line, lines + 1) << u.what;
                EXPECT_EQ(done.error().column, column) << u.what;
            }
        }
}

// A fault that stands before it is told first, as a person would find them.
TEST(UnseenText, EarlierFaultsComeFirst) {
    const scratch dir;
    const auto done = as_list(dir, "a\nBAD\n# x\ry\n", compression::none, file_kind::list_txt);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().what, "refused");
    EXPECT_EQ(done.error().line, 2U);
}

TEST(UnseenText, WhatAroundAnIdIsTrimmedIsTrimmedInStringsToo) {
    const scratch dir;
    const auto ids_of = [&](std::string_view content, file_kind kind) {
        const unique_fd fd = dir.file("read", content);
        byte_source from(fd.get(), "read", compression::none);
        remembering_sink sink;
        config settings;
        settings.api.project_id = settings.api.workspace_id = "w";
        const std::array<std::string_view, 1> resources{"incidents"};
        job_document document({settings, resources}, sink);
        if (kind == file_kind::job_json || kind == file_kind::job_yaml) {
            const auto spec = read_job(from, kind, document, sink);
            EXPECT_TRUE(spec) << spec.error().text();
        } else {
            const auto done = read_list(from, kind, sink);
            EXPECT_TRUE(done) << done.error().text();
        }
        return sink.ids;
    };
    const std::vector<std::string> both{"a", "b"};
    EXPECT_EQ(ids_of(" a \r\n\tb\r", file_kind::list_txt), both);
    EXPECT_EQ(ids_of("id,t\r\n\" a \",x\r\n b ,y\r\n", file_kind::list_csv), both);
    EXPECT_EQ(ids_of("\" a\\r\"\r\n{\"id\":\"b \"}\r\n", file_kind::list_jsonl), both);
    EXPECT_EQ(ids_of("{\"version\":1,\"ids\":[\" a\",\"b\\r\"]}\r\n", file_kind::job_json), both);
    EXPECT_EQ(ids_of("version: 1\r\nids: [\" a\", \"b\\r\"]\r\n", file_kind::job_yaml), both);
}

// An escape is seen, but what it stands for would reach tables and pages.
TEST(UnseenText, LabelsHoldNoneBehindEscapesEither) {
    const scratch dir;
    const auto json =
        as_job(dir, "{\"version\":1,\"ids\":[\"a\"],\"labels\":{\"t\":\"x\\u202ey\"}}", file_kind::job_json);
    ASSERT_FALSE(json);
    EXPECT_EQ(json.error().field, "labels.t");
    EXPECT_FALSE(as_job(dir, "version: 1\nids: [a]\nlabels: {t: \"x\\e[2Ky\"}\n", file_kind::job_yaml));
    EXPECT_FALSE(as_job(dir, "version: 1\nids: [a]\nlabels: {t: \"x\\_y\"}\n", file_kind::job_yaml));
}

}  // namespace
}  // namespace culld
