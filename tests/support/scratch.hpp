// What the tests of the intake's rooms share: a folder of their own, files in it, and sinks that remember.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "culld/core/ids/id_sink.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

// A folder that goes away with the test.
class scratch {
  public:
    scratch() {
        std::string pattern = testing::TempDir() + "culld-ingest-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
        here_ = std::move(folder::open(path_).value());
    }
    ~scratch() { std::filesystem::remove_all(path_); }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;

    // A file with that content, open for reading.
    [[nodiscard]] unique_fd file(const std::string& name, std::string_view content) const {
        unique_fd fd(::openat(here_.fd(), name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        EXPECT_TRUE(write_all(fd.get(), content, name));
        return fd;
    }
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> out;
        for (const auto& entry : std::filesystem::directory_iterator(path_)) out.push_back(entry.path().filename());
        return out;
    }
    [[nodiscard]] const folder& here() const { return here_; }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
    folder here_;
};

// Remembers ids; refuses `refused`.
class remembering_sink final : public id_sink {
  public:
    explicit remembering_sink(std::string refused = "BAD") : refused_(std::move(refused)) {}
    bool take(std::string_view id) override {
        if (id == refused_) return false;
        ids.emplace_back(id);
        return true;
    }
    reason refusal() override { return {problem{.what = "refused"}, true}; }
    [[nodiscard]] std::uint64_t taken() const override { return ids.size(); }
    std::vector<std::string> ids;

  private:
    std::string refused_;
};

[[nodiscard]] inline std::string uuid(std::uint64_t n) {
    char text[64];
    std::snprintf(text, sizeof text, "%08lx-0000-4000-8000-%012lx",
                  static_cast<unsigned long>(n * 2654435761U % 4294967296U), static_cast<unsigned long>(n));
    return text;
}

}  // namespace culld
