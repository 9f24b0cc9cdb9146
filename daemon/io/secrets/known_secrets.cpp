#include "culld/io/secrets/known_secrets.hpp"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory_resource>
#include <mutex>
#include <new>

#include "culld/io/secrets/secret_file.hpp"

namespace culld {

namespace {

constexpr std::size_t words_max = 16;

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
    std::map<std::string_view, std::deque<secret>> kept;  // by source, the latest last
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

void make_known(std::string_view source, std::string_view secret_text, std::size_t most) {
    if (secret_text.empty()) return;
    room& r = the_room();
    const std::lock_guard hold(r.lock);
    std::deque<secret>& kept = r.kept[source];
    const auto same = std::ranges::find_if(kept, [&](const secret& s) { return s.view() == secret_text; });
    if (same != kept.end()) {
        std::rotate(same, same + 1, kept.end());
        return;
    }
    auto copy = secret::of(secret_text);
    if (!copy) throw std::bad_alloc();
    kept.push_back(std::move(*copy));
    if (kept.size() > most) kept.pop_front();
    const auto next = std::make_shared<redactor>(nullptr, pages());
    for (const auto& [name, all] : r.kept)
        for (const secret& s : all) next->add(s.view());
    r.now = next;
}

void make_words_known(std::string_view source, std::string_view text, std::string_view between, std::size_t shortest) {
    bool any = false;
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view word = rest.substr(0, rest.find_first_of(between));
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        if (word.size() < shortest) continue;
        make_known(source, word, words_max);
        any = true;
    }
    if (!any) make_known(source, text, words_max);
}

std::shared_ptr<const redactor> known_secrets() {
    room& r = the_room();
    const std::lock_guard hold(r.lock);
    return r.now;
}

}  // namespace culld
