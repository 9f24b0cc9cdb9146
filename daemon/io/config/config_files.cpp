#include "culld/io/config/config_files.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <system_error>
#include <tuple>

#include "culld/core/base/sha256.hpp"
#include "culld/core/config/settings_merge.hpp"
#include "culld/core/text/shell_quote.hpp"
#include "culld/core/text/yaml_tree.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t file_bytes_max = 1UL << 20U;

// One run of load_config: what was read so far, and what is wrong with it.
class loader {
  public:
    explicit loader(const config_sources& sources) : sources_(sources) {}

    tl::expected<loaded_config, std::vector<config_complaint>> run() {
        read_main();
        if (problems_.empty() || !texts_.empty()) read_drop_ins();
        merge_environment(out_.effective, sources_.environment, problems_);
        // What a setting that could not be read does to others would only be noise.
        if (problems_.empty()) {
            derive_settings(out_.effective.values);
            problems_ = check_config(out_.effective, sources_.checks);
        }
        if (!problems_.empty()) return tl::unexpected(complaints(std::move(problems_)));
        auto warnings = config_warnings(out_.effective);
        std::ranges::move(writable_, std::back_inserter(warnings));
        out_.warnings = complaints(std::move(warnings));
        sha256 hash;
        hash.update(config_json(out_.effective.values));
        out_.sha256 = hex(hash.finish());
        return std::move(out_);
    }

  private:
    void read_main() {
        std::error_code error;
        const fs::file_status status = fs::status(sources_.file, error);
        if (status.type() == fs::file_type::not_found) {
            problems_.push_back(problem{
                .what = "no such file",
                .hint = sources_.file == default_config_path
                            ? "write it, or name another with --config FILE; a commented example comes with culld"
                            : "look at the name given with --config",
                .file = sources_.file});
            return;
        }
        read(sources_.file);
    }

    void read_drop_ins() {
        const std::string folder = sources_.file + ".d";
        std::error_code error;
        fs::directory_iterator entries(folder, error);
        if (error == std::errc::no_such_file_or_directory) return;
        std::vector<std::string> names;
        for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
            const std::string name = entries->path().filename().string();
            if (name.ends_with(".yaml") && !name.starts_with('.')) names.push_back(name);
        }
        if (error) {
            problems_.push_back(errno_problem("read folder", folder, error.value()));
            return;
        }
        std::sort(names.begin(), names.end());
        for (const std::string& name : names) read(fmt::format("{}/{}", folder, name));
    }

    void read(const std::string& file) {
        // A FIFO or a terminal would be read without an end; /dev/null is how a drop-in is masked.
        std::error_code error;
        const fs::file_status status = fs::status(file, error);
        if (fs::is_directory(status) || fs::is_fifo(status) || fs::is_socket(status)) {
            problems_.push_back(problem{.what = "is no regular file", .file = file});
            return;
        }
        struct stat facts {};
        if (::stat(file.c_str(), &facts) == 0 && S_ISREG(facts.st_mode)) {
            if ((facts.st_mode & S_IWOTH) != 0) {
                problems_.push_back(problem{.what = "everybody may write it, and so say what is deleted, and where",
                                            .hint = "chmod o-w " + shell_file(file),
                                            .file = file});
                return;
            }
            if (facts.st_uid != 0 && facts.st_uid != ::geteuid())
                writable_.push_back(
                    problem{.what = fmt::format("user {}, who owns it, may write it", facts.st_uid),
                            .hint = fmt::format("chown root {}, unless that is meant", shell_file(file)),
                            .file = file});
            if ((facts.st_mode & S_IWGRP) != 0 && facts.st_gid != 0)
                writable_.push_back(problem{.what = fmt::format("group {} may write it", facts.st_gid),
                                            .hint = fmt::format("chmod g-w {}, unless that is meant", shell_file(file)),
                                            .file = file});
        }
        auto text = read_small_file(file, file_bytes_max);
        if (!text) {
            problem p = std::move(text.error());
            if (p.hint.empty()) p.hint = "culld must be able to read it";
            problems_.push_back(std::move(p));
            return;
        }
        out_.files.push_back(file);
        const std::string& kept = texts_.emplace(file, std::move(*text)).first->second;
        auto tree = parse_strict_yaml(kept);
        if (!tree) {
            for (problem& p : tree.error()) {
                p.file = file;
                problems_.push_back(std::move(p));
            }
            return;
        }
        const fs::path base = fs::absolute(file, error).parent_path().lexically_normal();
        merge_yaml(out_.effective, *tree, file, base.string(), problems_);
    }

    std::vector<config_complaint> complaints(std::vector<problem> problems) const {
        const auto rank = [&](const problem& p) {
            const auto found = std::find(out_.files.begin(), out_.files.end(), p.file);
            return std::tuple(found - out_.files.begin(), p.line, p.column, p.file, p.what);
        };
        std::sort(problems.begin(), problems.end(),
                  [&](const problem& a, const problem& b) { return rank(a) < rank(b); });
        std::vector<config_complaint> out;
        for (problem& p : problems) {
            if (p.file.empty()) p.file = sources_.file;
            config_complaint c{std::move(p), {}};
            const auto text = texts_.find(c.about.file);
            // A line that may hold a secret by mistake is not repeated to the log.
            const bool secret = c.about.field.starts_with("auth") || !file_setting_for_secret(c.about.field).empty();
            if (text != texts_.end() && !secret) c.excerpt = source_excerpt(text->second, c.about.line, c.about.column);
            out.push_back(std::move(c));
        }
        return out;
    }

    const config_sources& sources_;
    loaded_config out_;
    std::map<std::string, std::string> texts_;  // by file, for excerpts
    std::vector<problem> problems_;
    std::vector<problem> writable_;  // files that others may write: to be warned of
};

}  // namespace

std::string config_complaint::text() const {
    return excerpt.empty() ? about.text() : fmt::format("{}\n{}", about.text(), excerpt);
}

tl::expected<loaded_config, std::vector<config_complaint>> load_config(const config_sources& sources) {
    return loader(sources).run();
}

std::vector<std::string> process_environment() {
    std::vector<std::string> out;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) out.emplace_back(*entry);
    return out;
}

}  // namespace culld
