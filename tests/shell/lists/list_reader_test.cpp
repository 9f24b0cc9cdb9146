#include "culld/io/lists/list_reader.hpp"

#include <gtest/gtest.h>

#include <rapidcheck.h>

#include "culld/core/text/json_writer.hpp"
#include "culld/core/text/visible_text.hpp"
#include "culld/io/lists/list_lines.hpp"
#include "support/scratch.hpp"

namespace culld {
namespace {

using ids = std::vector<std::string>;

const scratch& dir() {
    static const scratch here;
    return here;
}

result<ids> read(std::string_view content, file_kind kind) {
    const unique_fd fd = dir().file("list", content);
    byte_source from(fd.get(), "list", compression::none);
    remembering_sink sink;
    if (auto done = read_list(from, kind, sink); !done) return fail(done.error());
    return sink.ids;
}

// "line:column what" of the error
std::string error_of(std::string_view content, file_kind kind) {
    const auto done = read(content, kind);
    if (done) return "no error";
    EXPECT_EQ(done.error().file, "list");
    return std::to_string(done.error().line) + ":" + std::to_string(done.error().column) + " " + done.error().what;
}

std::string txt_error(std::string_view content) {
    return error_of(content, file_kind::list_txt);
}
std::string csv_error(std::string_view content) {
    return error_of(content, file_kind::list_csv);
}
std::string jsonl_error(std::string_view content) {
    return error_of(content, file_kind::list_jsonl);
}
result<ids> txt(std::string_view content) {
    return read(content, file_kind::list_txt);
}
result<ids> csv(std::string_view content) {
    return read(content, file_kind::list_csv);
}
result<ids> jsonl(std::string_view content) {
    return read(content, file_kind::list_jsonl);
}

TEST(ListTxt, BlanksCommentsAndAByteOrderMarkAreSkipped) {
    EXPECT_EQ(txt("a\nb\n"), (ids{"a", "b"}));
    EXPECT_EQ(txt("a\r\n\r\n  b\t\r\n# c\n  # d\n\ne # why\nlast"), (ids{"a", "b", "e", "last"}));
    EXPECT_EQ(txt("\xEF\xBB\xBF"
                  "a\n"),
              (ids{"a"}));
    EXPECT_EQ(txt("\xEF\xBB\xBF"), ids{});
    EXPECT_EQ(txt(""), ids{});
    EXPECT_EQ(txt("\n\n"), ids{});
    EXPECT_EQ(read("a\n", file_kind::sidecar), (ids{"a"}));
}

TEST(ListTxt, ANumberSignInsideAnIdIsNoComment) {
    EXPECT_EQ(txt("abc#def\n"), (ids{"abc#def"}));
}

TEST(ListTxt, ABadIdIsNamedByLineAndColumn) {
    EXPECT_EQ(txt_error("a\n\n# x\n  BAD\n"), "4:3 refused");
    EXPECT_EQ(txt_error("BAD"), "1:1 refused");
    EXPECT_EQ(txt_error("\xFF\xFE"
                        "a\0"),
              "1:1 the file is UTF-16");
}

TEST(ListTxt, ALineTooLongIsAnErrorAndNoMemory) {
    EXPECT_EQ(txt("a\n" + std::string(4096, 'b') + "\n")->size(), 2U);
    EXPECT_EQ(txt_error("a\n" + std::string(4097, 'b') + "\n"), "2:4097 a line of more than 4096 bytes");
    EXPECT_EQ(txt_error("a\n" + std::string(std::size_t{2} << 20U, 'b')), "2:4097 a line of more than 4096 bytes");
}

// Lines that straddle the blocks of byte_source, whatever their length.
TEST(ListTxt, ReadsAcrossBlocks) {
    for (std::size_t width : {1U, 7U, 36U, 37U, 100U}) {
        ids expected;
        std::string content;
        for (std::size_t i = 0; content.size() < 800'000; ++i) {
            std::string id = std::to_string(i);
            id.resize(std::max(width, id.size()), 'x');
            content += id + (i % 3 == 0 ? "\r\n" : "\n");
            expected.push_back(std::move(id));
        }
        EXPECT_EQ(txt(content), expected) << width;
        EXPECT_EQ(txt_error(content + " BAD"), std::to_string(expected.size() + 1) + ":2 refused");
    }
}

// A comment is looked for once in a block: also where a block's only one begins on either side of its end.
TEST(ListTxt, FindsACommentAcrossBlocks) {
    const std::string line = std::string(63, 'a') + "\n";
    for (std::size_t before = 256 * 1024 - 20; before < 256 * 1024 + 20; ++before) {
        std::string content;
        while (content.size() + 2 * line.size() < before) content += line;
        ids expected(content.size() / line.size(), line.substr(0, 63));
        const std::string id(before - content.size() - 1, 'b');
        content += id + " # note\n";
        expected.push_back(id);
        EXPECT_EQ(txt(content), expected) << before;
        EXPECT_EQ(txt(content + line + "c #" + line).value_or(ids{}).size(), expected.size() + 2) << before;
    }
}

TEST(ListCsv, FindsTheColumn) {
    EXPECT_EQ(csv("id\na\nb\n"), (ids{"a", "b"}));
    EXPECT_EQ(csv("title,ID,x\r\nt,a,1\r\nu,b,2"), (ids{"a", "b"}));
    EXPECT_EQ(csv("\xEF\xBB\xBF\"Incident_Id\";t\na;x\n"), (ids{"a"}));
    EXPECT_EQ(csv("t\tid\nx\ta\n"), (ids{"a"}));
    EXPECT_EQ(csv("incident_id,id\nx,a\n"), (ids{"a"}));
    EXPECT_EQ(csv("id\n"), ids{});
    EXPECT_EQ(csv(""), ids{});
}

TEST(ListCsv, QuotesHoldSeparatorsNewlinesAndQuotes) {
    EXPECT_EQ(csv("id,t\na,\"x,y\"\nb,\"one\ntwo\"\n\"c\",\"say \"\"hi\"\"\"\n"), (ids{"a", "b", "c"}));
    EXPECT_EQ(csv("t,id\nab\"c,a\n"), (ids{"a"}));
    EXPECT_EQ(csv("\"the\nid\",id\nx, a \n"), (ids{"a"}));
    EXPECT_EQ(csv("id\n\"a\"\"b\"\n"), (ids{"a\"b"}));
}

TEST(ListCsv, BlankLinesAreSkipped) {
    EXPECT_EQ(csv("id,t\n\na,x\n\r\n  \nb,y\n\n"), (ids{"a", "b"}));
}

TEST(ListCsv, MistakesAreNamedByPlace) {
    EXPECT_EQ(csv_error("a\nb\n"), "1:1 the header has no column \"id\" or \"incident_id\", it is: a");
    EXPECT_EQ(csv_error("\xC3\xA4,\"x\ny\"\r\n1,2\n"),
              "1:1 the header has no column \"id\" or \"incident_id\", it is: \xC3\xA4,\"x\\ny\"");
    EXPECT_EQ(csv_error("\nid\n"), "1:1 an empty header");
    EXPECT_EQ(csv_error("id,Id\na,b\n"), "1:1 the header has two columns \"id\"");
    EXPECT_EQ(csv_error("id,t\na,x\nb,x,y\n"), "3:1 3 fields where the header has 2");
    EXPECT_EQ(csv_error("id,t\na\n"), "2:1 1 field where the header has 2");
    EXPECT_EQ(csv_error("id,t\na,\"x\ny\nb,z\n"), "2:3 a quoted field that never ends");
    EXPECT_EQ(csv_error("id,t\na,\"x\"y\n"), "2:6 text behind a quoted field");
    EXPECT_EQ(csv_error("id,t\na,\"x\" \"y\"\n"), "2:7 text behind a quoted field");
    EXPECT_EQ(csv_error("t,id\n\"1\n2\",x\nu,  BAD\n"), "4:5 refused");
    EXPECT_EQ(csv_error("id\n" + std::string(4097, 'a')), "2:1 an id field of more than 4096 bytes");
    EXPECT_EQ(csv_error(std::string(70'000, 'a')), "1:65537 a header of more than 65536 bytes");
    EXPECT_EQ(csv_error("\"id\n"), "1:1 a quoted field that never ends");
}

TEST(ListCsv, AnEmptyIdFieldReachesTheSink) {
    EXPECT_EQ(csv("id,t\n,x\n"), (ids{""}));
}

TEST(ListCsv, ALongFieldThatNobodyReadsCostsNothing) {
    EXPECT_EQ(csv("id,t\na," + std::string(std::size_t{1} << 20U, 'x') + "\nb,y\n"), (ids{"a", "b"}));
}

TEST(ListJsonl, ReadsStringsAndObjects) {
    EXPECT_EQ(jsonl("\"a\"\n {\"id\":\"b\",\"n\":[1,{\"id\":2}]} \r\n\n{\"incident_id\":\"c\"}\n\"\\u0064\""),
              (ids{"a", "b", "c", "d"}));
    EXPECT_EQ(jsonl("{\"incident_id\":\"x\",\"id\":\"a\"}\n"), (ids{"a"}));
    EXPECT_EQ(jsonl("{\"i\\u0064\":\"a\"}\n"), (ids{"a"}));
    EXPECT_EQ(jsonl("\xEF\xBB\xBF\"a\"\n"), (ids{"a"}));
    EXPECT_EQ(jsonl(""), ids{});
}

TEST(ListJsonl, MistakesAreNamedByPlace) {
    EXPECT_EQ(jsonl_error("\"a\"\n\"BAD\"\n"), "2:1 refused");
    EXPECT_EQ(jsonl_error("\"a\"\n  {\"id\":\"BAD\"}\n"), "2:3 refused");
    EXPECT_EQ(jsonl_error("5\n"), "1:1 must be a string or an object, not a number");
    EXPECT_EQ(jsonl_error("[\"a\"]\n"), "1:1 must be a string or an object, not a list");
    EXPECT_EQ(jsonl_error("null\n"), "1:1 must be a string or an object, not null");
    EXPECT_EQ(jsonl_error("{\"id\":5}\n").substr(0, 2), "1:");
    EXPECT_NE(jsonl_error("{\"id\":5}\n").find("id must be a string, not a number"), std::string::npos);
    EXPECT_NE(jsonl_error("{\"id\":null}\n").find("id must be a string, not null"), std::string::npos);
    EXPECT_NE(jsonl_error("{\"id\":[\"a\"]}\n").find("id must be a string, not a list"), std::string::npos);
    EXPECT_NE(jsonl_error("{\"id\":\"a\",\"id\":\"b\"}\n").find("id is there twice"), std::string::npos);
    EXPECT_EQ(jsonl_error("{\"name\":\"a\"}\n"), "1:1 an object without \"id\"");
    EXPECT_EQ(jsonl_error("{}\n"), "1:1 an object without \"id\"");
    EXPECT_NE(jsonl_error("\"a\" \"b\"\n").find("something follows"), std::string::npos);
    EXPECT_NE(jsonl_error("\"a\n").find("not JSON"), std::string::npos);
    EXPECT_NE(jsonl_error("{\"id\":\"a\"\n").find("not JSON"), std::string::npos);
    EXPECT_NE(jsonl_error("a\n").find("not JSON"), std::string::npos);
    EXPECT_NE(jsonl_error("\"" + std::string(70'000, 'a') + "\"\n").find("more than 65536 bytes"), std::string::npos);
    EXPECT_NE(jsonl_error(std::string(60, '[')).find("not a list"), std::string::npos);
    EXPECT_NE(jsonl_error("{\"x\":" + std::string(60'000, '[')).find("not JSON"), std::string::npos);
}

// An object's line must not leave anything behind for the next one.
TEST(ListJsonl, LinesAreIndependent) {
    EXPECT_EQ(jsonl("{\"id\":\"a\"}\n{\"incident_id\":\"b\"}\n{\"x\":{\"y\":[]},\"id\":\"c\"}\n"),
              (ids{"a", "b", "c"}));
}

rc::Gen<ids> some_ids() {
    return rc::gen::container<ids>(
        rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::elementOf(std::string("abcXYZ019_-.,;:|'")))));
}

rc::Gen<std::string> visible_words() {
    return rc::gen::map(rc::gen::arbitrary<std::string>(), [](const std::string& text) { return made_visible(text); });
}

TEST(ListLaws, WhatIsWrittenAsJsonlReadsBack) {
    EXPECT_TRUE(rc::check([] {
        const auto list = *some_ids();
        std::string content;
        for (const std::string& id : list) {
            if (*rc::gen::arbitrary<bool>()) {
                append_json_string(content, id);
            } else {
                json_object object(content);
                object.member("title", *visible_words()).member("id", id);
                object.close();
            }
            content += "\n";
        }
        RC_ASSERT(jsonl(content) == list);
    }));
}

TEST(ListLaws, WhatIsWrittenAsCsvReadsBack) {
    EXPECT_TRUE(rc::check([] {
        const auto list = *some_ids();
        const auto quoted = [](const std::string& text) {
            std::string out = "\"";
            for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
            return out + "\"";
        };
        const char separator = *rc::gen::element(',', ';', '\t');
        std::string content = std::string("title") + separator + "id" + separator + "note\r\n";
        for (const std::string& id : list)
            content += quoted(*visible_words()) + separator + quoted(id) + separator +
                       quoted(*rc::gen::container<std::string>(rc::gen::elementOf(std::string("a\"\n,;")))) + "\r\n";
        RC_ASSERT(csv(content) == list);
    }));
}

// The reader of csv that is nothing but simple: each byte with its place, then fields by recursive descent. For a
// header of two columns, the second of which has the ids. Hands back the ids, and behind them the error, if there is
// one.
class plain_csv {
  public:
    explicit plain_csv(std::string_view content) {
        std::uint64_t line = 2, column = 1;
        for (const char c : content) {
            bytes_.push_back({c, line, column++});
            if (c == '\n') ++line, column = 1;
        }
    }
    ids read() {
        while (at_ < bytes_.size() && error_.empty()) record();
        if (!error_.empty()) out_.push_back(error_);
        return out_;
    }

  private:
    struct byte {
        char c;
        std::uint64_t line, column;
    };
    [[nodiscard]] char now() const { return at_ < bytes_.size() ? bytes_[at_].c : '\n'; }
    void wrong(std::uint64_t line, std::uint64_t column, std::string_view what) {
        error_ = std::to_string(line) + ":" + std::to_string(column) + " " + std::string(what);
    }
    void record() {
        const std::size_t begin = at_;
        std::size_t fields = 0;
        std::vector<byte> id;
        bool something = false;
        for (;;) {
            std::vector<byte> field = one_field(something);
            if (!error_.empty()) return;
            if (fields++ == 1) id = std::move(field);
            if (now() != ',' || at_ == bytes_.size()) break;
            something = true;
            ++at_;
        }
        ++at_;
        if (!something) return;
        const std::uint64_t line = bytes_[begin].line;
        if (fields != 2)
            return wrong(line, 1,
                         std::to_string(fields) + (fields == 1 ? " field" : " fields") + " where the header has 2");
        while (!id.empty() && is_blank(id.front().c)) id.erase(id.begin());
        while (!id.empty() && is_blank(id.back().c)) id.pop_back();
        std::string text;
        for (const byte& b : id) text += b.c;
        remembering_sink sink;
        if (sink.take(text))
            out_.push_back(text);
        else
            wrong(id.front().line, id.front().column, "refused");
    }
    std::vector<byte> one_field(bool& something) {
        std::vector<byte> out;
        if (at_ == bytes_.size() || now() != '"') {
            for (; at_ < bytes_.size() && now() != ',' && now() != '\n'; ++at_) {
                something = something || !is_blank(now());
                out.push_back(bytes_[at_]);
            }
            return out;
        }
        const byte opening = bytes_[at_++];
        something = true;
        for (;; ++at_) {
            if (at_ == bytes_.size()) return wrong(opening.line, opening.column, "a quoted field that never ends"), out;
            if (now() == '"') {
                if (++at_ == bytes_.size() || now() != '"') break;
            }
            out.push_back(bytes_[at_]);
        }
        while (at_ < bytes_.size() && is_blank(now())) ++at_;
        if (at_ < bytes_.size() && now() != ',' && now() != '\n')
            wrong(bytes_[at_].line, bytes_[at_].column, "text behind a quoted field");
        return out;
    }

    std::vector<byte> bytes_;
    std::size_t at_ = 0;
    ids out_;
    std::string error_;
};

// Also where a block of byte_source ends in the middle of it: the first field of the first record fills what is before.
TEST(ListLaws, CsvReadsAsASimpleReaderDoes) {
    EXPECT_TRUE(rc::check([] {
        const auto words =
            *rc::gen::container<ids>(rc::gen::elementOf(ids{"a", "BAD", ",", ",", ",b\n", "\n", "\"", "\"\"", "\"c\"",
                                                            ",\"d\"\n", " ", "\t", "\r\n", ",", "x y", "e,f\n"}));
        std::string content;
        for (const std::string& word : words) content += word;
        const std::string header = "t,id\n";
        const std::size_t block = std::size_t{256} * 1024;
        const std::size_t before = *rc::gen::inRange<std::size_t>(0, content.size() + 1);
        if (*rc::gen::inRange(0, 4) == 0)
            content = std::string(block - header.size() - before - 3, 'x') + ",i\n" + content;
        remembering_sink sink;
        const unique_fd fd = dir().file("list", header + content);
        byte_source from(fd.get(), "list", compression::none);
        const auto done = read_list(from, file_kind::list_csv, sink);
        ids found = sink.ids;
        if (!done)
            found.push_back(std::to_string(done.error().line) + ":" + std::to_string(done.error().column) + " " +
                            done.error().what);
        RC_ASSERT(found == plain_csv(content).read());
    }));
}

TEST(ListLaws, WhatIsWrittenAsTxtReadsBack) {
    EXPECT_TRUE(rc::check([] {
        const auto list = *some_ids();
        std::string content;
        for (const std::string& id : list)
            content += *rc::gen::element<std::string>("", " ", "# note\n", "\r\n") + id +
                       *rc::gen::element<std::string>("\n", "\r\n", " # x\n", "\t\n");
        RC_ASSERT(txt(content) == list);
    }));
}

}  // namespace
}  // namespace culld
