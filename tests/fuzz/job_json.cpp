// JSON job files: any bytes are either a valid job or an error with a text.
#include <array>

#include "culld/io/job_reader.hpp"
#include "memory_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace culld;
    static const config settings = [] {
        config c;
        c.api.project_id = "p";
        c.api.workspace_id = "w";
        return c;
    }();
    static const std::array<std::string_view, 1> resources{"incidents"};
    const unique_fd fd = fuzz::memory_file(data, size);
    fuzz::checking_sink sink;
    byte_source from(fd.get(), "job.json", compression::none);
    job_document document({settings, resources}, sink);
    const auto spec = read_job(from, file_kind::job_json, document, sink);
    if (!spec && spec.error().what.empty()) std::abort();
    if (spec && (sink.refused() || from.facts().bytes != size)) std::abort();
    if (spec && (spec->batch_size < 1 || spec->batch_size > 999 || spec->priority > 9)) std::abort();
    if (spec && !spec->id.empty() && !is_job_id(spec->id)) std::abort();
    return 0;
}
