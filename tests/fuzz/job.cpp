// Job files: any bytes are either a valid job or an error with a text. The first byte says whether they are read as
// JSON or as YAML.
#include <array>

#include "culld/io/lists/job_reader.hpp"
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
    if (size == 0) return 0;
    const file_kind kind = data[0] == 'y' ? file_kind::job_yaml : file_kind::job_json;
    const unique_fd fd = fuzz::memory_file(data + 1, size - 1);
    fuzz::checking_sink sink;
    byte_source from(fd.get(), "job", compression::none);
    job_document document({settings, resources}, sink);
    const auto spec = read_job(from, kind, document, sink);
    if (!spec) {
        if (spec.error().what.empty()) std::abort();
        return 0;
    }
    if (sink.refused() || from.facts().bytes != size - 1) std::abort();
    if (spec->batch_size < 1 || spec->batch_size > 999 || spec->priority > 9) std::abort();
    if (!spec->id.empty() && !is_job_id(spec->id)) std::abort();
    return 0;
}
