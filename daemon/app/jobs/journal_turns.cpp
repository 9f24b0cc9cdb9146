#include "culld/app/jobs/journal_turns.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

#include "culld/core/journal/journal_read.hpp"

namespace culld {

namespace {

constexpr std::size_t first_line_bytes_max = 1U << 16U;

std::optional<std::uint64_t> owner_in(std::string_view start) {
    const std::size_t end = start.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    auto record = std::make_unique<record_view>();
    if (!read_record(start.substr(0, end), *record) || record->type != record_type::job_accepted) return std::nullopt;
    const json_value* owner = record->find("owner");
    if (owner == nullptr || owner->kind != json_kind::object) return std::nullopt;
    json_reader scanner(owner->raw);
    json_member member;
    while (scanner.next(member))
        if (member.key == "uid")
            if (const auto uid = member.value.u64()) return *uid;
    return std::nullopt;
}

result<std::string> read_at(int fd, std::size_t most, std::uint64_t offset, const std::string& name) {
    std::string out(most, '\0');
    const auto got = read_some_at(fd, out.data(), out.size(), offset, name);
    if (!got) return fail(got.error());
    out.resize(*got);
    return out;
}

}  // namespace

result<journal_piece> read_journal_piece(const folder& journals, const std::string& job_id, std::uint64_t offset,
                                         std::optional<std::uint32_t> uid) {
    journal_piece out;
    const std::string name = job_id + ".jsonl";
    if (!journals.exists(name)) return out;
    auto file = journals.open_file(name, O_RDONLY | O_NONBLOCK);
    if (!file) return fail(std::move(file.error()));
    struct stat facts {};
    if (::fstat(file->get(), &facts) != 0) return fail(errno_problem("look at", name, errno));
    if (!S_ISREG(facts.st_mode)) return out;
    out.there = true;
    if (uid) {
        const auto start = read_at(file->get(), first_line_bytes_max, 0, name);
        if (!start) return fail(start.error());
        if (owner_in(*start) != std::uint64_t{*uid}) return out;
    }
    out.allowed = true;
    auto bytes = read_at(file->get(), journal_piece_bytes, offset, name);
    if (!bytes) return fail(std::move(bytes.error()));
    out.bytes = std::move(*bytes);
    return out;
}

}  // namespace culld
