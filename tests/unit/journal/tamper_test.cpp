// Whatever is done to a finished journal, the ledger or its head: verification finds it (contract, promise 5). Every
// bit and every record of a small folder with one of everything, in memory.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "support/archive.hpp"
#include "support/journal_builder.hpp"

namespace culld {
namespace {

using test::archive;
using test::joined;
using test::journal_builder;
using test::lines_of;

// RFC 8032, 7.1, TEST 1 and TEST 2.
constexpr std::string_view our_key =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
constexpr std::string_view forgers_key =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
    "-----END PRIVATE KEY-----\n";

class Tamper : public testing::Test {
  protected:
    Tamper() : key_(signing_key::parse(our_key).value()), keys_(key_.public_half()) {
        good_ = made(&key_);
        rules_.keys = &keys_;
        plain_ = made(nullptr);
    }

    // Two finished jobs, a rejected one between them, an open one; signed if there is a key.
    static archive made(const signing_key* key) {
        const auto sign = [&](const std::string& text) { return key == nullptr ? std::string() : key->sign(text); };
        journal_builder one, two, open;
        const job_totals totals = test::story(one);
        two.accepted(3, R"("dry_run":false,"verify":"failed")", "job-2")
            .intent(0, 3)
            .result(1, {{0, 3}}, {{0, 3}})
            .finished("completed", {.ids = 3, .deleted = 3, .requests = 1});
        open.accepted(4, R"("dry_run":false,"verify":"failed")", "job-3").intent(0, 4);
        chain_writer chain;
        archive out;
        const wall_time now = parse_rfc3339("2026-11-25T12:00:00Z").value();
        const auto finished = [&](std::string_view job, const journal_builder& j, const job_totals& t,
                                  std::string_view status) {
            const std::string journal = journal_name(job), head = hex(j.head), sig = sign(head);
            write_ledger_line(chain, out.ledger, now,
                              {.job_id = job,
                               .file = "job.json",
                               .status = status,
                               .totals = &t,
                               .journal = journal,
                               .head = head,
                               .records = j.seq,
                               .sig = sig});
        };
        finished("job-1", one, totals, "completed_with_failures");
        write_ledger_line(chain, out.ledger, now, {.file = "bad.json", .status = "rejected", .error = "no ids"});
        const job_totals three{.ids = 3, .deleted = 3, .requests = 1};
        finished("job-2", two, three, "completed");
        out.head = ledger_head_text(chain.head(), sign(hex(chain.head().prev)));
        out.journals = {{"job-1", one.text}, {"job-2", two.text}, {"job-3", open.text}};
        return out;
    }

    // Every bit of `part`; `sound` looks at the whole that it is a part of.
    static void flip_every_bit(std::string& part, std::string_view name, const std::function<bool()>& sound) {
        const std::string good = part;
        ASSERT_TRUE(sound()) << name;
        std::size_t slipped = 0;
        for (std::size_t i = 0; i < good.size(); ++i)
            for (unsigned bit = 0; bit < 8; ++bit) {
                part[i] = static_cast<char>(good[i] ^ (1U << bit));
                if (sound() && ++slipped <= 5) ADD_FAILURE() << name << " byte " << i << " bit " << bit;
                part[i] = good[i];
            }
        EXPECT_EQ(slipped, 0U) << "of " << good.size() * 8 << " bits of " << name;
    }
    static void flip_every_bit(archive a, const ledger_rules& rules) {
        const ledger_check honest = a.checked_ledger(rules);
        for (const char* job : {"job-1", "job-2"})
            flip_every_bit(a.journals[job], job, [&] { return a.about_journal(job, honest).empty(); });
        const auto ledger_sound = [&] { return a.checked_ledger(rules).findings().empty(); };
        flip_every_bit(a.ledger, "ledger.jsonl", ledger_sound);
        flip_every_bit(*a.head, "ledger.head", ledger_sound);
    }

    // Records of `part` removed, repeated, swapped, emptied, and what stands behind every byte cut off.
    static void try_every_record(archive& a, std::string& part, const ledger_rules& rules, std::string_view name) {
        const std::string good = part;
        const auto lines = lines_of(good);
        const auto expect_found = [&](const std::vector<std::string>& changed, std::string_view what, std::size_t i) {
            part = joined(changed);
            EXPECT_FALSE(a.sound(rules)) << name << ": record " << i << " " << what;
        };
        for (std::size_t i = 0; i < lines.size(); ++i) {
            const auto at = static_cast<std::ptrdiff_t>(i);
            auto changed = lines;
            changed.erase(changed.begin() + at);
            expect_found(changed, "removed", i);
            for (std::size_t k = 0; k <= lines.size(); ++k) {
                changed = lines;
                changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(k), lines[i]);
                expect_found(changed, "inserted again", i);
            }
            changed = lines;
            changed.insert(changed.begin() + at, "\n");
            expect_found(changed, "behind an empty line", i);
            for (std::size_t k = i + 1; k < lines.size(); ++k) {
                changed = lines;
                std::swap(changed[i], changed[k]);
                expect_found(changed, "swapped", i);
            }
        }
        for (std::size_t size = 0; size < good.size(); ++size) {
            part = good.substr(0, size);
            EXPECT_FALSE(a.sound(rules)) << name << ": cut to " << size;
        }
        for (const std::string& more : {std::string("\n"), std::string(" "), std::string(1, '\0'), std::string("{}\n"),
                                        std::string("x"), lines.back()}) {
            part = good + more;
            EXPECT_FALSE(a.sound(rules)) << name << ": " << more << " added";
        }
        part = good;
    }

    signing_key key_;
    public_keys keys_;
    ledger_rules rules_;
    archive good_, plain_;
};

TEST_F(Tamper, AnHonestFolderIsSound) {
    EXPECT_TRUE(good_.sound(rules_)) << good_.text(rules_);
    EXPECT_TRUE(good_.sound()) << good_.text();
    EXPECT_TRUE(plain_.sound()) << plain_.text();
}

TEST_F(Tamper, EveryFlippedBitIsFound) {
    flip_every_bit(good_, rules_);
}

TEST_F(Tamper, EveryFlippedBitIsFoundWithoutSignaturesToo) {
    flip_every_bit(plain_, {});
}

TEST_F(Tamper, EveryRecordRemovedRepeatedSwappedInsertedOrCutIsFound) {
    // Signatures are not needed for that.
    try_every_record(plain_, plain_.journals["job-1"], {}, "job-1.jsonl");
    try_every_record(plain_, plain_.journals["job-2"], {}, "job-2.jsonl");
    try_every_record(plain_, plain_.ledger, {}, "ledger.jsonl");
    try_every_record(plain_, *plain_.head, {}, "ledger.head");
    try_every_record(good_, good_.ledger, {}, "signed ledger.jsonl");
}

TEST_F(Tamper, ARemovedOrExchangedJournalIsFound) {
    archive a = good_;
    a.journals.erase("job-1");
    EXPECT_FALSE(a.sound());
    a = good_;
    std::swap(a.journals["job-1"], a.journals["job-2"]);
    EXPECT_FALSE(a.sound());
    a = good_;
    a.journals["job-9"] = a.journals["job-1"];
    EXPECT_FALSE(a.sound()) << "a copy under another name";
}

TEST_F(Tamper, AnOldHeadAMissingHeadAndAForeignHeadAreFound) {
    for (const std::uint64_t lines : {1U, 2U}) {
        archive a = good_;
        chain_writer chain;
        chain_checker check;
        record_view record;
        const auto all = lines_of(a.ledger);
        for (std::uint64_t i = 0; i < lines; ++i)
            ASSERT_TRUE(check.feed(std::string_view(all[i]).substr(0, all[i].size() - 1), true, record));
        a.head = ledger_head_text({lines, check.head()}, key_.sign(hex(check.head())));
        EXPECT_FALSE(a.sound(rules_)) << "the head of line " << lines;
        EXPECT_FALSE(a.sound()) << "the head of line " << lines;
        // Together with the ledger as it was then: what only an anchor elsewhere finds, and the journals.
        a.ledger = joined({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(lines)});
        EXPECT_FALSE(a.sound(rules_)) << "job-2 has lost its line";
        a.journals.erase("job-2");
        EXPECT_TRUE(a.sound(rules_));
        ledger_rules with_anchor = rules_;
        with_anchor.anchors = {test::hash_of_last_line(good_.ledger)};
        EXPECT_FALSE(a.sound(with_anchor));
        EXPECT_TRUE(good_.sound(with_anchor));
    }
    archive a = good_;
    a.head.reset();
    EXPECT_FALSE(a.sound(rules_));
    EXPECT_FALSE(a.sound());
}

TEST_F(Tamper, WithoutTheKeyNoRewrittenChainIsBelieved) {
    // A journal changed and everything behind it made to fit.
    archive a = good_;
    std::string& text = a.journals["job-1"];
    text.replace(text.find("\"i5\""), 4, "\"j5\"");
    a.cover_up("job-1");
    EXPECT_TRUE(a.sound()) << "the hashes fit: " << a.text();
    EXPECT_FALSE(a.sound(rules_));

    // A job taken out of the ledger, its journal removed, the chain closed again.
    a = good_;
    auto lines = lines_of(a.ledger);
    lines.erase(lines.begin());
    a.seal(lines);
    a.journals.erase("job-1");
    EXPECT_TRUE(a.sound()) << a.text();
    EXPECT_FALSE(a.sound(rules_));

    // A rejected job made up.
    a = good_;
    lines = lines_of(a.ledger);
    lines.push_back(lines[1]);
    a.seal(lines);
    EXPECT_TRUE(a.sound()) << a.text();
    EXPECT_FALSE(a.sound(rules_));

    // Signed by somebody.
    const signing_key other = signing_key::parse(forgers_key).value();
    a = made(&other);
    EXPECT_TRUE(a.sound());
    EXPECT_FALSE(a.sound(rules_));

    // Signatures of one line used for another.
    a = good_;
    lines = lines_of(a.ledger);
    const auto sig_of = [](const std::string& line) { return line.substr(line.find("\"sig\":\"") + 7, 88); };
    lines[0].replace(lines[0].find("\"sig\":\"") + 7, 88, sig_of(lines[2]));
    a.seal(lines);
    EXPECT_FALSE(a.sound(rules_));
}

TEST_F(Tamper, ALedgerWithoutSignaturesFailsWhereAPublicKeyIsGiven) {
    EXPECT_FALSE(plain_.sound(rules_));
    EXPECT_NE(plain_.text(rules_).find("is not signed, and a public key is given"), std::string::npos);
    // All signatures but the head's taken away: by whoever has the key, or before there was one.
    archive a = plain_;
    const auto head = read_ledger_head(*a.head).value();
    digest hash{};
    ASSERT_TRUE(parse_hex(head.sha256, hash));
    a.head = ledger_head_text({head.seq + 1, hash}, key_.sign(head.sha256));
    EXPECT_FALSE(a.sound(rules_));
    ledger_rules later = rules_;
    later.signed_from = 4;
    EXPECT_TRUE(a.sound(later)) << a.text(later);
    later.signed_from = 3;
    EXPECT_FALSE(a.sound(later));
}

// A ledger whose key came after job-1, replaced after job-2 where there is `next`.
class LateKey : public Tamper {
  protected:
    static std::string line(chain_writer& chain, const std::string& job, const signing_key* key) {
        const std::string head(64, 'a');
        const job_totals one{.ids = 1, .deleted = 1, .requests = 1};
        const std::string sig = key != nullptr ? key->sign(head) : std::string();
        std::string out;
        const std::string journal = job + ".jsonl";
        write_ledger_line(chain, out, wall_time{},
                          {.job_id = job,
                           .file = "f",
                           .status = "completed",
                           .totals = &one,
                           .journal = journal,
                           .head = head,
                           .records = 4,
                           .sig = sig});
        return out;
    }
    static std::string begin(chain_writer& chain, const signing_key& named, const signing_key& signs,
                             std::uint64_t from) {
        const std::string id = named.public_half().id();
        const std::string sig = signs.sign(signed_from_text(chain.head(), from, id));
        std::string out;
        write_signed_from(chain, out, wall_time{}, {.from = from, .key = id, .sig = sig});
        return out;
    }
    static void end(archive& a, const chain_writer& chain, const signing_key& key) {
        a.head = ledger_head_text(chain.head(), key.sign(hex(chain.head().prev)));
    }
    [[nodiscard]] std::string findings(const archive& a, std::optional<std::uint64_t> from = std::nullopt) const {
        ledger_rules rules = rules_;
        rules.signed_from = from;
        std::string out;
        const ledger_check check = a.checked_ledger(rules);
        for (const problem& p : check.findings()) out += p.text() + "\n";
        return out;
    }
};

TEST_F(LateKey, ASignedLineSaysWhereSigningBegins) {
    archive a;
    chain_writer chain;
    a.ledger = line(chain, "job-1", nullptr);
    a.ledger += begin(chain, key_, key_, 1);
    a.ledger += line(chain, "job-2", &key_);
    end(a, chain, key_);
    EXPECT_EQ(findings(a), "");
    EXPECT_EQ(a.checked_ledger(rules_).signing_begins(), 2U);
    EXPECT_EQ(findings(a, 3), "") << "no option loosens what the ledger says";
    EXPECT_NE(findings(a, 1).find("ledger.jsonl:1: is not signed"), std::string::npos) << "but it may want more";
    flip_every_bit(a.ledger, "ledger.jsonl", [&] { return findings(a).empty(); });

    // Behind it every line must be signed.
    a = {};
    chain = chain_writer();
    a.ledger = line(chain, "job-1", nullptr);
    a.ledger += begin(chain, key_, key_, 1);
    a.ledger += line(chain, "job-2", nullptr);
    end(a, chain, key_);
    EXPECT_NE(findings(a).find("ledger.jsonl:3: is not signed"), std::string::npos) << findings(a);
    EXPECT_NE(findings(a, 9).find("ledger.jsonl:3: is not signed"), std::string::npos) << findings(a, 9);
}

TEST_F(LateKey, NobodyElseSaysWhereItBegins) {
    const signing_key other = signing_key::parse(forgers_key).value();
    for (const bool names_other : {false, true}) {
        archive a;
        chain_writer chain;
        a.ledger = line(chain, "job-1", nullptr);
        a.ledger += begin(chain, names_other ? other : key_, other, 1);
        end(a, chain, key_);
        EXPECT_NE(findings(a).find("ledger.jsonl:1: is not signed"), std::string::npos) << findings(a);
        EXPECT_NE(findings(a).find(names_other ? "is not given" : "not that of the key"), std::string::npos);
    }
    // One taken from elsewhere in the ledger, or from another ledger.
    archive a;
    chain_writer chain, elsewhere;
    static_cast<void>(line(elsewhere, "job-9", nullptr));
    a.ledger = line(chain, "job-1", nullptr);
    const std::string id = key_.public_half().id();
    write_signed_from(chain, a.ledger, wall_time{},
                      {.from = 1, .key = id, .sig = key_.sign(signed_from_text(elsewhere.head(), 1, id))});
    end(a, chain, key_);
    EXPECT_NE(findings(a).find("not that of the key"), std::string::npos) << findings(a);
}

TEST_F(LateKey, AReplacedKeySignsNothingMore) {
    const signing_key next = signing_key::parse(forgers_key).value();
    public_keys both = key_.public_half();
    both.add(next.public_half());
    rules_.keys = &both;
    const auto made = [&](const signing_key& line_by, const signing_key& head_by) {
        archive a;
        chain_writer chain;
        a.ledger = begin(chain, key_, key_, 0);
        a.ledger += line(chain, "job-1", &key_);
        a.ledger += begin(chain, next, next, 0);
        a.ledger += line(chain, "job-2", &line_by);
        end(a, chain, head_by);
        return a;
    };
    EXPECT_EQ(findings(made(next, next)), "");
    EXPECT_NE(findings(made(key_, next)).find("ledger.jsonl:4: the signature"), std::string::npos);
    EXPECT_NE(findings(made(next, key_)).find("ledger.head: the signature"), std::string::npos);
}

// Each signature is looked at for itself: one good signature does not stand for another.
TEST_F(Tamper, AHeadOrALineWithoutItsOwnSignatureIsNotBelieved) {
    const auto signed_head = [&](archive& a, bool with_sig) {
        const auto head = read_ledger_head(*a.head).value();
        digest hash{};
        ASSERT_TRUE(parse_hex(head.sha256, hash));
        a.head = ledger_head_text({head.seq + 1, hash}, with_sig ? key_.sign(head.sha256) : "");
    };
    archive a = good_;
    signed_head(a, false);
    EXPECT_TRUE(a.sound());
    EXPECT_NE(a.text(rules_).find("ledger.head: is not signed"), std::string::npos) << a.text(rules_);

    a = good_;
    auto lines = lines_of(a.ledger);
    const std::size_t at = lines[0].find("\"sig\":\"") + 7;
    lines[0].replace(at, 88, lines[2].substr(lines[2].find("\"sig\":\"") + 7, 88));
    a.seal(lines);
    signed_head(a, true);
    EXPECT_TRUE(a.sound());
    EXPECT_NE(a.text(rules_).find("ledger.jsonl:1: the signature of job-1.jsonl's head"), std::string::npos)
        << a.text(rules_);
}

// A chain whose every prev is right, and whose numbers are not.
TEST_F(Tamper, SeqCountsWithoutGapsEvenWhereTheHashesFit) {
    const auto numbered = [](const std::string& text, std::size_t from, std::size_t by) {
        std::string out;
        digest head{};
        sha256 hash;
        const auto lines = lines_of(text);
        for (std::size_t i = 0; i < lines.size(); ++i) {
            std::string line = lines[i].substr(0, lines[i].size() - 1);
            line.replace(0, line.find(",\"ts\""), fmt::format("{{\"seq\":{}", i >= from ? i + by : i));
            line.replace(line.rfind("\"prev\":\"") + 8, 64, hex(head));
            hash.update(line);
            head = hash.finish();
            out += line + "\n";
        }
        return out;
    };
    const std::string& open = plain_.journals["job-3"];
    for (const std::size_t from : {0U, 1U}) {
        archive a = plain_;
        a.journals["job-3"] = numbered(open, from, 0);
        EXPECT_TRUE(a.sound()) << a.text();
        a.journals["job-3"] = numbered(open, from, 1);
        EXPECT_NE(a.text().find("seq is"), std::string::npos) << a.text();
    }
}

// Whole lies in good chains, told in journal and ledger alike: what the records say is added up again.
TEST_F(Tamper, LiesThatAreWellChainedAreFound) {
    const auto lie = [&](const std::string& job, const std::string& from, const std::string& to) {
        archive a = plain_;
        std::string& text = a.journals[job];
        const std::size_t at = text.find(from);
        ASSERT_NE(at, std::string::npos) << from;
        text.replace(at, from.size(), to);
        a.cover_up(job);
        EXPECT_FALSE(a.sound()) << from << " -> " << to;
    };
    const auto without = [&](const std::string& job, std::size_t record) {
        archive a = plain_;
        auto lines = lines_of(a.journals[job]);
        lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(record));
        a.journals[job] = joined(lines);
        a.cover_up(job);
        EXPECT_FALSE(a.sound()) << job << " without record " << record;
    };
    const auto twice = [&](const std::string& job, std::size_t record) {
        archive a = plain_;
        auto lines = lines_of(a.journals[job]);
        lines.insert(lines.end() - 1, lines[record]);
        a.journals[job] = joined(lines);
        a.cover_up(job);
        EXPECT_FALSE(a.sound()) << job << " with record " << record << " twice";
    };
    lie("job-1", "\"deleted\":5", "\"deleted\":6");
    lie("job-1", "\"failed\":1", "\"failed\":0");
    lie("job-1", "\"ids\":8", "\"ids\":9");
    lie("job-1", "\"requests\":4", "\"requests\":9");
    lie("job-1", "completed_with_failures", "completed");
    lie("job-1", "\"reason\":\"protected\"", "\"reason\":\"cancelled\"");
    lie("job-2", "\"first\":0,\"count\":3", "\"first\":0,\"count\":2");
    lie("job-2", "\"at\":[[0,3]]", "\"at\":[[0,2]]");
    lie("job-2", "\"at\":[[0,3]]", "\"at\":[[1,3]]");
    lie("job-2", "[\"i0\",\"i1\",\"i2\"]", "[\"i0\",\"i1\"]");
    lie("job-2", "[\"i0\",\"i1\",\"i2\"]", "[\"i0\",\"i1\",\"i2\",\"i9\"]");
    lie("job-2", "\"unknown\":[]", "\"unknown\":[\"i1\"]");
    // Any record left out, or told twice.
    for (const std::size_t record : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 9U}) without("job-1", record);
    for (const std::size_t record : {0U, 1U, 2U, 3U}) without("job-2", record);
    for (const std::size_t record : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 9U}) twice("job-1", record);
    for (const std::size_t record : {0U, 1U, 2U, 3U}) twice("job-2", record);
}

TEST_F(Tamper, TheLedgersWordAboutAJournalIsChecked) {
    for (const auto& [from, to] :
         std::vector<std::pair<std::string, std::string>>{{"\"deleted\":5", "\"deleted\":6"},
                                                          {"completed_with_failures", "completed"},
                                                          {"\"file\":\"job.json\"", "\"file\":\"other.json\""},
                                                          {"\"records\":10", "\"records\":11"},
                                                          {"\"duplicates\":0", "\"duplicates\":1"}}) {
        archive a = plain_;
        const std::size_t at = a.ledger.find(from);
        ASSERT_NE(at, std::string::npos) << from;
        a.ledger.replace(at, from.size(), to);
        a.seal(lines_of(a.ledger));
        EXPECT_FALSE(a.sound()) << from << " -> " << to;
    }
}

RC_GTEST_FIXTURE_PROP(Tamper, NoChangeOfBytesWhateverItIsGoesUnnoticed, ()) {
    archive a = good_;
    std::vector<std::string*> parts{&a.journals["job-1"], &a.journals["job-2"], &a.ledger, &*a.head};
    std::string& part = *parts[*rc::gen::inRange<std::size_t>(0, parts.size())];
    const std::string before = part;
    const auto at = *rc::gen::inRange<std::size_t>(0, part.size() + 1);
    const auto cut = *rc::gen::inRange<std::size_t>(0, part.size() - at + 1);
    const auto put = *rc::gen::string<std::string>();
    part.replace(at, cut, put);
    RC_PRE(part != before);
    RC_ASSERT(!a.sound(rules_));
}

RC_GTEST_FIXTURE_PROP(Tamper, PiecesOfTheSameFilesPutTogetherDifferentlyAreFound, ()) {
    archive a = good_;
    std::vector<std::string*> parts{&a.journals["job-1"], &a.journals["job-2"], &a.ledger};
    std::string& part = *parts[*rc::gen::inRange<std::size_t>(0, parts.size())];
    std::vector<std::string> pool;
    for (const std::string* p : parts)
        for (std::string& line : lines_of(*p)) pool.push_back(std::move(line));
    const std::string before = part;
    part = joined(*rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(pool)));
    RC_PRE(part != before);
    RC_ASSERT(!a.sound(rules_));
}

}  // namespace
}  // namespace culld
