// What the fields of a job file mean (contract, section 2): the checker that the JSON and the YAML reader
// feed with the same events, and that ends in a job_spec whose gaps are filled from the configuration.
//
// An error stops at once and names field, line and column, what stood there and what must. Nothing unknown is
// skipped: a field that we do not know may be the one that was to protect something.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/time.hpp"
#include "culld/core/config/config.hpp"
#include "culld/core/ids/id_sink.hpp"
#include "culld/core/job/job_spec.hpp"

namespace culld {

inline constexpr std::size_t labels_max = 32;
inline constexpr std::size_t label_key_bytes_max = 63;
inline constexpr std::size_t label_value_bytes_max = 256;

// What a job is checked against. Borrowed: both outlive whoever holds this.
struct job_rules {
    const config& settings;
    std::span<const std::string_view> resources;  // the names that `resource` may have, the first is the default
};

struct scalar {
    enum class kind { text, number, boolean, null };
    kind type = kind::null;
    std::string_view text;  // a text's content; of the others what stood in the file: 5, 0.5, true, null
};

class job_document {
  public:
    // Ids of `ids` go to `sink` as they come; both are borrowed.
    job_document(job_rules rules, id_sink& sink);

    [[nodiscard]] result<void> begin_map(place at);
    [[nodiscard]] result<void> key(std::string_view name, place at);
    [[nodiscard]] result<void> end_map();
    [[nodiscard]] result<void> begin_list(place at);
    [[nodiscard]] result<void> end_list();
    [[nodiscard]] result<void> value(const scalar& v, place at);

    // Between begin_list and end_list of `ids`. A reader that has a faster way to find strings may hand ids
    // to the sink itself meanwhile.
    [[nodiscard]] bool in_ids() const { return where_ == spot::ids; }
    [[nodiscard]] bool has_ids() const { return seen_.contains("ids"); }

    // After the last event: what must be there is, what must fit together does.
    [[nodiscard]] result<job_spec> finish();

  private:
    enum class spot { start, fields, labels, abort_when, ids, end };

    [[nodiscard]] result<void> field(const scalar& v, place at);
    [[nodiscard]] result<void> label(const scalar& v, place at);
    [[nodiscard]] result<void> abort_field(const scalar& v, place at);
    [[nodiscard]] tl::unexpected<problem> wrong(std::string what, place at, std::string hint = {}) const;
    [[nodiscard]] tl::unexpected<problem> must_be(std::string_view what, const scalar& v, place at) const;
    [[nodiscard]] result<std::string> text(const scalar& v, place at) const;
    [[nodiscard]] result<std::uint64_t> whole(const scalar& v, place at, std::uint64_t low, std::uint64_t high) const;
    [[nodiscard]] result<bool> boolean(const scalar& v, place at) const;
    [[nodiscard]] result<std::optional<wall_time>> moment(const scalar& v, place at) const;

    job_rules rules_;
    id_sink& sink_;
    spot where_ = spot::start;
    std::string key_;    // the field or label whose value comes next
    std::string field_;  // dotted, for messages
    place root_;
    place key_at_;
    place deadline_at_;
    std::set<std::string, std::less<>> seen_;         // fields of the document
    std::set<std::string, std::less<>> seen_inside_;  // keys of labels or abort_when
    job_spec spec_;
};

// The job that a bare list asks for: every setting from the configuration.
[[nodiscard]] result<job_spec> bare_list_spec(const job_rules& rules);

// `<stem>-<UTC yyyymmddThhmmssZ>-<4 hex>` (contract, section 2); `chance` gives the four digits (its low 16
// bits). Whatever the stem holds, the result is a valid job id.
[[nodiscard]] std::string make_job_id(std::string_view stem, wall_time now, std::uint32_t chance);

// [A-Za-z0-9_][A-Za-z0-9._-]{0,99}, not `ledger`.
[[nodiscard]] bool is_job_id(std::string_view text);

// One path component that ends in .ids, .ids.gz or .ids.zst and does not begin with a dot.
[[nodiscard]] bool is_sidecar_name(std::string_view text);

}  // namespace culld
