#include "plants.hpp"

#include <array>
#include <optional>

#include "culld/app/jobs/active_job.hpp"
#include "culld/core/answer/judge.hpp"
#include "culld/core/plan/plan.hpp"
#include "culld/io/journal/last_send_file.hpp"
#include "culld/io/journal/ledger_file.hpp"
#include "culld/io/spool/spool.hpp"

namespace culld::simulation {

namespace {

constexpr std::array bugs{
    planted_bug{"no-journal-fsync", "fdatasync of a journal is left out"},
    planted_bug{"late-journal-fsync", "records count as durable 40 ms before they are"},
    planted_bug{"no-folder-fsync", "fsync of a folder is left out"},
    planted_bug{"torn-tail-stays", "a torn tail is not cut off"},
    planted_bug{"intent-after-send", "ids are sent as soon as their intent is written, not when it is durable"},
    planted_bug{"lost-is-deleted", "a request without an answer counts as one that succeeded"},
    planted_bug{"unknown-is-deleted", "ids that the answer does not account for count as deleted"},
    planted_bug{"verdicts-forgotten", "a restart does not look at verdicts: it sends everything again"},
    planted_bug{"rate-mark-ignored", "a restart takes the bucket to be full"},
    planted_bug{"read-back-believed", "what is read back after a failed fsync is gone on with as it is"},
    planted_bug{"filed-before-ledger", "a job's file is put away before the ledger names the job"},
};

std::string_view active;

bool is(std::string_view name) {
    return active == name;
}

}  // namespace

std::span<const planted_bug> planted_bugs() {
    return bugs;
}

void plant(std::string_view name, world& in) {
    active = name;
    in.files.planted.journal_sync = name == "no-journal-fsync";
    in.files.planted.late_sync = name == "late-journal-fsync";
    in.files.planted.folder_sync = name == "no-folder-fsync";
    in.files.planted.cut = name == "torn-tail-stays";
}

// Functions of culld that a bug replaces, by `ld --wrap` like the kernel's calls. A member function takes its object as
// the first argument (Itanium C++ ABI). Should a signature change, its bug is found no more, and the test says so.

#define WRAPPED(symbol) asm("__wrap_" symbol)
#define REAL(symbol) asm("__real_" symbol)

#define JUDGE "_ZN5culld5judgeclESt17basic_string_viewIcSt11char_traitsIcEEmS4_"
result<judgement> real_judge(judge* self, std::string_view sent, std::uint64_t count, std::string_view body)
    REAL(JUDGE);
result<judgement> planted_judge(judge* self, std::string_view sent, std::uint64_t count, std::string_view body)
    WRAPPED(JUDGE);
result<judgement> planted_judge(judge* self, std::string_view sent, std::uint64_t count, std::string_view body) {
    auto out = real_judge(self, sent, count, body);
    if (is("unknown-is-deleted") && out) out->unknown.clear();
    return out;
}

#define WANTS_INTENT "_ZN5culld4plan12wants_intentEv"
#define INTENDED "_ZN5culld4plan8intendedERKSt6vectorINS_4spanESaIS2_EE"
spans real_wants_intent(plan* self) REAL(WANTS_INTENT);
void real_intended(plan* self, const spans& ranges) REAL(INTENDED);
spans planted_wants_intent(plan* self) WRAPPED(WANTS_INTENT);
spans planted_wants_intent(plan* self) {
    spans out = real_wants_intent(self);
    if (is("intent-after-send") && !out.empty()) real_intended(self, out);
    return out;
}
void planted_intended(plan* self, const spans& ranges) WRAPPED(INTENDED);
void planted_intended(plan* self, const spans& ranges) {
    if (!is("intent-after-send")) real_intended(self, ranges);
}

#define PLAN                                                                                                  \
    "_ZN5culld4planC1ERKNS_10plan_rulesERKNS_10plan_stateENSt6chrono10time_pointINS7_3_V212steady_clockENS7_" \
    "8durationIlSt5ratioILl1ELl1000000000EEEEEE"
void real_plan(plan* self, const plan_rules& rules, const plan_state& state, steady_time now) REAL(PLAN);
void planted_plan(plan* self, const plan_rules& rules, const plan_state& state, steady_time now) WRAPPED(PLAN);
void planted_plan(plan* self, const plan_rules& rules, const plan_state& state, steady_time now) {
    if (!is("verdicts-forgotten") || state.intended == 0) return real_plan(self, rules, state, now);
    plan_state anew;
    anew.ids = state.ids;
    anew.next_batch = state.next_batch;
    real_plan(self, rules, anew, now);
}

#define LANDED                                                                                                           \
    "_ZN5culld10active_job11on_answeredEPKNS_5batchERKNS_9judgementERKNS_11http_answerESt17basic_string_viewIcSt11char_" \
    "traitsIcEE"
#define MISSED                                                                                                  \
    "_ZN5culld10active_job9on_failedEPKNS_5batchENS_4plan4missESt17basic_string_viewIcSt11char_traitsIcEERKNS_" \
    "11http_answerES9_S9_NSt6chrono10time_pointINSD_3_V212steady_clockENSD_8durationIlSt5ratioILl1ELl1000000000EEEEEES9_"
void real_landed(active_job* self, const batch* b, const judgement& j, const http_answer& answer, std::string_view sent)
    REAL(LANDED);
void real_missed(active_job* self, const batch* b, plan::miss how, std::string_view error_class,
                 const http_answer& answer, std::string_view code, std::string_view detail, steady_time earliest,
                 std::string_view sent) REAL(MISSED);
void planted_landed(active_job* self, const batch* b, const judgement& j, const http_answer& answer,
                    std::string_view sent) WRAPPED(LANDED);
void planted_landed(active_job* self, const batch* b, const judgement& j, const http_answer& answer,
                    std::string_view sent) {
    real_landed(self, b, j, answer, sent);
}
void planted_missed(active_job* self, const batch* b, plan::miss how, std::string_view error_class,
                    const http_answer& answer, std::string_view code, std::string_view detail, steady_time earliest,
                    std::string_view sent) WRAPPED(MISSED);
void planted_missed(active_job* self, const batch* b, plan::miss how, std::string_view error_class,
                    const http_answer& answer, std::string_view code, std::string_view detail, steady_time earliest,
                    std::string_view sent) {
    if (!is("lost-is-deleted") || how != plan::miss::in_doubt)
        return real_missed(self, b, how, error_class, answer, code, detail, earliest, sent);
    judgement all;
    all.sent = b->count();
    http_answer good = answer;
    good.status = 200;
    real_landed(self, b, all, good, sent);
}

#define QUIET_FOR                                                                                                     \
    "_ZN5culld14last_send_file9quiet_forENSt6chrono8durationIdSt5ratioILl1ELl1EEEENS1_10time_pointINS1_3_V212system_" \
    "clockENS2_IlS3_ILl1ELl1000000EEEEEE"
result<bool> real_quiet_for(last_send_file* self, std::chrono::duration<double> span, wall_time now) REAL(QUIET_FOR);
result<bool> planted_quiet_for(last_send_file* self, std::chrono::duration<double> span, wall_time now)
    WRAPPED(QUIET_FOR);
result<bool> planted_quiet_for(last_send_file* self, std::chrono::duration<double> span, wall_time now) {
    auto out = real_quiet_for(self, span, now);
    if (is("rate-mark-ignored") && out) return true;
    return out;
}

#define MAKE_DURABLE_AGAIN \
    "_ZN5culld18make_durable_againERKNS_6folderERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEm"
result<void> real_make_durable_again(const folder& dir, const std::string& name, std::uint64_t size)
    REAL(MAKE_DURABLE_AGAIN);
result<void> planted_make_durable_again(const folder& dir, const std::string& name, std::uint64_t size)
    WRAPPED(MAKE_DURABLE_AGAIN);
result<void> planted_make_durable_again(const folder& dir, const std::string& name, std::uint64_t size) {
    return is("read-back-believed") ? result<void>() : real_make_durable_again(dir, name, size);
}

#define APPEND                                                                                             \
    "_ZN5culld11ledger_file6appendERKNS_12ledger_factsENSt6chrono10time_pointINS4_3_V212system_clockENS4_" \
    "8durationIlSt5ratioILl1ELl1000000EEEEEE"
#define FILE_AWAY \
    "_ZNK5culld5spool9file_awayERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEENS_12spool_folderESt17basic_string_viewIcS4_E"
result<ledger_file::line> real_append(ledger_file* self, const ledger_facts& facts, wall_time ts) REAL(APPEND);
result<ledger_file::line> planted_append(ledger_file* self, const ledger_facts& facts, wall_time ts) WRAPPED(APPEND);
result<std::optional<std::string>> real_file_away(const spool* self, const std::string& name, spool_folder to,
                                                  std::string_view as) REAL(FILE_AWAY);
result<std::optional<std::string>> planted_file_away(const spool* self, const std::string& name, spool_folder to,
                                                     std::string_view as) WRAPPED(FILE_AWAY);

namespace {
// What the ledger is to be told when the file has been put away. One thread does both, one job after another.
struct postponed_line {
    ledger_file* to;
    ledger_facts facts;
    wall_time ts;
};
std::optional<postponed_line> postponed;
}  // namespace

result<ledger_file::line> planted_append(ledger_file* self, const ledger_facts& facts, wall_time ts) {
    if (!is("filed-before-ledger") || facts.totals == nullptr) return real_append(self, facts, ts);
    postponed = {self, facts, ts};  // what its views show lives until the job has been filed
    return ledger_file::line{};
}
result<std::optional<std::string>> planted_file_away(const spool* self, const std::string& name, spool_folder to,
                                                     std::string_view as) {
    auto out = real_file_away(self, name, to, as);
    if (auto line = std::exchange(postponed, std::nullopt); line && out)
        if (auto written = real_append(line->to, line->facts, line->ts); !written)
            return fail(std::move(written.error()));
    return out;
}

}  // namespace culld::simulation
