// The emulator's pure rooms.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cctype>
#include <cstdio>
#include <filesystem>

#include "culld/io/os/file.hpp"
#include "emulator/api/batch_body.hpp"
#include "emulator/api/incidents.hpp"
#include "emulator/api/search.hpp"
#include "emulator/auth/signature_check.hpp"
#include "emulator/exchange/arrival_clock.hpp"
#include "emulator/exchange/request_log.hpp"
#include "emulator/faults/faults.hpp"
#include "emulator/faults/scenario.hpp"
#include "support/scratch.hpp"

namespace culld::emulator {
namespace {

namespace json = boost::json;
using outcome = signature_verdict::outcome;

std::string text_of(const json::value& v) {
    return v.is_string() ? std::string(v.get_string()) : json::serialize(v);
}

// As a client puts it on the wire.
std::string percent(std::string_view text, std::string_view kept) {
    std::string out;
    for (const char c : text) {
        std::array<char, 4> escaped{};
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 || kept.find(c) != std::string_view::npos) {
            out.push_back(c);
        } else {
            std::snprintf(escaped.data(), escaped.size(), "%%%02x", static_cast<unsigned char>(c));
            out += escaped.data();
        }
    }
    return out;
}

struct vector_case {
    std::string name, method, target, body, canonical;
    key_pair keys;
    std::vector<std::pair<std::string, std::string>> headers;
    wall_time at;

    [[nodiscard]] signature_verdict check(nanoseconds late = nanoseconds(0)) const {
        std::vector<header> views;
        for (const auto& [n, v] : headers) views.push_back({n, v});
        return check_signature({method, target, views, body}, keys,
                               std::chrono::time_point_cast<std::chrono::microseconds>(at + late));
    }
};

std::vector<vector_case> load_vectors() {
    const auto text = read_small_file(CULLD_TEST_DATA "/signing_vectors.json", 1 << 20);
    const json::value document = json::parse(text.value());
    std::vector<vector_case> all;
    json::array listed = document.at("vectors").as_array();
    for (const json::value& v : document.at("official_vectors").as_array()) listed.push_back(v);
    for (const json::value& v : listed) {
        if (text_of(v.at("algorithm")) != "SDK-HMAC-SHA256") continue;
        vector_case c;
        c.name = text_of(v.at("name"));
        c.method = text_of(v.at("method"));
        c.target = percent(text_of(v.at("path")), "/-._~");
        char separator = '?';
        for (const auto& [name, value] : v.at("query").as_object()) {
            c.target += separator + percent(std::string(name), "-._~") + "=" + percent(text_of(value), "-._~");
            separator = '&';
        }
        c.body = text_of(v.at("body"));
        c.keys = {text_of(v.at("ak")), text_of(v.at("sk"))};
        c.canonical = text_of(v.at("canonical_request"));
        for (const auto& [name, value] : v.at("headers").as_object()) c.headers.emplace_back(name, text_of(value));
        c.headers.emplace_back("Authorization", text_of(v.at("authorization")));
        const std::string date = text_of(v.at("x_sdk_date"));
        c.at = parse_rfc3339(date.substr(0, 4) + "-" + date.substr(4, 2) + "-" + date.substr(6, 5) + ":" +
                             date.substr(11, 2) + ":" + date.substr(13))
                   .value();
        all.push_back(std::move(c));
    }
    return all;
}

TEST(SignatureCheck, AcceptsWhatTheOfficialSdksSign) {
    const auto all = load_vectors();
    ASSERT_GE(all.size(), 20U);
    for (const vector_case& c : all) {
        const signature_verdict v = c.check();
        EXPECT_EQ(v.what, outcome::good) << c.name << "\nours:\n" << v.canonical << "\ntheirs:\n" << c.canonical;
    }
}

TEST(SignatureCheck, AChangedBodyIsWrongAndTellsTheCanonicalRequest) {
    for (vector_case c : load_vectors()) {
        if (c.name == "unsigned-payload") continue;
        c.body += " ";
        const signature_verdict v = c.check();
        EXPECT_EQ(v.what, outcome::wrong) << c.name;
        EXPECT_TRUE(v.canonical.starts_with(c.method + "\n/")) << v.canonical;
    }
}

TEST(SignatureCheck, FifteenMinutesAreTheLimitBothWays) {
    const vector_case c = load_vectors().front();
    EXPECT_EQ(c.check(std::chrono::minutes(15)).what, outcome::good);
    EXPECT_EQ(c.check(std::chrono::minutes(-15)).what, outcome::good);
    EXPECT_EQ(c.check(std::chrono::seconds(901)).what, outcome::expired);
    EXPECT_EQ(c.check(std::chrono::seconds(-901)).what, outcome::expired);
}

TEST(SignatureCheck, TellsItsReasonsApart) {
    vector_case c = load_vectors().front();
    c.keys.sk += "x";
    EXPECT_EQ(c.check().what, outcome::wrong);
    c.keys.ak += "x";
    EXPECT_EQ(c.check().what, outcome::unknown_key);
    c.headers.back().second = "SDK-HMAC-SHA256 Access=a, SignedHeaders=host, Signature=0";
    EXPECT_EQ(c.check().what, outcome::malformed) << "the date must be signed";
    c.headers.pop_back();
    EXPECT_EQ(c.check().what, outcome::no_signature);
}

TEST(BatchBody, IsReadInPlaceWithoutCopies) {
    const std::string body = R"({"batch_ids" : [ "a", "b-2","c" ] })";
    batch_body out;
    ASSERT_TRUE(read_batch(body, out));
    EXPECT_EQ(out.ids, (std::vector<std::string_view>{"a", "b-2", "c"}));
    EXPECT_EQ(out.verbatim, R"("a", "b-2","c")");
    EXPECT_TRUE(out.unescaped.empty());
}

TEST(BatchBody, TakesEveryFormTheServiceTakes) {
    const std::vector<std::pair<std::string, std::vector<std::string_view>>> cases{
        {R"({"batch_ids":[]})", {}},          {R"({})", {}},
        {R"({"batch_ids":"one"})", {"one"}},  {R"({"other":[1],"batch_ids":["a"]})", {"a"}},
        {"{\"batch_ids\":\n[\"a\"]}", {"a"}}, {R"({"batch_ids":["\u00e9","x\"y"]})", {"é", "x\"y"}},
        {R"({"batch_ids":["é"]})", {"é"}},
    };
    batch_body out;
    for (const auto& [body, ids] : cases) {
        EXPECT_TRUE(read_batch(body, out)) << body;
        EXPECT_EQ(out.ids, ids) << body;
    }
}

TEST(BatchBody, RefusesWhatIsNoListOfStrings) {
    batch_body out;
    for (const std::string body : {"", "[]", "{", R"({"batch_ids":["a",]})", R"({"batch_ids":["a"]}x)",
                                   R"({"batch_ids":[1]})", R"({"batch_ids":null})", R"({"batch_ids":["a" "b"]})",
                                   "{\"batch_ids\":[\"a\x01\"]}", "{\"batch_ids\":[\"\xff\"]}"})
        EXPECT_FALSE(read_batch(body, out)) << body;
}

TEST(Arrivals, TheBusiestWindowIsExact) {
    rc::check("as counted the slow way", [] {
        const auto gaps = *rc::gen::container<std::vector<std::uint8_t>>(rc::gen::inRange<std::uint8_t>(0, 20));
        const auto width = *rc::gen::inRange<std::int64_t>(1, 60);
        arrival_clock all;
        std::vector<std::int64_t> times;
        std::int64_t now = 0;
        for (const std::uint8_t gap : gaps) {
            times.push_back(now += gap);
            all.add(steady_time(nanoseconds(now)));
        }
        std::uint64_t most = 0;
        for (std::int64_t begin = 0; begin <= now; ++begin)
            most = std::max(most,
                            static_cast<std::uint64_t>(std::count_if(times.begin(), times.end(), [&](std::int64_t t) {
                                return t >= begin && t < begin + width;
                            })));
        const auto found = all.busiest(nanoseconds(width));
        RC_ASSERT(found.most == most);
        RC_ASSERT(found.total == times.size());
    });
}

TEST(Arrivals, AFullListSaysSo) {
    arrival_clock all(2);
    for (int i = 0; i < 3; ++i) all.add(steady_time(nanoseconds(i)));
    const auto found = all.busiest(nanoseconds(10));
    EXPECT_EQ(found.most, 2U);
    EXPECT_EQ(found.total, 3U);
    EXPECT_FALSE(found.complete);
    EXPECT_EQ(found.last, steady_time(nanoseconds(2)));
}

TEST(Incidents, EachIsDeletedOnceAndEveryFurtherTryIsCounted) {
    incidents all(1'000'000);
    for (int round = 0; round < 2; ++round)
        for (int i = 0; i < 5000; ++i) {
            const std::string id = "id-" + std::to_string(i);
            ASSERT_EQ(all.remove(incidents::key_of(id), id), round == 0) << id;
        }
    EXPECT_EQ(all.deleted_distinct(), 5000U);
    EXPECT_EQ(all.deleted_more_than_once(), 5000U);
    EXPECT_EQ(all.deletions(), 5000U);
    EXPECT_EQ(all.at(4321).id, "id-4321");
    EXPECT_EQ(all.at(4321).deletions, 2U);
}

TEST(Incidents, PastTheCapNothingNewIsKeptAndItSaysSo) {
    incidents all(1);
    EXPECT_TRUE(all.remove(incidents::key_of("a"), "a"));
    EXPECT_TRUE(all.tracking());
    EXPECT_TRUE(all.remove(incidents::key_of("b"), "b"));
    EXPECT_FALSE(all.tracking());
    EXPECT_FALSE(all.exists(incidents::key_of("a")));
    EXPECT_TRUE(all.exists(incidents::key_of("b")));
    EXPECT_EQ(all.deletions(), 2U);
}

TEST(Scenario, ErrorsNameTheirPlaceAndTheNearestKey) {
    const auto wrong = [](const std::string& text) { return parse_scenario(text, "s.yaml").error().text(); };
    EXPECT_EQ(wrong("seed: 1\nfail_ration: 0.1\n"),
              "s.yaml:2:1: unknown setting \"fail_ration\" (did you mean \"fail_ratio\"?)");
    EXPECT_EQ(wrong("throttle:\n  limt: 3\n"),
              "s.yaml:2:3: unknown setting \"throttle.limt\" (did you mean \"limit\"?)");
    EXPECT_EQ(wrong("fail_ratio: 1.5"), "s.yaml:1:13: fail_ratio must be 0 to 1, not \"1.5\"");
    EXPECT_TRUE(wrong("seed: 1\nseed: 2").starts_with("s.yaml:2:1: duplicate key \"seed\""));
    EXPECT_TRUE(wrong("fail_ids: [a]\nlanguage: \"zh\n").starts_with("s.yaml:2:11: no valid YAML: the quote"));
    EXPECT_TRUE(wrong("fail_ids: &all [a]\npoison_ids: *all\n").starts_with("s.yaml:1:11: anchor"));
    EXPECT_TRUE(wrong("latency: 20").starts_with("s.yaml:1:10: latency: \"20\" is not a duration"));
    EXPECT_TRUE(wrong("throttle: {per: 1500ms}").find("whole seconds") != std::string::npos);
    EXPECT_TRUE(wrong("outages: [{kind: refuse, for_requests: 3}]").find("for_seconds") != std::string::npos);
    EXPECT_TRUE(wrong("a: [").starts_with("s.yaml:"));
}

// "# key: …", "# key:", or an item of a list below one.
bool is_commented_setting(const std::string& line) {
    const auto end = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", 2);
    return line.starts_with("#   - ") ||
           (line.starts_with("# ") && end != std::string::npos && end > 2 && line[end] == ':');
}

TEST(Scenario, TheShippedExampleIsValid) {
    const auto text = read_small_file(CULLD_TEST_DATA "/../../../config/emulator-scenario.yaml", 1 << 20);
    ASSERT_TRUE(text);
    const auto parsed = parse_scenario(*text, "emulator-scenario.yaml");
    ASSERT_TRUE(parsed) << parsed.error().text();
    EXPECT_EQ(parsed->throttle->limit, 10U);
    // And so it is with every commented key taken in.
    std::string all;
    for (std::size_t at = 0; at < text->size();) {
        std::string line = text->substr(at, text->find('\n', at) - at);
        at += line.size() + 1;
        if (is_commented_setting(line)) line.erase(0, 2);
        all += line + "\n";
    }
    const auto whole = parse_scenario(all, "all.yaml");
    ASSERT_TRUE(whole) << whole.error().text() << "\n" << all;
    EXPECT_EQ(whole->outages.size(), 2U);
    EXPECT_TRUE(whole->iam);
}

TEST(Faults, RepeatWithTheSeedAndKeepTheirRatio) {
    scenario rules;
    rules.fail_ratio = 0.1;
    scenario other_rules = rules;
    other_rules.seed = 2;
    faults one(rules), two(rules), other(other_rules);
    int struck = 0, differs = 0;
    for (std::uint64_t i = 0; i < 10'000; ++i) {
        const std::string id = std::to_string(i);
        const bool first = one.refuses(i / 100, id);
        struck += first ? 1 : 0;
        differs += other.refuses(i / 100, id) != first ? 1 : 0;
        ASSERT_EQ(first, two.refuses(i / 100, id));
        ASSERT_FALSE(one.hides(i / 100, id)) << "a ratio of 0 never strikes";
    }
    EXPECT_NEAR(struck, 1000, 150);
    EXPECT_GT(differs, 1000);
}

TEST(Faults, AnOutageBeginsAfterItsRequestAndEnds) {
    scenario rules;
    rules.outages = {{.after_requests = 2, .for_requests = 2, .kind = outage::kind_type::reset},
                     {.after_requests = 5, .for_time = std::chrono::seconds(1), .kind = outage::kind_type::hang}};
    faults all(rules);
    std::string seen;
    const auto at = [&](std::uint64_t number, int millis) {
        const outage* o = all.outage_at(number, steady_time(milliseconds(millis)));
        seen.push_back(o == nullptr ? '.' : o->kind == outage::kind_type::reset ? 'r' : 'h');
    };
    for (std::uint64_t n = 1; n <= 5; ++n) at(n, 0);
    at(6, 100), at(7, 1099), at(8, 1100);
    EXPECT_EQ(seen, "..rr.hh.");
}

TEST(EmulatedSearch, TimesAreReadInEveryFormTheApiTakes) {
    const auto utc = [](std::string_view text) {
        const auto t = read_api_time(text);
        return t ? rfc3339(*t) : "none";
    };
    EXPECT_EQ(utc("2023-02-20T10:00:00.000Z"), "2023-02-20T10:00:00.000000Z");
    EXPECT_EQ(utc("2024-01-20T10:00:00.000Z+0800"), "2024-01-20T02:00:00.000000Z");
    EXPECT_EQ(utc("2021-01-30T23:00:00Z-0130"), "2021-01-31T00:30:00.000000Z");
    EXPECT_EQ(utc("2024-01-20T10:00:00+08:00"), "2024-01-20T02:00:00.000000Z");
    EXPECT_EQ(utc("2024-01-20T10:00:00.5"), "2024-01-20T02:00:00.500000Z") << "without a zone: UTC+8";
    for (const char* bad :
         {"", "2024", "yesterday", "2024-01-20T10:00:00Z+8", "2024-01-20T10:00:00Z+080000", "2024-13-20T10:00:00Z"})
        EXPECT_EQ(utc(bad), "none") << bad;
    const incident one = incident::of(dice(1), "an-id");
    EXPECT_EQ(read_api_time(incident::written(one.created)), one.created);
    EXPECT_LE(one.created, one.updated);
}

// Whoever may write in the folder could have put it there, to have a file overwritten that is none of theirs.
TEST(RequestLog, WritesToNoFileThatAnotherNameLeadsTo) {
    const scratch here;
    const auto at = [&](const std::string& name) { return here.path() + "/" + name; };
    static_cast<void>(here.file("precious", "kept"));
    std::filesystem::create_symlink(at("precious"), at("link"));
    std::filesystem::create_symlink(at("nothing"), at("dangling"));
    std::filesystem::create_hard_link(at("precious"), at("hard"));
    ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
    for (const char* name : {"link", "dangling", "hard", "fifo", "."})
        EXPECT_FALSE(request_log::open(at(name))) << name;
    EXPECT_FALSE(std::filesystem::exists(at("nothing")));
    EXPECT_TRUE(request_log::open(at("log")));
    EXPECT_EQ(std::filesystem::status(at("log")).permissions() & std::filesystem::perms::others_all,
              std::filesystem::perms::none);
}

}  // namespace
}  // namespace culld::emulator
