// cullctl submit FILE…: checked first, then dropped; with --wait followed to the end.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "ctl/daemon/control_client.hpp"
#include "ctl/jobs/drop.hpp"
#include "ctl/jobs/follow.hpp"
#include "ctl/jobs/reason_file.hpp"
#include "ctl/journal/job_check.hpp"
#include "ctl/journal/list_job.hpp"
#include "ctl/ui/interrupt.hpp"
#include "ctl/ui/verb.hpp"
#include "culld/core/spool/file_kind.hpp"
#include "culld/core/spool/unused_name.hpp"
#include "culld/core/text/json_reader.hpp"
#include "culld/core/text/json_writer.hpp"
#include "culld/core/text/percent_escape.hpp"
#include "culld/core/text/shell_quote.hpp"
#include "culld/io/os/clock.hpp"

namespace culld::ctl {

namespace {

struct submit_options {
    std::vector<std::string> files;
    std::string name = "stdin.txt";
    bool wait = false;
    bool yes = false;                      // ask nothing
    std::optional<std::uint64_t> confirm;  // so many distinct ids, over all files
    job_settings settings;                 // for bare lists
};

// A file that was copied and found good, and lies in tmp/ until it is dropped or thrown away.
struct prepared {
    std::string path;
    job_intake checked;
    dropping copy;
    std::optional<dropping> list;
};

struct submitted {
    std::string file;  // its name in incoming/
    std::uint64_t ids = 0;
    std::string at;  // RFC 3339: no job older than this is this one
};

outcome<void> check_kind(const std::string& name) {
    const file_type type = type_of(name);
    if (is_job(type.kind)) return {};
    if (type.kind == file_kind::sidecar)
        return give_up(bad_job,
                       {.what = "a list for a job's ids_file is no job by itself",
                        .hint = "submit the job that names it: the list is taken along; or call the list *.txt",
                        .file = name});
    return give_up(
        bad_job, {.what = "is no name of a job",
                  .hint = "jobs are *.json, *.yaml, *.yml; lists *.txt, *.csv, *.jsonl, *.ndjson, with .gz or .zst too",
                  .file = name});
}

// A bare list and what the command line says of it: a job and its sidecar, read as the daemon will.
outcome<prepared> prepare_list(const context& with, const std::string& path, const std::string& name, int file,
                               const job_settings& settings) {
    auto scratch = scratch_folder::make();
    if (!scratch) return tl::unexpected(std::move(scratch.error()));
    // What is checked is the copy that will be dropped: the original may change meanwhile, or be a pipe.
    auto original = dropping::copy(with, file, name);
    if (!original) return tl::unexpected(std::move(original.error()));
    auto made = make_list_job(settings, original->fd(), name, scratch->here());
    if (!made) return tl::unexpected(std::move(made.error()));
    auto list = dropping::copy(with, made->list.get(), made->sidecar_name);
    if (!list) return tl::unexpected(std::move(list.error()));
    auto job = dropping::copy(with, made->job.get(), made->job_name);
    if (!job) return tl::unexpected(std::move(job.error()));
    auto checked = check_job(with, job->fd(), made->job_name, [&](const std::string&) -> outcome<unique_fd> {
        unique_fd again(::fcntl(list->fd(), F_DUPFD_CLOEXEC, 3));
        if (!again) return give_up(io_error, errno_problem("duplicate descriptor of", made->sidecar_name, errno));
        return again;
    });
    if (!checked) {
        problem& about = checked.error().about;
        if (about.file.empty() || about.file == made->sidecar_name || about.file == made->job_name) about.file = path;
        return tl::unexpected(std::move(checked.error()));
    }
    return prepared{path, std::move(*checked), std::move(*job), std::move(*list)};
}

outcome<prepared> prepare(const context& with, const std::string& path, const submit_options& options) {
    const bool from_stdin = path == "-";
    const std::string name = from_stdin ? options.name : std::filesystem::path(path).filename().string();
    if (auto kind = check_kind(name); !kind) return tl::unexpected(std::move(kind.error()));
    unique_fd file;
    if (!from_stdin) {
        auto opened = open_own_file(path);
        if (!opened) return tl::unexpected(std::move(opened.error()));
        file = std::move(*opened);
    }
    const int from = from_stdin ? STDIN_FILENO : file.get();
    if (options.settings.any()) return prepare_list(with, path, name, from, options.settings);
    // What is checked is the copy that will be dropped: the original may change meanwhile.
    auto copy = dropping::copy(with, from, name);
    if (!copy) return tl::unexpected(std::move(copy.error()));
    const std::filesystem::path parent = std::filesystem::path(path).parent_path();
    const std::string beside = from_stdin || parent.empty() ? "." : parent.string();
    auto checked = check_job(with, copy->fd(), name, beside);
    if (!checked) {
        if (checked.error().about.file.empty() || checked.error().about.file == name) checked.error().about.file = path;
        return tl::unexpected(std::move(checked.error()));
    }
    std::optional<dropping> list_copy;
    if (!checked->spec.ids_file.empty()) {
        const std::string list_path = (std::filesystem::path(beside) / checked->spec.ids_file).string();
        auto list = open_own_file(list_path);
        if (!list) return tl::unexpected(std::move(list.error()));
        auto copied = dropping::copy(with, list->get(), checked->spec.ids_file);
        if (!copied) return tl::unexpected(std::move(copied.error()));
        list_copy.emplace(std::move(*copied));
    }
    return prepared{path, std::move(*checked), std::move(*copy), std::move(list_copy)};
}

// What is known before the first file is dropped: asked once for all of them.
class neighbours {
  public:
    explicit neighbours(const context& with) : with_(with) {
        if (!with.ask_daemon) return;
        const auto answer = ask(with.settings.http.socket, "GET", "/livez");
        if (!answer) {
            with.out.info(fmt::format("no daemon answers ({}): what is submitted waits until culld runs",
                                      printable(answer.error().about.text())));
            return;
        }
        if (auto jobs = all_jobs(with))
            for (job_facts& job : *jobs)
                if (!job.finished() && !job.is_file()) open_.push_back(std::move(job));
    }

    // What the daemon would reject though nothing is wrong with the file.
    [[nodiscard]] outcome<void> welcome(const prepared& job) const {
        const std::string& id = job.checked.spec.id;
        bool used = false, being_read = false;
        if (auto dir = folder::open(with_.settings.journal.dir)) used = dir->exists(journal_name(id));
        if (!used && with_.ask_daemon) {
            const auto known = ask(with_.settings.http.socket, "GET", "/v1/jobs/" + percent_encoded(id));
            used = known && known->status == 200;
            being_read = used && known->body.find(R"("waits_for":"reading")") != std::string::npos;
        }
        if (!used) return {};
        return give_up(bad_job, {.what = fmt::format("a job with the id \"{}\" {}", id,
                                                     being_read ? "is being read" : "was accepted before"),
                                 .hint = "nothing was submitted; give it another id if it is meant to run again",
                                 .file = job.path});
    }
    // The open job that was made of a file of that name, if there is one.
    [[nodiscard]] const job_facts* job_of(std::string_view file) const {
        const auto found =
            std::find_if(open_.begin(), open_.end(), [&](const job_facts& job) { return job.file == file; });
        return found == open_.end() ? nullptr : &*found;
    }

  private:
    const context& with_;
    std::vector<job_facts> open_;
};

outcome<submitted> drop(const context& with, prepared& job, const neighbours& others) {
    if (const job_facts* same = others.job_of(job.copy.name()))
        with.out.info(fmt::format("{} is the file of {}, which is open: this one gets another name",
                                  printable(job.copy.name()), printable(same->job_id)));
    if (job.list) {
        auto dropped = job.list->drop(name_policy::exactly);
        if (!dropped) return tl::unexpected(std::move(dropped.error()));
    }
    submitted out{.file = {}, .ids = job.checked.ids, .at = rfc3339(wall_now())};
    auto dropped =
        job.copy.drop(name_policy::or_free, [&](std::string_view name) { return others.job_of(name) != nullptr; });
    if (!dropped) return tl::unexpected(std::move(dropped.error()));
    out.file = std::move(*dropped);
    return out;
}

// The number that a person typed, who may have grouped its digits; none if it is no number.
std::optional<std::uint64_t> typed_number(std::string text) {
    std::erase_if(text, [](char c) { return c == ',' || c == ' ' || c == '\r' || c == '\n'; });
    std::uint64_t n = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return n;
}

// Does the person at the terminal mean it? Deleting cannot be undone, so that a mere "y" is not enough.
bool asked_and_confirmed(const context& with, const prepared& job) {
    const job_spec& spec = job.checked.spec;
    std::string where;
    if (with.have_config || spec.workspace_id != "unknown")
        where = fmt::format(" of workspace {}", printable(spec.workspace_id));
    static_cast<void>(write_all(
        STDERR_FILENO,
        fmt::format("{}: {} {}{} will be deleted, for good.\nType their number to go on: ", printable(job.path),
                    with.out.on_stderr(colour::bold, grouped(job.checked.ids)), printable(spec.resource), where),
        "stderr"));
    std::string answer;
    if (!std::getline(std::cin, answer)) static_cast<void>(write_all(STDERR_FILENO, "\n", "stderr"));
    return typed_number(answer) == job.checked.ids;
}

// Why the file was rejected, if it was since it was submitted.
std::optional<std::string> rejection_of(const context& with, const submitted& s) {
    if (auto dir = folder::open(with.settings.journal.dir))
        if (auto ledger = read_ledger(*dir))
            for (const ledger_entry& e : ledger->checked.entries())
                if (e.rejected && e.file == s.file && e.ts >= s.at) return e.error;
    // Not everybody may read the ledger.
    auto rejected = folder::open(with.settings.spool.dir + "/rejected");
    const auto submitted_at = parse_rfc3339(s.at);
    if (!rejected || !submitted_at) return std::nullopt;
    for (std::uint32_t attempt = 0; attempt < names_tried; ++attempt) {
        const std::string name = unused_name(s.file, attempt).append(reason_suffix);
        auto facts = rejected->stat(name);
        if (!facts) break;
        const auto written =
            std::chrono::seconds(facts->st_mtim.tv_sec) + std::chrono::nanoseconds(facts->st_mtim.tv_nsec);
        // File times come from a clock that ticks up to 10 ms behind.
        if (written + std::chrono::milliseconds(20) < submitted_at->time_since_epoch()) continue;
        const auto text = read_reason(*rejected, name);
        if (!text) continue;
        json_reader scanner(*text);
        json_member member;
        while (scanner.next(member))
            if (member.key == "error") return member.value.text().value_or("see " + rejected->path() + "/" + name);
    }
    return std::nullopt;
}

// Where a submitted file is on its way to a job.
struct whereabouts {
    bool incoming = false;         // still in the drop box
    bool active = false;           // taken; its list is being read, which takes minutes where it is long
    bool active_readable = false;  // else nothing is known about `active`
};

whereabouts whereabouts_of(const context& with, const submitted& s) {
    whereabouts out;
    if (auto dir = folder::open(with.settings.spool.dir + "/incoming")) out.incoming = dir->exists(s.file);
    if (auto dir = folder::open(with.settings.spool.dir + "/active")) {
        out.active_readable = true;
        out.active = dir->exists(s.file);
    }
    return out;
}

// Waits until the daemon has taken the file, then follows its job. The exit code.
int wait_for(const context& with, const submitted& s) {
    constexpr std::chrono::seconds patience(10);        // while nothing moves
    constexpr std::chrono::seconds blind_patience(60);  // where active/ cannot be looked into
    const interrupt_guard guard;
    auto moved = std::chrono::steady_clock::now();
    while (!interrupt_guard::interrupted()) {
        auto jobs = all_jobs(with);
        if (jobs) {
            const auto mine = std::find_if(jobs->rbegin(), jobs->rend(), [&](const job_facts& job) {
                return job.file == s.file && job.accepted_at >= s.at;
            });
            if (mine != jobs->rend()) {
                auto ended = follow(with, mine->job_id, follow_style::console);
                if (!ended) return report(with, ended.error());
                if (!*ended) return interrupted;
                with.out.data(with.json ? (*ended)->json + "\n" : "");
                return exit_code_of((*ended)->status);
            }
        }
        if (auto why = rejection_of(with, s)) {
            with.out.error(problem{.what = "rejected: " + *why, .hint = {}, .file = s.file});
            return bad_job;
        }
        const whereabouts at = whereabouts_of(with, s);
        const bool daemon = with.ask_daemon && ask(with.settings.http.socket, "GET", "/livez").has_value();
        const auto now = std::chrono::steady_clock::now();
        if (daemon && (at.incoming || at.active)) moved = now;
        if (now - moved >= (daemon && !at.active_readable ? blind_patience : patience)) {
            if (at.incoming || at.active)
                return report(with, {no_daemon,
                                     {.what = "no daemon answers, and the file is not worked on",
                                      .hint = "is culld running? The file stays, and is taken when it starts",
                                      .file = s.file}});
            return report(with, {try_later,
                                 {.what = "the file was taken, but no job of it shows",
                                  .hint = "cullctl list, or culld's log, may say more",
                                  .file = s.file}});
        }
        pause_between_looks();
    }
    with.out.error(fmt::format("{} stays submitted", printable(s.file)));
    return interrupted;
}

void tell(const context& with, const std::string& path, const submitted& one, bool wait) {
    if (with.json && !wait) {
        std::string text;
        json_object o(text);
        o.member("path", path).member("file", one.file).member("ids", one.ids).close();
        with.out.data(text + "\n");
    } else if (!wait) {
        with.out.data(one.file + "\n");
    }
    with.out.info(fmt::format("submitted {} ({} ids){}", printable(one.file), grouped(one.ids),
                              wait ? "" : fmt::format("; cullctl watch {} follows it", shell_quoted(one.file))));
}

// All files are checked before the first is dropped: their ids must add up.
outcome<std::vector<prepared>> prepare_confirmed(const context& with, const submit_options& options) {
    std::vector<prepared> out;
    std::uint64_t ids = 0;
    for (const std::string& path : options.files) {
        auto one = prepare(with, path, options);
        if (!one) return tl::unexpected(std::move(one.error()));
        ids += one->checked.ids;
        out.push_back(std::move(*one));
    }
    if (ids != *options.confirm)
        return give_up(bad_job, {.what = fmt::format("there are {} distinct ids, but --confirm says {}", grouped(ids),
                                                     grouped(*options.confirm)),
                                 .hint = "nothing was submitted"});
    return out;
}

int run_submit(const context& with, const submit_options& options) {
    if (std::count(options.files.begin(), options.files.end(), "-") > 1) {
        with.out.error(problem{.what = "- stands for standard input, which can be read once"});
        return usage;
    }
    const neighbours others(with);
    int worst = all_well;
    std::vector<submitted> done;
    const auto submit = [&](prepared& job) {
        auto one = drop(with, job, others);
        if (!one) {
            worst = std::max(worst, report(with, one.error()));
            return;
        }
        tell(with, job.path, *one, options.wait);
        done.push_back(std::move(*one));
    };
    if (options.confirm) {
        auto jobs = prepare_confirmed(with, options);
        if (!jobs) return report(with, jobs.error());
        for (const prepared& job : *jobs)
            if (auto welcome = others.welcome(job); !welcome) return report(with, welcome.error());
        for (prepared& job : *jobs) submit(job);
    } else {
        const bool ask_first = !options.yes && ::isatty(STDIN_FILENO) == 1 && with.out.stderr_is_terminal();
        for (const std::string& path : options.files) {
            auto job = prepare(with, path, options);
            if (!job) {
                worst = std::max(worst, report(with, job.error()));
                continue;
            }
            if (auto welcome = others.welcome(*job); !welcome) {
                worst = std::max(worst, report(with, welcome.error()));
                continue;
            }
            if (ask_first && !job->checked.spec.dry_run && !asked_and_confirmed(with, *job)) {
                with.out.error(fmt::format("{}: not submitted", printable(path)));
                worst = std::max<int>(worst, ended_early);
                continue;
            }
            submit(*job);
        }
    }
    if (options.wait)
        for (const submitted& s : done) worst = std::max(worst, wait_for(with, s));
    return worst;
}

}  // namespace

verb submit_verb(CLI::App& app) {
    auto* command = app.add_subcommand("submit", "check job files or lists and put them into the drop box");
    auto options = std::make_shared<submit_options>();
    command->add_option("FILE", options->files, "job files or bare lists; - reads a list from standard input")
        ->required();
    command->add_flag("--wait", options->wait, "follow the jobs to their end; the exit code tells how they ended");
    command->add_option("--name", options->name, "the name for standard input; its suffix tells its kind")
        ->check([](const std::string& name) {
            return name.find('/') == std::string::npos && !name.empty() ? "" : "must be a file name without a folder";
        })
        ->capture_default_str();
    command->add_option("--confirm", options->confirm,
                        "submit only if the files hold exactly this many distinct ids, all together");
    command->add_flag("-y,--yes", options->yes, "on a terminal, too, ask nothing");
    job_settings& settings = options->settings;
    command->add_flag("--dry-run", settings.dry_run, "of a bare list: everything but the delete");
    command->add_option("--id", settings.id, "of a bare list: the job's id; a list submitted twice runs once");
    command->add_option("--workspace", settings.workspace_id, "of a bare list: the workspace its ids are in");
    command
        ->add_option_function<std::vector<std::string>>(
            "--label",
            [options](const std::vector<std::string>& pairs) {
                for (const std::string& pair : pairs) {
                    const std::size_t equals = pair.find('=');
                    if (equals == std::string::npos || equals == 0)
                        throw CLI::ValidationError("--label", fmt::format("\"{}\" is not KEY=VALUE", printable(pair)));
                    options->settings.labels[pair.substr(0, equals)] = pair.substr(equals + 1);
                }
            },
            "of a bare list: KEY=VALUE, as often as there are labels")
        ->allow_extra_args(false);
    command->add_option("--batch-size", settings.batch_size, "of a bare list: ids in a request, 1 to 999");
    command->add_option("--priority", settings.priority, "of a bare list: 0 (first) to 9");
    return {command, [options](const context& with) { return run_submit(with, *options); }};
}

}  // namespace culld::ctl
