// A spool in a temporary folder, and the ways in which files get into it.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "culld/io/spool/spool.hpp"

namespace culld {

class SpoolTest : public testing::Test {
  protected:
    SpoolTest() {
        ::umask(0022);  // a file that others may write is refused
        std::string pattern = testing::TempDir() + "culld-spool-XXXXXX";
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
        top_ = pattern;
        dir_ = top_ + "/spool";
        spool_ = std::move(spool::open(dir_).value());
    }
    ~SpoolTest() override { std::filesystem::remove_all(top_); }

    [[nodiscard]] std::string path(std::string_view where, std::string_view name) const {
        return dir_ + "/" + std::string(where) + "/" + std::string(name);
    }
    // As `cp` does: open in place, write, close.
    void copy_in(const std::string& name, std::string_view content = "[]\n") const {
        std::ofstream(path("incoming", name)) << content;
    }
    // As `cullctl submit` does.
    void rename_in(const std::string& name, std::string_view content = "[]\n") const {
        std::ofstream(path("tmp", "t")) << content;
        ASSERT_EQ(::rename(path("tmp", "t").c_str(), path("incoming", name).c_str()), 0);
    }
    [[nodiscard]] std::string content(std::string_view where, std::string_view name) const {
        return read_small_file(path(where, name), 1 << 20).value_or("<unreadable>");
    }
    [[nodiscard]] std::set<std::string> names(spool_folder where) const {
        std::set<std::string> out;
        EXPECT_TRUE(spool_.scan(where, [&](std::string_view name) { return out.emplace(name), true; }));
        return out;
    }

    std::string top_;
    std::string dir_;
    spool spool_;
};

}  // namespace culld
