// Lists of every kind, packed or not: the first byte picks which.
#include <array>

#include "culld/io/lists/list_reader.hpp"
#include "memory_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace culld;
    static constexpr std::array kinds{file_kind::list_txt, file_kind::list_csv, file_kind::list_jsonl};
    static constexpr std::array packings{compression::none, compression::gzip, compression::zstd};
    if (size == 0) return 0;
    const std::size_t choice = data[0];
    const unique_fd fd = fuzz::memory_file(data + 1, size - 1);
    fuzz::checking_sink sink;
    byte_source from(fd.get(), "list", packings[choice / 3 % 3]);
    const auto done = read_list(from, kinds[choice % 3], sink);
    if (done && sink.refused()) std::abort();
    if (done && from.facts().bytes != size - 1) std::abort();
    if (!done && done.error().what.empty()) std::abort();
    return 0;
}
