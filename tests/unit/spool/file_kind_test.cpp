#include "culld/core/spool/file_kind.hpp"

#include <gtest/gtest.h>

namespace culld {
namespace {

TEST(FileKind, IsToldByTheSuffix) {
    struct {
        std::string_view name;
        file_kind kind;
        compression packed;
        std::string_view stem;
    } const cases[] = {
        {"a.json", file_kind::job_json, compression::none, "a"},
        {"a.b.yaml", file_kind::job_yaml, compression::none, "a.b"},
        {"A.YML", file_kind::job_yaml, compression::none, "A"},
        {"list.txt", file_kind::list_txt, compression::none, "list"},
        {"list.txt.gz", file_kind::list_txt, compression::gzip, "list"},
        {"list.csv.zst", file_kind::list_csv, compression::zstd, "list"},
        {"list.jsonl", file_kind::list_jsonl, compression::none, "list"},
        {"list.ndjson.GZ", file_kind::list_jsonl, compression::gzip, "list"},
        {"job.ids", file_kind::sidecar, compression::none, "job"},
        {"job.ids.gz", file_kind::sidecar, compression::gzip, "job"},
        {"job.json.txt", file_kind::list_txt, compression::none, "job.json"},
    };
    for (const auto& c : cases) {
        const file_type type = type_of(c.name);
        EXPECT_EQ(type.kind, c.kind) << c.name;
        EXPECT_EQ(type.packed, c.packed) << c.name;
        EXPECT_EQ(type.stem, c.stem) << c.name;
    }
}

TEST(FileKind, UnfinishedFilesAreLeftAlone) {
    for (const char* name :
         {"", ".", ".hidden.json", "a.json.tmp", "a.json.part", "a.json.filepart", "a.json~", ".a.json.swp", "a.swp"})
        EXPECT_EQ(type_of(name).kind, file_kind::ignored) << name;
}

TEST(FileKind, AnythingElseIsUnknown) {
    for (const char* name : {"a", "a.jso", "a.json.gz", "a.yaml.zst", "a.gz", "a.txt.bz2", "a.txt.gz.gz", "json",
                             "a.json ", "a.idsx", "txt.gz"}) {
        EXPECT_EQ(type_of(name).kind, file_kind::unknown) << name;
        EXPECT_EQ(type_of(name).stem, name);
    }
}

TEST(FileKind, AStemHasAtLeastOneCharacter) {
    EXPECT_EQ(type_of(".json").kind, file_kind::ignored);
}

TEST(FileKind, ASidecarIsNoJobByItself) {
    EXPECT_TRUE(is_job(type_of("a.json").kind));
    EXPECT_TRUE(is_job(type_of("a.csv.gz").kind));
    EXPECT_FALSE(is_job(type_of("a.ids").kind));
    EXPECT_FALSE(is_job(type_of("a.exe").kind));
    EXPECT_FALSE(is_job(type_of("a.tmp").kind));
}

}  // namespace
}  // namespace culld
