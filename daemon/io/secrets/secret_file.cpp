#include "culld/io/secrets/secret_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "culld/core/text/shell_quote.hpp"
#include "culld/core/text/visible_text.hpp"
#include "culld/io/os/file.hpp"

namespace culld {

namespace {

bool is_credential(std::string_view name) {
    return name.find('/') == std::string_view::npos;
}

bool is_control(char c) {
    const auto u = static_cast<unsigned char>(c);
    return u < 0x20 || u == 0x7F;
}

// What keeps a file from being trusted with a secret.
result<void> check_owner_and_mode(const struct stat& facts, uid_t reader, const std::string& file) {
    const auto bad = [&](std::string what, std::string hint) {
        return fail(problem{.what = std::move(what), .hint = std::move(hint), .file = file});
    };
    if (facts.st_uid != reader && facts.st_uid != 0)
        return bad(fmt::format("belongs to user {}, who could change the secret", facts.st_uid),
                   fmt::format("chown {} '{}'", reader, file));
    if ((facts.st_mode & 077U) != 0)
        return bad(fmt::format("mode {:04o} lets others than its owner at the secret", facts.st_mode & 07777U),
                   fmt::format("chmod 0600 {}", shell_file(file)));
    return {};
}

}  // namespace

secret::~secret() {
    wipe();
}

secret::secret(secret&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      room_(std::exchange(other.room_, 0)) {}

secret& secret::operator=(secret&& other) noexcept {
    if (this != &other) {
        wipe();
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
        room_ = std::exchange(other.room_, 0);
    }
    return *this;
}

void secret::wipe() noexcept {
    if (data_ == nullptr) return;
    OPENSSL_cleanse(data_, room_);
    static_cast<void>(::munmap(data_, room_));  // fails only for an address that is none of ours
    data_ = nullptr;
    size_ = room_ = 0;
}

result<secret> secret::with_room(std::size_t bytes) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t room = std::max(page, (bytes + page - 1) / page * page);
    void* const at = ::mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return fail(errno_problem("get memory for a secret", {}, errno));
    secret out;
    out.data_ = static_cast<char*>(at);
    out.room_ = room;
    if (::madvise(at, room, MADV_DONTDUMP) != 0)
        return fail(errno_problem("keep a secret out of core dumps", {}, errno));
    // RLIMIT_MEMLOCK may be small or 0: swapping is then possible, which is no reason to refuse service.
    static_cast<void>(::mlock(at, room));
    return out;
}

result<secret> secret::of(std::string_view bytes) {
    if (bytes.size() > 16UL << 20U) return fail("a secret is larger than 16 MiB");
    auto out = with_room(bytes.size());
    if (!out) return out;
    if (!bytes.empty()) std::memcpy(out->data_, bytes.data(), bytes.size());
    out->size_ = bytes.size();
    return out;
}

bool secret::equals(const secret& other) const {
    return size_ == other.size_ && (size_ == 0 || CRYPTO_memcmp(data_, other.data_, size_) == 0);
}

std::string secret_location(const std::string& name, const std::string& credentials_folder) {
    return is_credential(name) ? fmt::format("{}/{}", credentials_folder, name) : name;
}

void wipe(std::string& text) {
    text.resize(text.capacity());  // what lies behind the end may have been part of it
    OPENSSL_cleanse(text.data(), text.size());
    text.clear();
}

result<secret> read_secret(const std::string& name, const secret_access& by, secret_form form) {
    const bool credential = is_credential(name);
    if (name.empty() || name == "." || name == "..") return fail(fmt::format("\"{}\" names no secret", name));
    if (credential && by.folder.empty())
        return fail(problem{
            .what = fmt::format("there is no credential \"{}\": no service manager gave us any", name),
            .hint = fmt::format("under systemd add LoadCredential={0}:/path/of/the/file with systemctl edit culld; by "
                                "hand set CREDENTIALS_DIRECTORY, or name a file: ./{0}",
                                name)});
    const std::string file = secret_location(name, by.folder);
    const auto bad = [&](std::string what, std::string hint = {}) {
        return fail(problem{.what = std::move(what), .hint = std::move(hint), .file = file});
    };

    const unique_fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd) {
        problem p = errno_problem("cannot read the secret", file, errno);
        if (credential) p.hint = fmt::format("add LoadCredential={}:/path/of/the/file with systemctl edit culld", name);
        return fail(std::move(p));
    }
    struct stat facts {};
    if (::fstat(fd.get(), &facts) != 0) return fail(errno_problem("look at", file, errno));
    if (!S_ISREG(facts.st_mode)) return bad("is no regular file, and secrets are read from those only");
    if (!credential)
        if (auto fine = check_owner_and_mode(facts, by.reader, file); !fine) return fail(std::move(fine.error()));

    auto out = secret::with_room(secret_bytes_max + 1);
    if (!out) return out;
    // Straight into its pages: no buffer of ours or of libc's keeps a copy.
    auto got = read_some_at(fd.get(), out->data_, secret_bytes_max + 1, 0, file);
    if (!got) return fail(std::move(got.error()));
    if (*got > secret_bytes_max) return bad(fmt::format("holds more than {} KiB", secret_bytes_max / 1024));
    out->size_ = *got;
    while (out->size_ > 0 && (out->data_[out->size_ - 1] == '\n' || out->data_[out->size_ - 1] == '\r')) --out->size_;
    // An editor's mark would be sent as part of the secret, and refused with no word of why.
    if (out->view().starts_with("\xEF\xBB\xBF")) {
        out->size_ -= 3;
        std::memmove(out->data_, out->data_ + 3, out->size_);
    }
    if (out->empty()) return bad("is empty", "write the secret into it, on one line");
    const std::string_view text = out->view();
    const auto refused = [form](char c) {
        return is_control(c) && (form == secret_form::line || (c != '\n' && c != '\r' && c != '\t'));
    };
    const std::string_view alone = form == secret_form::line ? "it must hold the secret alone, on one line" : "";
    if (const auto at = std::find_if(text.begin(), text.end(), refused); at != text.end())
        return bad(fmt::format("byte {} is a control character, which no secret holds", at - text.begin() + 1),
                   std::string(alone));
    // The place, and not what stands there.
    if (const auto unseen = unseen_in(text))
        return bad(
            fmt::format("holds a character that cannot be seen in line {}, column {}", unseen->line, unseen->column),
            std::string(alone));
    return out;
}

}  // namespace culld
