#include "culld/app/status/listeners.hpp"

#include "culld/io/os/log.hpp"
#include "culld/io/os/process_setup.hpp"

namespace culld {

result<std::vector<std::unique_ptr<http_server>>> open_listeners(loop_executor loop, const config& settings,
                                                                 control& answers, bool once) {
    std::vector<std::unique_ptr<http_server>> out;
    const auto keep = [&](result<std::unique_ptr<http_server>> opened, std::string_view event) -> result<void> {
        if (!opened && !once) return fail(std::move(opened.error()));
        if (opened)
            out.push_back(std::move(*opened));
        else
            log(log_level::debug, event, opened.error());
        return {};
    };
    const auto answer = [&answers](bool writable) {
        return [&answers, writable](const server_request& r) { return answers.answer(r, writable); };
    };
    if (!settings.http.socket.empty())
        if (auto kept = keep(http_server::on_socket(loop, settings.http.socket, 0666, answer(true),
                                                    {.trusted = control::may_command}),
                             "control.none");
            !kept)
            return fail(std::move(kept.error()));
    if (!settings.http.listen.empty())
        if (auto kept =
                keep(http_server::on_address(loop, settings.http.listen, answer(false), {.names = {host_name()}}),
                     "status.none");
            !kept)
            return fail(std::move(kept.error()));
    return out;
}

}  // namespace culld
