#include "ctl/journal/job_check.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "culld/core/auth/credential_source.hpp"
#include "culld/core/base/sha256.hpp"
#include "culld/core/job/api_resource.hpp"
#include "culld/core/spool/file_readiness.hpp"
#include "culld/core/spool/unused_name.hpp"
#include "culld/io/ids/intake.hpp"
#include "culld/io/os/clock.hpp"

namespace culld::ctl {

namespace {

std::string folder_of(const std::string& path) {
    const std::string parent = std::filesystem::path(path).parent_path().string();
    return parent.empty() ? "." : parent;
}

// Everything an intake borrows, in one place.
struct surroundings {
    config settings;
    id_pattern pattern;
    protected_ids protect;
    mutable reading_watch watch{};

    surroundings(config from, id_pattern compiled, protected_ids never)
        : settings(std::move(from)), pattern(std::move(compiled)), protect(std::move(never)) {}
    [[nodiscard]] intake_surroundings over(const folder& plan) const {
        return {settings, pattern, resource_names(), protect, plan, watch};
    }
};

outcome<std::unique_ptr<surroundings>> surroundings_of(config settings) {
    auto pattern = id_pattern::compile(settings.ids.pattern);
    if (!pattern) return give_up(bad_config, std::move(pattern.error()));
    auto protect = load_protected_ids(settings.ids.protected_file, *pattern);
    if (!protect) return give_up(bad_config, std::move(protect.error()));
    return std::make_unique<surroundings>(std::move(settings), std::move(*pattern), std::move(*protect));
}

exit_code code_of(intake_fault fault) {
    return fault == intake_fault::ours ? io_error : bad_job;
}

result<unique_fd> regular_file(const folder& dir, const std::string& name) {
    auto file = dir.open_file(name, O_RDONLY);
    if (!file) return file;
    struct stat facts {};
    if (::fstat(file->get(), &facts) != 0) return fail(errno_problem("look at", name, errno));
    if (!S_ISREG(facts.st_mode)) return fail(problem{.what = "is no regular file", .file = name});
    return file;
}

// Reads `fd` as the job `name`, its sidecar from `dir`.
outcome<job_intake> run_intake(surroundings& around, const folder& plan, int fd, const std::string& name,
                               const list_opener& open_list) {
    intake taking(around.over(plan), wall_now(), 0);
    auto spec = taking.read_job(fd, name);
    if (!spec) return give_up(code_of(taking.fault()), std::move(spec.error()));
    if (taking.wants_list()) {
        auto list = open_list(spec->ids_file);
        if (!list) return tl::unexpected(std::move(list.error()));
        if (auto read = taking.read_sidecar(list->get(), spec->ids_file); !read)
            return give_up(code_of(taking.fault()), std::move(read.error()));
    }
    auto done = taking.finish();
    if (!done) return give_up(code_of(taking.fault()), std::move(done.error()));
    return std::move(*done);
}

// The file of `facts` in the spool: under its own name, or the one it got when it was put away; told by its
// hash.
outcome<unique_fd> open_source(const context& with, const source_facts& facts) {
    for (const char* where : {"active", "done", "failed"}) {
        auto dir = folder::open(with.settings.spool.dir + "/" + where);
        if (!dir) continue;
        for (std::uint32_t attempt = 0; attempt < names_tried; ++attempt) {
            const std::string name = unused_name(facts.file, attempt);
            if (!dir->exists(name)) {
                if (attempt == 0) continue;  // its own name may be free again, its other name not
                break;
            }
            auto file = regular_file(*dir, name);
            if (!file) continue;
            struct stat found {};
            if (::fstat(file->get(), &found) != 0 || static_cast<std::uint64_t>(found.st_size) != facts.bytes) continue;
            sha256 hash;
            std::string block(1U << 20U, '\0');
            for (std::uint64_t offset = 0;;) {
                auto read = read_some_at(file->get(), block.data(), block.size(), offset, name);
                if (!read) return give_up(io_error, std::move(read.error()));
                if (*read == 0) break;
                hash.update(std::string_view(block).substr(0, *read));
                offset += *read;
            }
            if (hex(hash.finish()) == facts.sha256) return std::move(*file);
        }
    }
    return give_up(not_there,
                   {.what = "the file that the job was accepted from is not in the spool any more",
                    .hint = "active/, done/ and failed/ were looked through for one with the journal's SHA-256",
                    .file = with.settings.spool.dir + "/*/" + facts.file});
}

}  // namespace

outcome<scratch_folder> scratch_folder::make() {
    const char* from = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): one thread
    std::string path = std::string(from != nullptr && *from != '\0' ? from : "/var/tmp") + "/cullctl-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr)
        return give_up(io_error, errno_problem("make a working folder (TMPDIR names another place)", path, errno));
    auto here = folder::open(path);
    if (!here) return give_up(io_error, std::move(here.error()));
    scratch_folder out;
    out.here_ = std::move(*here);
    return out;
}

scratch_folder::scratch_folder(scratch_folder&& other) noexcept : here_(std::exchange(other.here_, {})) {}

scratch_folder::~scratch_folder() {
    if (here_.fd() < 0) return;
    std::error_code ignored;  // what cannot be removed is left for the system's own cleaning
    std::filesystem::remove_all(here_.path(), ignored);
}

outcome<job_intake> check_job(const context& with, int fd, const std::string& name, const list_opener& open_list) {
    config settings = with.settings;
    if (!with.have_config) {
        // Whether the daemon's configuration has them cannot be known here.
        if (settings.api.project_id.empty()) settings.api.project_id = "unknown";
        if (settings.api.workspace_id.empty()) settings.api.workspace_id = "unknown";
    } else if (!project_to_look_up(settings).empty()) {
        settings.api.project_id = "unknown";  // the daemon asks IAM for it
    }
    // Who may submit need not know which ids are protected; the daemon skips them all the same.
    if (::access(settings.ids.protected_file.c_str(), R_OK) != 0 && errno == EACCES)
        settings.ids.protected_file.clear();
    auto around = surroundings_of(std::move(settings));
    if (!around) return tl::unexpected(std::move(around.error()));
    auto scratch = scratch_folder::make();
    if (!scratch) return tl::unexpected(std::move(scratch.error()));
    return run_intake(**around, scratch->here(), fd, name, open_list);
}

outcome<job_intake> check_job(const context& with, int fd, const std::string& name, const std::string& beside) {
    return check_job(with, fd, name, [&](const std::string& list) -> outcome<unique_fd> {
        auto dir = folder::open(beside);
        if (!dir) return give_up_on(beside, std::move(dir.error()));
        auto file = regular_file(*dir, list);
        if (file) return std::move(*file);
        file.error().hint = fmt::format("ids_file names it: it must lie beside {}", name);
        return give_up(bad_job, std::move(file.error()));
    });
}

outcome<job_intake> check_job(const context& with, const std::string& path) {
    auto file = open_own_file(path);
    if (!file) return tl::unexpected(std::move(file.error()));
    const std::string name = std::filesystem::path(path).filename().string();
    if (auto fault = name_fault(name)) return give_up(bad_job, std::move(*fault));
    return check_job(with, file->get(), name, folder_of(path));
}

outcome<unique_fd> open_own_file(const std::string& path) {
    // A path of the user's own: links are followed. A FIFO must not be waited for.
    unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!file) return give_up_on(path, errno_problem("open", path, errno));
    struct stat facts {};
    if (::fstat(file.get(), &facts) != 0) return give_up(io_error, errno_problem("look at", path, errno));
    if (!S_ISREG(facts.st_mode)) return give_up(bad_job, {.what = "is no regular file", .file = path});
    return file;
}

result<accepted_sources> sources_of(const record_view& accepted) {
    accepted_sources out;
    auto id = accepted.text("job_id");
    auto file = accepted.text("file"), hash = accepted.text("sha256");
    const auto bytes = accepted.u64("bytes"), ids = accepted.u64("ids");
    if (!id || !file || !hash || !bytes || !ids) return fail("job.accepted does not say where its ids came from");
    out.job_id = std::move(*id);
    out.source = {std::move(*file), std::move(*hash), *bytes};
    out.ids = *ids;
    const json_value* list = accepted.find("list");
    if (list == nullptr || list->kind != json_kind::object) return out;
    source_facts facts;
    json_reader scanner(list->raw);
    json_member member;
    while (scanner.next(member)) {
        if (member.key == "file") facts.file = member.value.text().value_or("");
        if (member.key == "sha256") facts.sha256 = member.value.text().value_or("");
        if (member.key == "bytes") facts.bytes = member.value.u64().value_or(0);
    }
    out.list = std::move(facts);
    return out;
}

outcome<id_store> ids_of_job(const context& with, const accepted_sources& job, const folder& scratch) {
    digest wanted{};
    const bool known = parse_hex(job.list ? job.list->sha256 : job.source.sha256, wanted);
    if (auto plans = folder::open(with.settings.journal.dir + "/.plan");
        plans && plans->exists(store_name(job.job_id))) {
        auto store = id_store::open(*plans, store_name(job.job_id));
        if (store && known && store->source() == wanted && store->count() == job.ids) return std::move(*store);
    }
    // The same reading as when it was accepted. Rules that may have changed since then do not count any more.
    config settings = with.settings;
    settings.jobs.require_labels.clear();
    settings.limits.max_ids_per_job = 0;
    settings.ids.protected_file.clear();
    if (settings.api.project_id.empty()) settings.api.project_id = "unknown";
    if (settings.api.workspace_id.empty()) settings.api.workspace_id = "unknown";
    auto around = surroundings_of(std::move(settings));
    if (!around) return tl::unexpected(std::move(around.error()));
    auto source = open_source(with, job.source);
    if (!source) return tl::unexpected(std::move(source.error()));
    auto done =
        run_intake(**around, scratch, source->get(), job.source.file, [&](const std::string&) -> outcome<unique_fd> {
            if (!job.list)
                return give_up(bad_job,
                               {.what = "it names a list that the journal does not know", .file = job.source.file});
            return open_source(with, *job.list);
        });
    if (!done) return tl::unexpected(std::move(done.error()));
    auto store = id_store::open(scratch, store_name(done->spec.id));
    if (!store) return give_up(io_error, std::move(store.error()));
    if (store->count() != job.ids)
        return give_up(bad_job,
                       {.what = fmt::format("it holds {} distinct ids, the journal says {}", store->count(), job.ids),
                        .file = job.source.file});
    return std::move(*store);
}

}  // namespace culld::ctl
