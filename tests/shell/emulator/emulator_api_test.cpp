// cull-emulator as its clients meet it: the binary, over loopback.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <chrono>

#include "culld/core/base/sha256.hpp"
#include "culld/core/base/time.hpp"
#include "support/emulator_support.hpp"

namespace culld::emulator_test {
namespace {

using testing::HasSubstr;

std::string data_of(const answer& a) {
    return boost::json::serialize(a.json().at("data"));
}

TEST(Emulator, DeletesOnceAndRefusesWhatIsGone) {
    emulator e;
    const answer first = e.remove(R"("a","b")");
    EXPECT_EQ(first.status, 200);
    EXPECT_EQ(first.body,
              R"({"code":"00000000","message":"Success.","data":{"success_ids":["a","b"],"error_ids":[]}})");
    EXPECT_THAT(first.head, testing::ContainsRegex("X-Request-Id: [0-9a-f]{32}\r\n"));
    EXPECT_EQ(data_of(e.call("DELETE", workspace + "incidents", R"({"batch_ids":["c","a"]})")),
              R"({"success_ids":["c"],"error_ids":["a"]})");
    const answer gone = e.call("GET", workspace + "incidents/a");
    EXPECT_EQ(gone.status, 400);
    EXPECT_EQ(gone.json().at("code"), "SecMaster.20030005");
    EXPECT_EQ(e.call("GET", workspace + "incidents/z").json().at("data").at("id"), "z");

    const auto told = e.truth();
    const auto printed = e.end();
    EXPECT_EQ(printed.at("deleted"), json(R"({"a":2,"b":1,"c":1})"));
    EXPECT_EQ(told.at("deleted"), printed.at("deleted"));
    EXPECT_EQ(printed.at("deleted_distinct"), 3);
    EXPECT_EQ(printed.at("double_deleted"), 1);
    EXPECT_EQ(printed.at("delete_requests"), 2);
    EXPECT_EQ(printed.at("get_requests"), 2);
    EXPECT_EQ(printed.at("max_ids_in_a_request"), 2);
    EXPECT_EQ(printed.at("requests").at("by_status"), json(R"({"200":4,"400":1})"));
}

TEST(Emulator, WithAListOnlyItsIdsExist) {
    const scratch folder;
    emulator e({"--ids", folder.write("ids", "# those\na\r\n\n b \n")});
    EXPECT_EQ(data_of(e.remove(R"("a","x")")), R"({"success_ids":["a"],"error_ids":["x"]})");
    const auto found = e.call("POST", workspace + "incidents/search", R"({"limit":10,"offset":0})").json();
    EXPECT_EQ(found.at("total"), 1);
    EXPECT_EQ(found.at("data").at(0).at("data_object").at("id"), "b");
    EXPECT_EQ(e.end().at("deleted"), json(R"({"a":1})"));
}

TEST(Emulator, RefusesBodiesAndPathsItDoesNotKnow) {
    emulator e;
    EXPECT_EQ(e.call("POST", batch_delete, "{").json().at("code"), "SecMaster.20030001");
    EXPECT_EQ(e.remove("\"" + std::string(101, 'x') + "\"").status, 400);
    std::string thousand = "\"0\"";
    for (int i = 1; i < 1000; ++i) thousand += ",\"" + std::to_string(i) + "\"";
    EXPECT_EQ(e.remove(thousand).status, 400);
    EXPECT_EQ(e.call("POST", workspace + "indicators/batch-delete", "{}").json().at("error_code"), "APIGW.0101");
    EXPECT_EQ(e.call("GET", "/").status, 404);
    EXPECT_EQ(e.end().at("deletions"), 0);
}

TEST(Emulator, OnlyTheProjectAndWorkspaceThatWereAskedForFirstExist) {
    emulator e;
    const std::string other_workspace = "/v1/p1/workspaces/w2/soc/incidents/batch-delete";
    const std::string other_project = "/v1/p2/workspaces/w1/soc/incidents/batch-delete";
    EXPECT_EQ(e.remove(R"("a")").status, 200);
    const answer workspace_refused = e.call("POST", other_workspace, R"({"batch_ids":["b"]})");
    EXPECT_EQ(workspace_refused.status, 403);
    EXPECT_EQ(workspace_refused.json().at("code"), "SecMaster.20010001");
    const answer project_refused = e.call("POST", other_project, R"({"batch_ids":["b"]})");
    EXPECT_EQ(project_refused.status, 400);
    EXPECT_EQ(project_refused.json().at("code"), "SecMaster.20041003");
    EXPECT_EQ(e.call("GET", "/v1/p1/workspaces/w2/soc/incidents/z").status, 403);
    EXPECT_EQ(e.call("POST", "/v1/p1/workspaces/w2/soc/incidents/search", "{}").status, 403);
    EXPECT_EQ(e.end().at("deleted"), json(R"({"a":1})"));
}

TEST(Emulator, TheScenarioMayNameProjectsAndWorkspaces) {
    const scratch folder;
    emulator e({"--scenario", folder.write("s.yaml", "projects: [p1]\nworkspaces: [w1, w2]\n")});
    EXPECT_EQ(e.call("POST", "/v1/px/workspaces/w1/soc/incidents/batch-delete", R"({"batch_ids":["a"]})").status, 400);
    EXPECT_EQ(e.call("POST", "/v1/p1/workspaces/w3/soc/incidents/batch-delete", R"({"batch_ids":["a"]})").status, 403);
    EXPECT_EQ(e.call("POST", "/v1/p1/workspaces/w2/soc/incidents/batch-delete", R"({"batch_ids":["a"]})").status, 200);
    EXPECT_EQ(e.remove(R"("b")").status, 200);
}

TEST(Emulator, ABodyThatIsCalledSomethingElseIsRefused) {
    emulator e;
    for (const char* type : {"application/x-www-form-urlencoded", "text/plain", "application/jsonx", ""})
        EXPECT_EQ(e.remove(R"("a")", "Content-Type: " + std::string(type) + "\r\n").status, 415) << type;
    EXPECT_EQ(e.remove(R"("a")", "Content-Type: application/json;charset=latin1\r\n").status, 415);
    EXPECT_EQ(e.remove(R"("a")", "Content-Type: application/json\r\nContent-Type: text/plain\r\n").status, 415);
    client bare(e.port());
    bare.send("POST " + batch_delete + " HTTP/1.1\r\nHost: e\r\nContent-Length: 19\r\n\r\n{\"batch_ids\":[\"a\"]}");
    EXPECT_EQ(bare.receive().status, 415) << "called nothing";
    for (const char* type : {"application/json", "application/json;charset=UTF-8", "Application/JSON ; charset=utf8"})
        EXPECT_EQ(e.remove(R"("a")", "Content-Type: " + std::string(type) + "\r\n").status, 200) << type;
}

TEST(Emulator, ResourcesAreApartWithoutAListToo) {
    emulator e;
    EXPECT_EQ(e.call("DELETE", workspace + "alerts", R"({"batch_ids":["a"]})").status, 200);
    EXPECT_EQ(e.call("GET", workspace + "alerts/a").json().at("code"), "SecMaster.20030005");
    EXPECT_EQ(e.call("GET", workspace + "incidents/a").json().at("code"), "00000000");
    EXPECT_NE(e.remove(R"("a")").body.find("\"success_ids\":[\"a\"]"), std::string::npos);
}

TEST(Emulator, AnotherResourceHasNoneOfTheListsIds) {
    const scratch folder;
    emulator e({"--ids", folder.write("ids", "a\nb\n")});
    EXPECT_EQ(data_of(e.call("DELETE", workspace + "alerts", R"({"batch_ids":["a"]})")),
              R"({"success_ids":[],"error_ids":["a"]})");
    EXPECT_EQ(e.call("GET", workspace + "alerts/a").json().at("code"), "SecMaster.20030005");
    EXPECT_EQ(e.call("POST", workspace + "alerts/search", "{}").json().at("total"), 0);
    EXPECT_EQ(e.call("GET", workspace + "incidents/a").status, 200);
    EXPECT_EQ(data_of(e.remove(R"("a")")), R"({"success_ids":["a"],"error_ids":[]})");
    EXPECT_EQ(e.end().at("deleted"), json(R"({"a":1})"));
}

TEST(Emulator, SearchHonoursConditionsDatesOrderAndPaging) {
    emulator e;
    const auto find = [&](const std::string& body) {
        return e.call("POST", workspace + "incidents/search", body).json();
    };
    const auto total = [&](const std::string& body) { return find(body).at("total").to_number<int>(); };
    const std::string high = R"({"name":"a","data":["severity","=","High"]})";
    const std::string open = R"({"name":"b","data":["handle_status","=","Open"]})";
    const auto with = [](const std::string& conditions, const std::string& logics) {
        return R"({"condition":{"conditions":[)" + conditions + R"(],"logics":[)" + logics + "]}}";
    };
    const int highs = total(with(high, R"("a")")), opens = total(with(open, R"("b")"));
    const int both = total(with(high + "," + open, R"("a","and","b")"));
    EXPECT_EQ(total("{}"), 1000);
    EXPECT_GT(highs, 100);
    EXPECT_LT(highs, 400);
    EXPECT_GT(both, 0);
    EXPECT_EQ(total(with(high + "," + open, "")), both);
    EXPECT_EQ(total(with(high + "," + open, R"("a","or","b")")), highs + opens - both);
    EXPECT_EQ(total(with(R"({"name":"c","data":["severity","in","Tips,Low,Medium,Fatal"]})", R"("c")")), 1000 - highs);
    EXPECT_EQ(total(with(R"({"name":"c","data":["severity","!=","High"]})", R"("c")")), 1000 - highs);
    EXPECT_EQ(total(with(R"({"name":"c","data":["title","contains","sign-in"]})", R"("c")")) +
                  total(with(R"({"name":"c","data":["title","in","Port scan,Weak password,Brute force"]})", R"("c")")),
              1000);

    // Pages follow one another without a gap, oldest first or latest first.
    std::vector<std::string> times, back;
    for (int offset = 0; offset < 1000; offset += 300) {
        const auto page = find(R"({"limit":300,"order":"ASC","offset":)" + std::to_string(offset) + "}");
        for (const auto& one : page.at("data").as_array()) times.emplace_back(one.at("create_time").as_string());
    }
    const auto whole = find(R"({"limit":1000})");
    for (const auto& one : whole.at("data").as_array()) back.emplace_back(one.at("create_time").as_string());
    EXPECT_EQ(times.size(), 1000U);
    EXPECT_TRUE(std::ranges::is_sorted(times));
    std::ranges::reverse(back);
    EXPECT_EQ(times, back);
    EXPECT_EQ(find(R"({"offset":9998})").at("data").as_array().size(), 0U);

    EXPECT_EQ(total(R"({"from_date":")" + times[400] + R"("})"), 600);
    EXPECT_EQ(total(R"({"to_date":")" + times[399] + R"("})"), 400);
    EXPECT_EQ(total(R"({"from_date":")" + times[10] + R"(","to_date":")" + times[19] + R"("})"), 10);
    EXPECT_EQ(total(with(R"({"name":"c","data":["create_time",">=",")" + times[400] + R"("]})", R"("c")")), 600);
}

TEST(Emulator, SearchKeepsItsLimits) {
    emulator e;
    const auto status = [&](const std::string& body) {
        return e.call("POST", workspace + "incidents/search", body).status;
    };
    for (const char* body :
         {R"({"limit":0})", R"({"limit":1001})", R"({"offset":-1})", R"({"offset":9999})", R"({"sort_by":"title"})",
          R"({"order":"up"})", R"({"from_date":"yesterday"})", R"({"condition":[]})",
          R"({"condition":{"conditions":[{"name":"a","data":["severity","=","High"]}],"logics":["b"]}})",
          R"({"condition":{"conditions":[{"name":"a","data":["severity","=","High"]}],"logics":["a","and"]}})",
          R"({"condition":{"conditions":[{"name":"a","data":["severity","like","High"]}],"logics":["a"]}})",
          R"({"condition":{"conditions":[{"name":"a","data":["severity","="]}]}})"})
        EXPECT_EQ(status(body), 400) << body;
    EXPECT_EQ(status(R"({"condition":{"conditions":[{"name":"a","data":["title","=",")" + std::string(101, 'x') +
                     R"("]}]}})"),
              400);
    EXPECT_EQ(
        status(
            R"({"limit":1000,"offset":9998,"from_date":"2024-01-20T00:00:00.000Z+0800","to_date":"2023-02-20T00:00:00.000Z"})"),
        200);
}

TEST(Emulator, ReadsChunkedSplitAndPipelinedRequests) {
    emulator e;
    client c(e.port());
    c.send("POST " + batch_delete + " HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Enco");
    c.send("ding: chunked\r\n\r\n5\r\n{\"bat\r\n11\r\nch_ids\":[\"a\",\"b\"]\r\n1\r\n}\r\n0\r\n\r\n");
    EXPECT_EQ(data_of(c.receive()), R"({"success_ids":["a","b"],"error_ids":[]})");
    const std::string one =
        "POST " + batch_delete +
        " HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"batch_ids\":\"c\"}";
    c.send(one + one);
    EXPECT_EQ(data_of(c.receive()), R"({"success_ids":["c"],"error_ids":[]})");
    EXPECT_EQ(data_of(c.receive()), R"({"success_ids":[],"error_ids":["c"]})");
    EXPECT_EQ(e.end().at("connections"), 1);
}

TEST(Emulator, KeepsTheGatewaysLimits) {
    emulator e;
    EXPECT_EQ(e.call("GET", "/" + std::string(33'000, 'x')).status, 414);
    EXPECT_EQ(e.call("GET", "/v1/", {}, "X: " + std::string(33'000, 'x') + "\r\n").status, 494);
    client c(e.port());
    c.send("POST " + batch_delete + " HTTP/1.1\r\nHost: h\r\nContent-Length: 13000000\r\n\r\n");
    EXPECT_EQ(c.receive().status, 413);
    client d(e.port());
    d.send("what is this\r\n\r\n");
    EXPECT_EQ(d.receive().status, 400);
}

TEST(Emulator, ChecksTokensWithTheGatewaysTexts) {
    const scratch folder;
    emulator e({"--token", "good", "--scenario", folder.write("s.yaml", "reject_token_after: 2\n")});
    const auto message = [&](std::string_view headers) {
        const answer a = e.remove(R"("a")", headers);
        return a.status == 401 ? std::string(a.json().at("error_msg").as_string()) : std::to_string(a.status);
    };
    EXPECT_THAT(message(""), HasSubstr("x-auth-token not found"));
    EXPECT_THAT(message("X-Auth-Token: bad\r\n"), HasSubstr("decrypt token fail"));
    EXPECT_EQ(message("X-Auth-Token: good\r\n"), "200");
    EXPECT_EQ(message("x-auth-token: good\r\n"), "200");
    EXPECT_EQ(message("X-Auth-Token: good\r\n"), "The token must be updated.");
    EXPECT_EQ(e.call("POST", "/_emulator/token", R"({"token":"new"})").status, 200);
    EXPECT_THAT(message("X-Auth-Token: good\r\n"), HasSubstr("token expires, expires_at: 20"));
    EXPECT_EQ(message("X-Auth-Token: new\r\n"), "200");
}

TEST(Emulator, ReadsTheTokenFileAgainWhenItChanges) {
    const scratch folder;
    const std::string file = folder.write("token", "one\n");
    emulator e({"--scenario", folder.write("s.yaml", "token_file: " + file)});
    EXPECT_EQ(e.remove(R"("a")", "X-Auth-Token: one\r\n").status, 200);
    folder.write("token.new", "second\n");
    std::filesystem::rename(folder.path("token.new"), file);
    EXPECT_EQ(e.remove(R"("b")", "X-Auth-Token: one\r\n").status, 401);
    EXPECT_EQ(e.remove(R"("b")", "X-Auth-Token: second\r\n").status, 200);
}

// Signs as the guide describes, over the date alone, written for this test.
std::string signature(std::string_view date, std::string_view path, std::string_view body, std::string_view sk) {
    sha256 hash;
    hash.update(body);
    const std::string canonical =
        "POST\n" + std::string(path) + "/\n\nx-sdk-date:" + std::string(date) + "\n\nx-sdk-date\n" + hex(hash.finish());
    hash.update(canonical);
    const std::string text = "SDK-HMAC-SHA256\n" + std::string(date) + "\n" + hex(hash.finish());
    digest mac{};
    HMAC(EVP_sha256(), sk.data(), static_cast<int>(sk.size()), reinterpret_cast<const unsigned char*>(text.data()),
         text.size(), mac.data(), nullptr);
    return "X-Sdk-Date: " + std::string(date) +
           "\r\nAuthorization: SDK-HMAC-SHA256 Access=AK1, SignedHeaders=x-sdk-date, Signature=" + hex(mac) + "\r\n";
}

std::string now_utc(std::chrono::minutes later = {}) {
    return basic_utc(std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now() + later));
}

TEST(Emulator, ChecksSignaturesAndLocksTheKeyAfterSixFailures) {
    emulator e({"--ak", "AK1", "--sk", "SK1"});
    const std::string body = R"({"batch_ids":["a"]})";
    const auto signed_with = [&](const std::string& date, std::string_view sk) {
        const answer a = e.call("POST", batch_delete, body, signature(date, batch_delete, body, sk));
        return a.status == 401 ? std::string(a.json().at("error_msg").as_string()) : std::to_string(a.status);
    };
    EXPECT_EQ(signed_with(now_utc(), "SK1"), "200");
    EXPECT_THAT(e.remove(R"("a")").body, HasSubstr("x-auth-token not found"));
    EXPECT_THAT(signed_with(now_utc(std::chrono::minutes(-16)), "SK1"),
                testing::ContainsRegex("signature expired, signature time:[0-9T]+Z,server time:[0-9T]+Z"));
    EXPECT_EQ(signed_with(now_utc(), "SK1"), "200") << "a success starts the count anew";
    for (int i = 0; i < 6; ++i)
        EXPECT_THAT(signed_with(now_utc(), "wrong"),
                    HasSubstr("verify aksk signature fail, canonicalRequest:POST|" + batch_delete + "/||x-sdk-date:"));
    EXPECT_THAT(signed_with(now_utc(), "SK1"), HasSubstr("AK access failed to reach the limit, forbidden"));
}

TEST(Emulator, AClockThatIsAheadTellsItsTime) {
    const scratch folder;
    emulator e({"--ak", "AK1", "--sk", "SK1", "--scenario", folder.write("s.yaml", "clock_skew: 20m")});
    const std::string body = R"({"batch_ids":["a"]})";
    const auto status_at = [&](std::chrono::minutes later) {
        return e.call("POST", batch_delete, body, signature(now_utc(later), batch_delete, body, "SK1")).status;
    };
    EXPECT_EQ(status_at(std::chrono::minutes(0)), 401);
    EXPECT_EQ(status_at(std::chrono::minutes(20)), 200);
}

TEST(Emulator, IamIssuesTokensThatTheGatewayTakes) {
    const scratch folder;
    emulator e({"--scenario", folder.write("s.yaml", "iam: {user: u, domain: d, password: p, token_bytes: 9000}")});
    const auto login = [&](const std::string& password) {
        return e.call("POST", "/v3/auth/tokens?nocatalog=true",
                      R"({"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"u","password":")" +
                          password + R"(","domain":{"name":"d"}}}},"scope":{"project":{"name":"cn-north-4"}}}})");
    };
    const answer wrong = login("x");
    EXPECT_EQ(wrong.status, 401);
    EXPECT_EQ(wrong.json().at("error").at("message"), "The username or password is wrong.");
    const answer good = login("p");
    ASSERT_EQ(good.status, 201);
    EXPECT_TRUE(parse_rfc3339(std::string(good.json().at("token").at("expires_at").as_string())));
    const auto at = good.head.find("X-Subject-Token: ") + 17;
    const std::string token = good.head.substr(at, good.head.find('\r', at) - at);
    EXPECT_EQ(token.size(), 9000U);
    EXPECT_EQ(e.remove(R"("a")").status, 401);
    const std::string header = "X-Auth-Token: " + token + "\r\n";
    EXPECT_EQ(e.remove(R"("a")", header).status, 200);
    EXPECT_EQ(e.call("GET", "/v3/projects?name=cn-north-4", {}, header).json().at("projects").as_array().size(), 1U);
    EXPECT_EQ(e.call("GET", "/v3/projects?name=other", {}, header).json().at("projects").as_array().size(), 0U);
}

TEST(Emulator, MetadataGivesKeysThatNeedTheirSecurityToken) {
    const scratch folder;
    emulator e({"--ak", "AK1", "--sk", "SK1", "--scenario",
                folder.write("s.yaml", "metadata: {v2: required, security_token: st}")});
    constexpr std::string_view keys = "/openstack/latest/securitykey";
    EXPECT_EQ(e.call("GET", keys).status, 401);
    EXPECT_EQ(e.call("PUT", "/meta-data/latest/api/token").status, 400);
    const answer token = e.call("PUT", "/meta-data/latest/api/token", {}, "X-Metadata-Token-Ttl-Seconds: 21600\r\n");
    const answer given = e.call("GET", keys, {}, "X-Metadata-Token: " + token.body + "\r\n");
    ASSERT_EQ(given.status, 200);
    EXPECT_EQ(given.json().at("credential").at("secret"), "SK1");
    const std::string body = R"({"batch_ids":["a"]})";
    const std::string headers = signature(now_utc(), batch_delete, body, "SK1");
    EXPECT_EQ(e.call("POST", batch_delete, body, headers).status, 401);
    EXPECT_EQ(e.call("POST", batch_delete, body, headers + "X-Security-Token: st\r\n").status, 200);
}

TEST(Emulator, CountsArrivalsInWindows) {
    emulator e;
    for (int i = 0; i < 5; ++i) EXPECT_EQ(e.call("GET", workspace + "incidents/a").status, 200);
    const auto all = e.call("GET", "/_emulator/windows?seconds=60").json();
    EXPECT_EQ(all.at("max"), 5);
    EXPECT_EQ(all.at("total"), 5);
    EXPECT_EQ(e.call("GET", "/_emulator/windows?seconds=0.000000001").json().at("max"), 1);
    EXPECT_EQ(e.call("GET", "/_emulator/windows?seconds=0").status, 400);
    EXPECT_EQ(e.call("GET", "/_emulator/windows").status, 400);
}

TEST(Emulator, LogsEachRequestAsALine) {
    const scratch folder;
    emulator e({"--log", folder.path("log")});
    EXPECT_EQ(e.remove(R"("a","b")").status, 200);
    const auto line = boost::json::parse(read_small_file(folder.path("log"), 1 << 20).value());
    EXPECT_EQ(line.at("path").as_string(), std::string_view(batch_delete));
    EXPECT_EQ(line.at("ids"), 2);
    EXPECT_EQ(line.at("status"), 200);
    EXPECT_GT(line.at("wall_us").as_int64(), 1'600'000'000'000'000);
}

TEST(Emulator, ListensOnLoopbackOnlyAndExplainsItsRefusals) {
    const auto refused = [](std::vector<std::string> arguments, int code) {
        process p(std::move(arguments));
        EXPECT_EQ(p.wait(), code) << p.err;
        return p.err;
    };
    const scratch folder;
    EXPECT_THAT(refused({"--listen", "0.0.0.0:0"}, 74), HasSubstr("not a loopback address"));
    EXPECT_THAT(refused({"--listen", "here"}, 64), HasSubstr("write it like"));
    EXPECT_THAT(refused({"--scenario", folder.write("s", "sed: 1")}, 78), HasSubstr("did you mean \"seed\"?"));
    EXPECT_THAT(refused({"--ids", folder.path("none")}, 66), HasSubstr("No such file"));
    EXPECT_THAT(refused({"--ak", "a"}, 64), HasSubstr("--sk"));
}

TEST(Emulator, OverTlsAnUncleanCloseHarmsNobodyElse) {
    const scratch folder;
    const std::string certificate = folder.path("cert.pem"), key = folder.path("key.pem");
    const std::string make =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
        "/CN=localhost -keyout " +
        key + " -out " + certificate + " 2>/dev/null";
    ASSERT_EQ(std::system(make.c_str()), 0);
    emulator e({"--tls", certificate, key});
    for (int i = 0; i < 5; ++i) {  // no TLS at all, and gone in mid-handshake
        client c(e.port());
        c.send(i % 2 == 0 ? "GET / HTTP/1.1\r\n\r\n" : "\x16\x03\x01");
    }
    const std::string ask =
        "printf 'POST " + batch_delete +
        " HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\nContent-Type: application/json\\r\\nContent-Length: 17\\r\\n\\r\\n"
        "{\"batch_ids\":\"t\"}' | timeout 10 openssl s_client -quiet -connect 127.0.0.1:" +
        std::to_string(e.port()) + " > " + folder.path("answer") + " 2>/dev/null";
    [[maybe_unused]] const int unclean_end = std::system(ask.c_str());
    EXPECT_THAT(read_small_file(folder.path("answer"), 1 << 20).value(), HasSubstr(R"("success_ids":["t"])"));
    EXPECT_EQ(e.end().at("deletions"), 1);
}

}  // namespace
}  // namespace culld::emulator_test
