// The least that a client has to do for a list: reads it in blocks, finds its lines, holds each against the pattern of
// ids, and writes them into the bodies of requests. Says how many there were. For roofline.py.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

int main(int argc, char** argv) {
    if (argc != 3) return 64;
    const int fd = ::open(argv[1], O_RDONLY | O_CLOEXEC);
    const std::size_t batch = std::strtoul(argv[2], nullptr, 10);
    if (fd < 0 || batch == 0) return 66;
    std::array<unsigned char, 256> bad;
    bad.fill(1);
    for (const char c : std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"))
        bad[static_cast<unsigned char>(c)] = 0;
    std::vector<char> block(256 * 1024);
    std::string body;
    std::size_t have = 0, ids = 0, bytes = 0;
    for (;;) {
        const ssize_t got = ::read(fd, block.data() + have, block.size() - have);
        if (got < 0) return 74;
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
        const char* at = block.data();
        const char* const end = at + have;
        while (const void* found = std::memchr(at, '\n', static_cast<std::size_t>(end - at))) {
            const char* const line_end = static_cast<const char*>(found);
            const auto size = static_cast<std::size_t>(line_end - at);
            unsigned wrong = size == 0 || size > 100 ? 1 : 0;
            for (const char* p = at; p != line_end; ++p) wrong |= bad[static_cast<unsigned char>(*p)];
            if (wrong != 0) return 65;
            if (ids % batch == 0) {
                bytes += body.size();
                body.assign("{\"batch_ids\":[");
            } else {
                body += ',';
            }
            ((body += '"').append(at, size)) += '"';
            ++ids;
            at = line_end + 1;
        }
        have = static_cast<std::size_t>(end - at);
        std::memmove(block.data(), at, have);
    }
    std::printf("%zu ids, %zu bytes\n", ids, bytes + body.size());
    return 0;
}
