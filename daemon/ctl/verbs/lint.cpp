// cullctl lint FILE…
#include <fmt/format.h>

#include <chrono>

#include <memory>

#include "ctl/journal/job_check.hpp"
#include "ctl/ui/verb.hpp"
#include "culld/core/text/json_writer.hpp"

namespace culld::ctl {

verb lint_verb(CLI::App& app) {
    auto* command = app.add_subcommand("lint", "check job files and lists as the daemon would; nothing is submitted");
    auto files = std::make_shared<std::vector<std::string>>();
    command->add_option("FILE", *files, "job files or bare lists; a sidecar list is found beside its job")->required();
    return {
        command, [files](const context& with) -> int {
            int worst = all_well;
            for (const std::string& path : *files) {
                auto checked = check_job(with, path);
                if (!checked) {
                    failure& why = checked.error();
                    if (why.about.file.empty()) why.about.file = path;
                    worst = std::max<int>(worst, why.code);
                    if (with.json) {
                        std::string text;
                        json_object o(text);
                        o.member("path", path).member("ok", false).member("file", why.about.file);
                        o.member("error", why.about.what)
                            .member("line", why.about.line)
                            .member("column", why.about.column);
                        o.member("field", why.about.field).member("hint", why.about.hint).close();
                        with.out.data(text + "\n");
                    } else {
                        with.out.data(printable(why.about.text()) + "\n");
                    }
                    continue;
                }
                if (checked->spec.deadline && *checked->spec.deadline <= std::chrono::system_clock::now())
                    with.out.info(fmt::format("{}: its deadline is over: every id would be skipped", printable(path)));
                if (with.json) {
                    std::string text;
                    json_object o(text);
                    o.member("path", path).member("ok", true).member("job_id", checked->spec.id);
                    o.member("ids", checked->ids).member("duplicates", checked->duplicates);
                    o.member("protected", count_of(checked->protected_at)).close();
                    with.out.data(text + "\n");
                } else {
                    with.out.info(fmt::format(
                        "{}: {} {}, {} {}{}", printable(path), grouped(checked->ids), checked->ids == 1 ? "id" : "ids",
                        grouped(checked->duplicates), checked->duplicates == 1 ? "duplicate" : "duplicates",
                        checked->protected_at.empty()
                            ? ""
                            : fmt::format(", {} protected", grouped(count_of(checked->protected_at)))));
                }
            }
            return worst;
        }};
}

}  // namespace culld::ctl
