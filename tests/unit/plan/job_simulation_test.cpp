// The law of the core: whatever a server answers, whatever is lost on the way, and wherever a crash cuts the journal,
// every id of a job ends with exactly one verdict, the totals add up, nothing is sent without a durable intent, and
// nothing is called deleted that is not gone. One seed is one history; a failing seed is printed and repeats.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <set>

#include "culld/core/journal/audit.hpp"
#include "culld/core/journal/chain.hpp"
#include "culld/core/journal/journal_write.hpp"
#include "culld/core/journal/replay.hpp"
#include "culld/core/plan/plan.hpp"

namespace culld {
namespace {

using namespace std::chrono_literals;

class history {
  public:
    explicit history(std::uint64_t seed) : dice_(seed) {
        intake_.spec = {.id = "job",
                        .resource = "incidents",
                        .project_id = "p",
                        .workspace_id = "w",
                        .batch_size = static_cast<std::uint32_t>(below(12) + 1),
                        .max_attempts = static_cast<std::uint32_t>(below(4) + 1)};
        intake_.spec.verify = static_cast<verify_mode>(below(3));
        intake_.source = {"job.txt", std::string(64, '0'), 1};
        intake_.ids = below(120) + 1;
        for (position p = 0; p < intake_.ids; ++p)
            if (chance(0.05)) append(intake_.protected_at, {p, 1});
        for (position p = 0; p < intake_.ids; ++p) {
            if (chance(0.05)) poison_.insert(p);
            if (chance(0.05)) stubborn_.insert(p);
            if (chance(0.05)) gone_.insert(p);  // somebody else was faster
        }
        for (position p = 0; p < intake_.ids; ++p)
            if (chance(0.02)) protected_later_.insert(p);
        if (chance(0.1)) refused_until_ = below(300);
        ask_refused_chance_ = chance(0.3) ? 0.3 : 0;
        stop_chance_ = chance(0.3) ? 0.01 : 0;
        crash_chance_ = chance(0.7) ? 0.03 : 0;
        rules_.batch_size = intake_.spec.batch_size;
        rules_.max_attempts = intake_.spec.max_attempts;
        rules_.verify = intake_.spec.verify;
        rules_.give_up_after = 1h;
        rules_.window = rules_.batch_size * (2 + below(6));
        rules_.outstanding_max = 4 + below(40);
        plan_state fresh{.ids = intake_.ids};
        fresh.presettled = intake_.protected_at;
        fresh.counts.skipped = count_of(intake_.protected_at);
        plan_.emplace(rules_, fresh, now_);
        write_accepted(chain_, buffer_, wall_, {.intake = &intake_, .config_sha256 = "00"});
        if (!intake_.protected_at.empty())
            record({{.kind = verdict_kind::skipped, .reason = "protected", .attempts = 0, .at = intake_.protected_at}});
    }

    void run() {
        for (int steps = 0; !over_; ++steps) {
            ASSERT_LT(steps, 200'000) << "no end in sight: " << plan_->counts().sum() << " of " << intake_.ids;
            if (chance(crash_chance_) && accepted_durable_) {
                crash();
                if (testing::Test::HasFatalFailure()) return;
            }
            if (chance(stop_chance_) && !plan_->stopping() && !plan_->done()) {
                write_command(chain_, buffer_, wall_, "job.cancelled", {}, "", std::nullopt);
                record(plan_->stop(skip_reason::cancelled, now_));
            }
            // Blocked: it is up to a person.
            if (plan_->nothing_passes() && chance(0.02)) {
                write_command(chain_, buffer_, wall_, "job.cancelled", {}, "", std::nullopt);
                record(plan_->stop(skip_reason::cancelled, now_));
            }
            if (plan_->stopping() && chance(0.02)) {
                unasked_ = true;
                record(plan_->end_asking());
            }
            if (chance(0.3)) commit();
            ++steps_;
            step();
            if (testing::Test::HasFatalFailure()) return;
        }
        judge_the_end();
    }

  private:
    std::uint64_t below(std::uint64_t n) { return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(dice_); }
    bool chance(double p) { return std::uniform_real_distribution<double>(0, 1)(dice_) < p; }
    double roll() { return std::uniform_real_distribution<double>(0, 1)(dice_); }

    static std::string quoted(const spans& at) {
        std::string out;
        for (const span& s : at)
            for (position p = s.first; p < s.end(); ++p) out += fmt::format("{}\"id-{}\"", out.empty() ? "" : ",", p);
        return out;
    }
    static std::vector<position> each(const spans& at) {
        std::vector<position> out;
        for (const span& s : at)
            for (position p = s.first; p < s.end(); ++p) out.push_back(p);
        return out;
    }

    void record(const std::vector<verdict>& all) {
        for (const verdict& v : all) {
            write_verdict(chain_, buffer_, wall_, v, quoted(v.at));
            for (const position p : each(v.at)) settled_later_.push_back(p);
        }
    }

    void commit() {
        durable_ += buffer_;
        buffer_.clear();
        accepted_durable_ = true;
        for (const position p : settled_later_) settled_.insert(p);
        settled_later_.clear();
        if (!intent_.empty()) {
            for (const position p : each(intent_)) intended_.insert(p);
            plan_->intended(std::exchange(intent_, {}));
        }
    }

    void step() {
        now_ += std::chrono::milliseconds(below(50));
        wall_ += 1ms;
        if (plan_->done()) {
            commit();
            finish();
            return;
        }
        if (intent_.empty() && chance(0.02)) {
            const plan_state state = plan_->state();
            write_checkpoint(chain_, buffer_, wall_, {.state = &state, .totals = totals(), .stopped = stopped()});
        }
        if (intent_.empty()) {
            intent_ = plan_->wants_intent();
            for (const span& s : intent_) write_intent(chain_, buffer_, wall_, s);
        }
        if (flying_.size() < 4 && chance(0.7)) {
            if (const batch* b = plan_->take(now_)) {
                for (const position p : each(b->at)) {
                    ASSERT_TRUE(intended_.contains(p)) << "sent without a durable intent: " << p;
                    ASSERT_FALSE(settled_.contains(p)) << "sent although it has its verdict: " << p;
                }
                flying_.push_back(b);
                return;
            }
        }
        if (!flying_.empty()) {
            const std::size_t i = below(flying_.size());
            const batch* b = flying_[i];
            flying_.erase(flying_.begin() + static_cast<long>(i));
            if (b->what == batch::purpose::lookup)
                answer_ask(b);
            else
                answer_deletion(b);
            return;
        }
        // Nothing moves but time and the disk.
        if (const auto due = plan_->due(); due && *due > now_)
            now_ = *due;
        else
            commit();
    }

    void answer_ask(const batch* b) {
        if (chance(0.1)) {
            record(plan_->on_failed(b, plan::miss::in_doubt, now_, now_, roll()));
            return;
        }
        if (chance(0.05)) {
            record(plan_->return_unsent(b, now_));
            return;
        }
        const position p = b->at[0].first;
        if (chance(ask_refused_chance_)) {
            unasked_ = true;
            record(plan_->on_lookup_refused(b, chance(0.5)));
            return;
        }
        record(plan_->on_lookup_answered(b, gone_.contains(p) ? presence::gone : presence::there, now_, roll()));
    }

    void error(const batch* b, std::string_view error_class, plan::miss how) {
        if (how != plan::miss::unsent) {
            ++requests_;
            if (b->sent_before) ++retries_;
        }
        if (error_class == "throttled") ++throttled_;
        write_error(
            chain_, buffer_, wall_,
            {.of = b, .error_class = error_class, .http_status = 0, .code = "", .detail = "", .ids = quoted(b->at)});
        record(plan_->on_failed(b, how, now_, now_, roll()));
    }

    void answer_deletion(const batch* b) {
        const std::vector<position> all = each(b->at);
        if (steps_ > 20) {  // the list of protected ids is another by now
            std::vector<std::uint32_t> hits;
            for (std::uint32_t i = 0; i < all.size(); ++i)
                if (protected_later_.contains(all[i])) hits.push_back(i);
            if (!hits.empty()) {
                record(plan_->withhold(b, hits, now_));
                return;
            }
        }
        const double fate = roll();
        if (fate < 0.03) {
            record(plan_->return_unsent(b, now_));
            return;
        }
        if (fate < 0.06) return error(b, "connect", plan::miss::unsent);
        if (fate < 0.12) return error(b, "throttled", plan::miss::declined);
        if (fate < 0.18) return error(b, "timeout", plan::miss::in_doubt);
        for (const position p : all)
            if ((poison_.contains(p) && !gone_.contains(p)) || deletions_++ < refused_until_) {
                ++requests_;
                if (b->sent_before) ++retries_;
                write_error(chain_, buffer_, wall_,
                            {.of = b,
                             .error_class = "rejected",
                             .http_status = 400,
                             .code = "SecMaster.20030001",
                             .detail = "",
                             .ids = quoted(b->at)});
                record(plan_->on_split(b, now_));
                return;
            }
        // It is done, whether or not we hear of it.
        judgement j;
        j.sent = all.size();
        for (std::uint32_t i = 0; i < all.size(); ++i) {
            if (gone_.contains(all[i]) || stubborn_.contains(all[i]) || chance(0.1)) {
                j.refused.push_back(i);
                continue;
            }
            gone_.insert(all[i]);
            if (chance(0.05)) j.unknown.push_back(i);
        }
        if (fate < 0.24) return error(b, "transport", plan::miss::in_doubt);
        ++requests_;
        if (b->sent_before) ++retries_;
        static const std::vector<std::string> request_ids{"r"};
        const std::string sent = quoted(b->at);
        sorted_ids sorted;
        sort_out(sent, j, sorted);
        write_result(chain_, buffer_, wall_,
                     {.of = b,
                      .http_status = 200,
                      .code = "00000000",
                      .request_ids = &request_ids,
                      .ms = 1,
                      .verdict = rules_.verify != verify_mode::all,
                      .deleted = sorted.deleted,
                      .failed = sorted.refused,
                      .unknown = sorted.unknown,
                      .failed_at = positions(b->at, j.refused),
                      .unknown_at = positions(b->at, j.unknown)});
        if (rules_.verify != verify_mode::all)
            for (std::uint32_t i = 0; i < all.size(); ++i)
                if (!std::binary_search(j.refused.begin(), j.refused.end(), i) &&
                    !std::binary_search(j.unknown.begin(), j.unknown.end(), i))
                    settled_later_.push_back(all[i]);
        record(plan_->on_answered(b, j, now_, roll()));
    }

    [[nodiscard]] std::optional<skip_reason> stopped() const {
        return plan_->stopping() ? std::optional(skip_reason::cancelled) : std::nullopt;
    }

    // The process dies: what was not committed is gone, up to a torn piece of it.
    void crash() {
        ++crashes_;
        std::string disk = durable_ + buffer_.substr(0, below(buffer_.size() + 1));
        replay job;
        chain_checker chain;
        record_view r;
        std::size_t good = 0;
        for (std::size_t at = 0; at < disk.size();) {
            const std::size_t end = disk.find('\n', at);
            if (end == std::string::npos) break;
            const std::string_view line = std::string_view(disk).substr(at, end - at);
            const auto fed = chain.feed(line, true, r);
            ASSERT_TRUE(fed) << fed.error().text();
            const auto understood = job.feed(r);
            ASSERT_TRUE(understood) << understood.error().text() << "\n" << line;
            at = good = end + 1;
        }
        const std::uint64_t torn = disk.size() - good;
        disk.resize(good);
        recovered_job back = job.finish();
        compare_with_checkpoint(std::string_view(disk).substr(0, good), back);
        ASSERT_TRUE(back.accepted);
        ASSERT_EQ(back.state.ids, intake_.ids);
        durable_ = std::move(disk);
        buffer_.clear();
        chain_ = chain_writer({chain.records(), chain.head()});
        flying_.clear();
        intent_.clear();
        settled_later_.clear();
        requests_ = back.requests;
        retries_ = back.retries;
        throttled_ = back.throttled;
        // What the disk says is intended may be sent, and what it says is settled must not be.
        for (position p = 0; p < back.state.intended; ++p) intended_.insert(p);
        rebuild_settled();
        plan_.emplace(rules_, back.state, now_);
        if (!back.in_doubt.empty() || torn > 0) write_recovered(chain_, buffer_, wall_, back.in_doubt, torn);
        record(plan_->due_verdicts());
        if (back.status) {
            over_ = true;
        } else if (back.stopped) {
            record(plan_->stop(*back.stopped, now_));
        }
        commit();
    }

    // Reading from the last checkpoint on must come to the same.
    void compare_with_checkpoint(std::string_view whole, const recovered_job& full) {
        const std::size_t mark = whole.rfind(R"("type":"checkpoint")");
        if (mark == std::string_view::npos) return;
        const std::string_view tail = whole.substr(whole.rfind('\n', mark) + 1);
        replay job;
        record_view r;
        const auto feed = [&](std::string_view text) {
            while (!text.empty()) {
                const std::size_t end = text.find('\n');
                ASSERT_TRUE(read_record(text.substr(0, end), r));
                const auto understood = job.feed(r);
                ASSERT_TRUE(understood) << understood.error().text();
                text.remove_prefix(end + 1);
            }
        };
        feed(whole.substr(0, whole.find('\n') + 1));
        feed(tail);
        const recovered_job part = job.finish();
        EXPECT_EQ(part.state.counts, full.state.counts);
        EXPECT_EQ(part.state.intended, full.state.intended);
        EXPECT_GE(part.state.next_batch, full.state.next_batch);  // numbers handed out and never answered for
        EXPECT_EQ(part.state.presettled, full.state.presettled);
        EXPECT_EQ(part.state.first_bad, full.state.first_bad);
        EXPECT_EQ(part.stopped, full.stopped);
        EXPECT_EQ(part.throttled, full.throttled);
        EXPECT_EQ(part.requests, full.requests);
        EXPECT_EQ(part.retries, full.retries);
        // A checkpoint may know less of ids that were never answered for: whether they were sent does not matter to
        // them.
        EXPECT_EQ(part.in_doubt, full.in_doubt);
    }

    void rebuild_settled() {
        audit(false);
        settled_.clear();
        for (const span& s : audited_->settled().all())
            for (position p = s.first; p < s.end(); ++p) settled_.insert(p);
    }

    void audit(bool finished) {
        audited_.emplace();
        chain_checker chain;
        record_view r;
        std::uint64_t line = 0;
        for (std::size_t at = 0; at < durable_.size();) {
            const std::size_t end = durable_.find('\n', at);
            ASSERT_NE(end, std::string::npos);
            const auto fed = chain.feed(std::string_view(durable_).substr(at, end - at), true, r);
            ASSERT_TRUE(fed) << fed.error().text();
            audited_->feed(r, ++line);
            at = end + 1;
        }
        audited_->end(finished);
        for (const problem& p : audited_->findings()) ADD_FAILURE() << p.text();
    }

    [[nodiscard]] job_totals totals() const {
        const verdict_counts& c = plan_->counts();
        return {.ids = intake_.ids,
                .deleted = c.deleted,
                .absent = c.absent,
                .failed = c.failed,
                .skipped = c.skipped,
                .duplicates = 0,
                .requests = requests_,
                .retries = retries_,
                .throttled = throttled_};
    }

    void finish() {
        const bool cancelled = plan_->stopping();
        write_finished(chain_, buffer_, wall_,
                       cancelled                    ? "cancelled"
                       : plan_->counts().failed > 0 ? "completed_with_failures"
                                                    : "completed",
                       totals(), wall_);
        commit();
        over_ = true;
    }

    void judge_the_end() {
        ASSERT_TRUE(plan_->done());
        ASSERT_EQ(plan_->counts().sum(), intake_.ids);
        audit(true);
        ASSERT_EQ(settled_.size(), intake_.ids);
        // Read the verdicts by name and hold them against what the server knows.
        std::map<std::string, std::string> verdicts;
        record_view r;
        for (std::size_t at = 0; at < durable_.size();) {
            const std::size_t end = durable_.find('\n', at);
            ASSERT_TRUE(read_record(std::string_view(durable_).substr(at, end - at), r));
            const auto take = [&](std::string_view key, const char* name) {
                const json_value* list = r.find(key);
                if (list == nullptr) return;
                json_strings ids(*list);
                for (std::string_view id; ids.next(id);) {
                    const bool first = verdicts.emplace(std::string(id), name).second;
                    EXPECT_TRUE(first) << id << " has a second verdict";
                }
            };
            if (r.type == record_type::batch_result) take("deleted", "deleted");
            if (r.type == record_type::ids_deleted) take("ids", "deleted");
            if (r.type == record_type::ids_absent) take("ids", "absent");
            if (r.type == record_type::ids_failed) take("ids", "failed");
            if (r.type == record_type::ids_skipped) take("ids", "skipped");
            at = end + 1;
        }
        ASSERT_EQ(verdicts.size(), intake_.ids);
        for (const auto& [id, what] : verdicts) {
            const position p = std::stoull(id.substr(3));
            const bool gone = gone_.contains(p);
            EXPECT_TRUE(gone || (what != "deleted" && what != "absent"))
                << id << " is called " << what << " and is there";
            EXPECT_FALSE(gone && what == "failed" && rules_.verify != verify_mode::none && !unasked_)
                << id << " failed and is gone";
        }
    }

    std::mt19937_64 dice_;
    job_intake intake_;
    plan_rules rules_;
    std::optional<plan> plan_;
    chain_writer chain_;
    std::string durable_, buffer_;
    bool accepted_durable_ = false;
    spans intent_;
    std::vector<const batch*> flying_;
    std::set<position> intended_, settled_, gone_, poison_, stubborn_;
    std::vector<position> settled_later_;
    std::uint64_t requests_ = 0, retries_ = 0, throttled_ = 0;
    std::optional<journal_audit> audited_;
    steady_time now_{std::chrono::hours(1)};
    wall_time wall_{std::chrono::microseconds(1'795'568'523'123'456)};
    double stop_chance_ = 0, crash_chance_ = 0, ask_refused_chance_ = 0;
    std::set<position> protected_later_;
    std::uint64_t refused_until_ = 0, deletions_ = 0;  // at first every deletion is refused for its content
    int steps_ = 0;
    bool unasked_ = false;  // some id may have ended without being asked for
    int crashes_ = 0;
    bool over_ = false;
};

TEST(JobSimulation, EveryIdGetsExactlyOneVerdictWhateverHappens) {
    const char* first = std::getenv("CULLD_TEST_SEED");
    const char* count = std::getenv("CULLD_TEST_SEEDS");
    const std::uint64_t from = first != nullptr ? std::strtoull(first, nullptr, 10) : 1;
    const std::uint64_t seeds = count != nullptr ? std::strtoull(count, nullptr, 10) : first != nullptr ? 1 : 300;
    for (std::uint64_t seed = from; seed < from + seeds; ++seed) {
        SCOPED_TRACE(fmt::format("CULLD_TEST_SEED={}", seed));
        history h(seed);
        h.run();
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace culld
