#include "ctl/journal/list_job.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>

#include "culld/core/spool/file_kind.hpp"
#include "culld/core/text/json_writer.hpp"
#include "culld/io/lists/list_reader.hpp"

namespace culld::ctl {

namespace {

constexpr std::size_t write_bytes = 1U << 16U;

// Writes one id a line.
class lines_to final : public id_sink {
  public:
    lines_to(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
    bool take(std::string_view id) override {
        buffer_.append(id) += '\n';
        return buffer_.size() < write_bytes || flush();
    }
    reason refusal() override { return {why_, false}; }
    [[nodiscard]] bool flush() {
        auto done = write_all(fd_, buffer_, name_);
        buffer_.clear();
        if (!done) why_ = std::move(done.error());
        return done.has_value();
    }

  private:
    int fd_;
    std::string name_, buffer_;
    problem why_;
};

outcome<unique_fd> scratch_file(const folder& scratch, const std::string& name) {
    auto file = scratch.open_file(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (!file) return give_up(io_error, std::move(file.error()));
    return std::move(*file);
}

outcome<void> to_the_beginning(int fd, const std::string& name) {
    if (::lseek(fd, 0, SEEK_SET) != 0) return give_up(io_error, errno_problem("read again", name, errno));
    return {};
}

// Of a kind that no sidecar has: read, and written anew.
outcome<unique_fd> as_lines(int list, const std::string& name, const file_type& type, const folder& scratch) {
    auto out = scratch_file(scratch, "lines.ids");
    if (!out) return out;
    byte_source from(list, name, type.packed);
    lines_to sink(out->get(), name);
    if (auto read = read_list(from, type.kind, sink); !read) {
        if (read.error().file.empty()) read.error().file = name;
        return give_up(from.failed_to_read() ? io_error : bad_job, std::move(read.error()));
    }
    if (!sink.flush()) return give_up(io_error, sink.refusal().what);
    if (auto back = to_the_beginning(out->get(), name); !back) return tl::unexpected(std::move(back.error()));
    return out;
}

std::string job_text(const job_settings& s, const std::string& sidecar) {
    std::string out;
    json_object o(out);
    o.member("version", 1U);
    if (s.id) o.member("id", *s.id);
    if (s.workspace_id) o.member("workspace_id", *s.workspace_id);
    o.member("ids_file", sidecar);
    if (s.batch_size) o.member("batch_size", *s.batch_size);
    if (s.priority) o.member("priority", *s.priority);
    if (s.dry_run) o.member("dry_run", true);
    if (!s.labels.empty()) {
        std::string& to = o.begin("labels");
        to += '{';
        for (const auto& [key, value] : s.labels) {
            if (!to.ends_with('{')) to += ',';
            append_json_string(to, key);
            to += ':';
            append_json_string(to, value);
        }
        to += '}';
    }
    o.close();
    return out + "\n";
}

}  // namespace

outcome<list_job> make_list_job(const job_settings& settings, int list, const std::string& name,
                                const folder& scratch) {
    const file_type type = type_of(name);
    if (type.kind == file_kind::job_json || type.kind == file_kind::job_yaml)
        return give_up(usage,
                       {.what = "this job says for itself what --dry-run, --id, --workspace, --label, --batch-size "
                                "and --priority say for a bare list",
                        .hint = "write it into the job file",
                        .file = name});
    std::uint32_t chance = 0;
    if (::getrandom(&chance, sizeof chance, 0) != static_cast<ssize_t>(sizeof chance))
        return give_up(io_error, errno_problem("draw a random name", "getrandom", errno));
    list_job out;
    const std::string stem(type.stem);
    out.job_name = stem + ".json";
    out.sidecar_name = fmt::format("{}-{:08x}.ids", stem, chance);
    if (type.kind == file_kind::list_txt) {
        if (type.packed == compression::gzip) out.sidecar_name += ".gz";
        if (type.packed == compression::zstd) out.sidecar_name += ".zst";
        out.list.reset(::fcntl(list, F_DUPFD_CLOEXEC, 3));
        if (!out.list) return give_up(io_error, errno_problem("duplicate descriptor of", name, errno));
        if (auto back = to_the_beginning(out.list.get(), name); !back) return tl::unexpected(std::move(back.error()));
    } else {
        auto lines = as_lines(list, name, type, scratch);
        if (!lines) return tl::unexpected(std::move(lines.error()));
        out.list = std::move(*lines);
    }
    auto job = scratch_file(scratch, "job.json");
    if (!job) return tl::unexpected(std::move(job.error()));
    if (auto written = write_all(job->get(), job_text(settings, out.sidecar_name), out.job_name); !written)
        return give_up(io_error, std::move(written.error()));
    if (auto back = to_the_beginning(job->get(), out.job_name); !back) return tl::unexpected(std::move(back.error()));
    out.job = std::move(*job);
    return out;
}

}  // namespace culld::ctl
