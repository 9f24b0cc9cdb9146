// The report as a page: one HTML file with nothing outside it, that reads on a screen, light or dark, and on paper.
// Its policy lets in its own style and nothing else: no script, no request. Pieces are appended in this order:
// head, then rows of events between the two event functions, rows of failed ids likewise, then foot.
#pragma once

#include <string>

#include "ctl/journal/result_rows.hpp"
#include "ctl/report/report_facts.hpp"

namespace culld::ctl {

class report_page {
  public:
    // `made_at`: RFC 3339. `folder`: where the journal lies, as the reader would name it.
    report_page(const report_facts& facts, std::string made_at, std::string folder)
        : facts_(facts), made_at_(std::move(made_at)), folder_(std::move(folder)) {}

    void head(std::string& out) const;  // up to the first event's row
    static void event(std::string& out, const record_view& record, std::uint64_t line);
    void between(std::string& out) const;  // up to the first failed id's row
    void failed_id(std::string& out, const result_row& row);
    void foot(std::string& out) const;

  private:
    void asked(std::string& out) const;
    void outcome_tiles(std::string& out) const;
    void pictures(std::string& out) const;
    void integrity(std::string& out) const;
    void by_hand(std::string& out) const;

    const report_facts& facts_;
    std::string made_at_, folder_;
    std::uint64_t rows_ = 0;
};

}  // namespace culld::ctl
