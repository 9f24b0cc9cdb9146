#include "culld/io/known_secrets.hpp"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include <algorithm>
#include <deque>
#include <memory_resource>
#include <mutex>
#include <new>

#include "culld/io/secret_file.hpp"

namespace culld {

namespace {

// Tokens follow one another for as long as we run; a server repeats one that it was sent lately.
constexpr std::size_t kept_max = 32;

// What a redactor holds is as good as the secrets themselves.
class secret_pages final : public std::pmr::memory_resource {
    void* do_allocate(std::size_t bytes, std::size_t) override {
        void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED) throw std::bad_alloc();
        if (::madvise(at, bytes, MADV_DONTDUMP) != 0) {
            static_cast<void>(::munmap(at, bytes));
            throw std::bad_alloc();
        }
        static_cast<void>(::mlock(at, bytes));  // as for a secret: where the kernel lets us
        return at;
    }
    void do_deallocate(void* at, std::size_t bytes, std::size_t) override {
        ::OPENSSL_cleanse(at, bytes);
        static_cast<void>(::munmap(at, bytes));
    }
    [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

struct room {
    std::mutex lock;
    std::deque<secret> kept;  // the latest last
    std::shared_ptr<const redactor> now = std::make_shared<const redactor>();
};

room& the_room() {
    static room one;
    return one;
}

std::pmr::memory_resource* pages() {
    static secret_pages one;
    return &one;
}

}  // namespace

void make_known(std::string_view secret_text) {
    if (secret_text.empty()) return;
    room& r = the_room();
    const std::lock_guard hold(r.lock);
    const auto same = std::ranges::find_if(r.kept, [&](const secret& s) { return s.view() == secret_text; });
    if (same != r.kept.end()) {
        std::rotate(same, same + 1, r.kept.end());
        return;
    }
    auto copy = secret::of(secret_text);
    if (!copy) throw std::bad_alloc();
    r.kept.push_back(std::move(*copy));
    if (r.kept.size() > kept_max) r.kept.pop_front();
    const auto next = std::make_shared<redactor>(nullptr, pages());
    for (const secret& s : r.kept) next->add(s.view());
    r.now = next;
}

void make_value_known(std::string_view value) {
    constexpr std::size_t word_min = 8;  // a scheme's name is shorter
    bool any = false;
    for (std::string_view rest = value; !rest.empty();) {
        const std::string_view word = rest.substr(0, rest.find(' '));
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        if (word.size() < word_min) continue;
        make_known(word);
        any = true;
    }
    if (!any) make_known(value);
}

std::shared_ptr<const redactor> known_secrets() {
    room& r = the_room();
    const std::lock_guard hold(r.lock);
    return r.now;
}

}  // namespace culld
