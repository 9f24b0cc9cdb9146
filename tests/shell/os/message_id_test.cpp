// The message catalogue, the table of ids and the events in the sources say the same.
#include "culld/io/os/message_id.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "culld/io/os/log.hpp"
#include "support/loop_fixture.hpp"

namespace culld {
namespace {

struct entry {
    std::map<std::string, std::string> header;
    std::string text;
};

std::string text_of(const std::filesystem::path& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
}
const std::string catalogue_file = std::string(CULLD_SOURCE) + "/systemd/culld.catalog";

// As journald reads it: an entry begins with `-- ` and an id, then headers, an empty line, and text.
std::map<std::string, entry> catalogue() {
    std::map<std::string, entry> out;
    std::ifstream in(catalogue_file);
    entry* now = nullptr;
    bool headers = false;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("#")) continue;
        if (line.starts_with("-- ")) {
            const auto [at, fresh] = out.try_emplace(line.substr(3));
            EXPECT_TRUE(fresh) << line << " comes twice";
            now = &at->second;
            headers = true;
        } else if (now == nullptr) {
            EXPECT_EQ(line, "");
        } else if (line.empty() && headers) {
            headers = false;
        } else if (headers) {
            const std::size_t colon = line.find(": ");
            EXPECT_NE(colon, std::string::npos) << line;
            now->header[line.substr(0, colon)] = line.substr(colon + 2);
        } else {
            now->text += line + "\n";
        }
    }
    return out;
}

// Every call of log() in the sources: event, and the call's text up to its end.
std::multimap<std::string, std::string> calls() {
    std::multimap<std::string, std::string> out;
    const std::regex call("\\blog(?:_always|_entry_of)?\\([^\"]*log_level::[a-z]+[^\"]*, \"([a-z._]+)\"");
    for (const auto& file : std::filesystem::recursive_directory_iterator(std::string(CULLD_SOURCE) + "/daemon")) {
        if (file.path().extension() != ".cpp") continue;
        const std::string text = text_of(file.path());
        for (std::sregex_iterator it(text.begin(), text.end(), call), end; it != end; ++it) {
            const auto at = static_cast<std::size_t>(it->position());
            out.emplace((*it)[1], text.substr(at, text.find(";\n", at) - at));
        }
    }
    return out;
}

TEST(MessageIds, AreIdsOfTheirOwn) {
    std::set<std::string_view> ids, events;
    for (const message_id& m : message_ids()) {
        EXPECT_TRUE(std::regex_match(std::string(m.id), std::regex("[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}")))
            << m.id;
        EXPECT_TRUE(ids.insert(m.id).second) << m.id;
        EXPECT_TRUE(events.insert(m.event).second) << m.event;
        EXPECT_EQ(message_id_of(m.event), m.id);
    }
    EXPECT_EQ(message_id_of("job.accepted"), "");
}

TEST(MessageIds, AreInTheCatalogueAndNoOthers) {
    std::set<std::string> known, documented;
    for (const message_id& m : message_ids()) known.emplace(m.id);
    for (const auto& [id, e] : catalogue()) documented.insert(id);
    EXPECT_EQ(known, documented);
}

TEST(MessageIds, AreOfEventsThatAreLogged) {
    const auto all = calls();
    EXPECT_GE(all.size(), 60U) << "the pattern finds too few";
    for (const message_id& m : message_ids()) EXPECT_TRUE(all.contains(std::string(m.event))) << m.event;
}

TEST(MessageIds, GoToTheJournal) {
    const auto fields = journald_fields(log_level::error, "job.blocked", "x", {});
    EXPECT_THAT(fields, testing::Contains("MESSAGE_ID=6cfd7ad557a448548e171f4cd2495056"));
    for (const std::string& f : journald_fields(log_level::info, "job.accepted", "x", {}))
        EXPECT_FALSE(f.starts_with("MESSAGE_ID=")) << f;
}

TEST(Catalogue, EntriesSayWhatToDo) {
    for (const auto& [id, e] : catalogue()) {
        ASSERT_TRUE(e.header.contains("Subject")) << id;
        EXPECT_EQ(e.header.at("Defined-By"), "culld") << id;
        EXPECT_GE(e.text.size(), 25U) << id;
        std::istringstream pages(e.header.at("Documentation"));
        for (std::string page; pages >> page;) {
            std::smatch parts;
            ASSERT_TRUE(std::regex_match(page, parts, std::regex("man:([a-z.-]+)\\(([1-8])\\)"))) << page;
            EXPECT_TRUE(
                std::filesystem::exists(fmt::format("{}/docs/man/{}.{}", CULLD_SOURCE, parts.str(1), parts.str(2))))
                << page;
        }
    }
}

// A placeholder whose field is missing would stay as it stands.
TEST(Catalogue, PlaceholdersAreFieldsOfEachCall) {
    const auto entries = catalogue();
    const auto all = calls();
    const std::regex placeholder("@([A-Z0-9_]+)@");
    for (const message_id& m : message_ids()) {
        const entry& e = entries.at(std::string(m.id));
        const std::string text = e.header.at("Subject") + "\n" + e.text;
        for (std::sregex_iterator it(text.begin(), text.end(), placeholder), end; it != end; ++it) {
            const std::string name = (*it)[1];
            ASSERT_TRUE(name.starts_with("CULLD_")) << name;
            std::string field = name.substr(6);
            for (char& c : field) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
            const auto [from, to] = all.equal_range(std::string(m.event));
            for (auto call = from; call != to; ++call)
                EXPECT_NE(call->second.find("{\"" + field + "\""), std::string::npos)
                    << m.event << " has no " << field << ": " << call->second;
        }
    }
}

TEST(Catalogue, IsWhatSystemdTakesItFor) {
    if (std::system("command -v journalctl >/dev/null") != 0) GTEST_SKIP() << "systemd is not installed";
    const scratch_folder root;
    std::filesystem::create_directories(root.path("usr/lib/systemd/catalog"));
    std::filesystem::create_directories(root.path("var/lib/systemd/catalog"));
    std::filesystem::copy_file(catalogue_file, root.path("usr/lib/systemd/catalog/culld.catalog"));
    const auto journalctl = [&](const std::string& words) {
        return std::system(
            fmt::format("journalctl --root={} {} >{} 2>{}", root.path(), words, root.path("out"), root.path("err"))
                .c_str());
    };
    ASSERT_EQ(journalctl("--update-catalog"), 0) << text_of(root.path("err"));
    EXPECT_EQ(text_of(root.path("err")), "");
    ASSERT_EQ(journalctl("--list-catalog"), 0) << text_of(root.path("err"));
    std::map<std::string, std::string> listed;
    std::istringstream lines(text_of(root.path("out")));
    for (std::string line; std::getline(lines, line);) listed[line.substr(0, 32)] = line.substr(33);
    std::map<std::string, std::string> wanted;
    for (const auto& [id, e] : catalogue()) wanted[id] = "culld: " + e.header.at("Subject");
    EXPECT_EQ(listed, wanted);
}

}  // namespace
}  // namespace culld
