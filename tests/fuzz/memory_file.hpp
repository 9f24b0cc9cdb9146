// A file with the fuzzer's bytes in it, since the readers read descriptors.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "culld/core/ids/id_pattern.hpp"
#include "culld/core/ids/id_sink.hpp"
#include "culld/io/os/file.hpp"

namespace culld::fuzz {

// Aborts where it cannot be made: that says nothing about the readers.
inline unique_fd memory_file(const std::uint8_t* data, std::size_t size) {
    unique_fd fd(::memfd_create("fuzz", MFD_CLOEXEC));
    if (!fd || !write_all(fd.get(), {reinterpret_cast<const char*>(data), size}, "fuzz")) std::abort();
    return fd;
}

// Takes what the default pattern takes. A reader must not go on after a refusal.
class checking_sink final : public id_sink {
  public:
    bool take(std::string_view id) override {
        if (refused_) std::abort();
        refused_ = !pattern_.matches(id);
        ++taken_;
        if (refused_) why_ = pattern_.refusal(id);
        return !refused_;
    }
    reason refusal() override { return {why_, true}; }
    [[nodiscard]] std::uint64_t taken() const override { return taken_; }
    [[nodiscard]] bool refused() const { return refused_; }

  private:
    id_pattern pattern_ = id_pattern::compile("[A-Za-z0-9_-]{1,100}").value();
    problem why_;
    bool refused_ = false;
    std::uint64_t taken_ = 0;
};

}  // namespace culld::fuzz
