#include "ctl/report/report_sink.hpp"

#include <utility>

namespace culld::ctl {

namespace {
constexpr std::size_t worth_a_write = 1U << 16U;
}  // namespace

outcome<report_sink> report_sink::open(const context& with, const std::string& path) {
    report_sink out(with);
    if (path.empty() || path == "-") return out;
    auto file = output_file::open(path);
    if (!file) return tl::unexpected(std::move(file.error()));
    out.file_.emplace(std::move(*file));
    return out;
}

result<void> report_sink::put(std::string& text) {
    result<void> done;
    if (file_)
        done = file_->write(text);
    else
        with_->out.data(text);  // what cannot be written shows in talk::flush
    text.clear();
    return done;
}

result<void> report_sink::take(std::string& text) {
    if (text.size() < worth_a_write) return {};
    return put(text);
}

outcome<void> report_sink::finish(std::string& text) {
    if (auto done = put(text); !done) return give_up(io_error, std::move(done.error()));
    return file_ ? file_->finish() : outcome<void>();
}

}  // namespace culld::ctl
