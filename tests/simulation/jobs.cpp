#include "jobs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace culld::simulation {

namespace {

std::string quoted_list(const std::vector<std::string>& ids) {
    std::string out = "[";
    for (const std::string& id : ids) out += fmt::format("{}\"{}\"", out.size() > 1 ? "," : "", id);
    return out + "]";
}

std::string lines(const std::vector<std::string>& ids) {
    std::string out;
    for (const std::string& id : ids) out += id + "\n";
    return out;
}

// The settings of a JSON or YAML job, drawn; as they are written after a comma, or on lines.
struct job_settings {
    std::vector<std::pair<std::string, std::string>> all;
    void set(const std::string& key, const std::string& value) { all.emplace_back(key, value); }
    [[nodiscard]] std::string json() const {
        std::string out;
        for (const auto& [key, value] : all) out += fmt::format(", \"{}\": {}", key, value);
        return out;
    }
    [[nodiscard]] std::string yaml() const {
        std::string out;
        for (const auto& [key, value] : all) out += fmt::format("{}: {}\n", key, value);
        return out;
    }
};

job_settings draw_settings(dice& chance, job_plan& job, const job_rules& rules, wall_time began) {
    job_settings out;
    if (chance.chance(0.5)) {
        job.job_id = fmt::format("job-{}", job.number);
        out.set("id", fmt::format("\"{}\"", job.job_id));
    }
    if (chance.chance(0.6)) {
        job.batch_size = static_cast<std::uint32_t>(chance.between(1, 40));
        out.set("batch_size", std::to_string(job.batch_size));
    }
    if (chance.chance(0.4)) out.set("max_attempts", std::to_string(chance.between(1, 4)));
    if (chance.chance(0.4)) out.set("priority", std::to_string(chance.below(10)));
    if (chance.chance(0.6)) {
        job.verify = std::array{"none", "failed", "all"}[chance.below(3)];
        out.set("verify", fmt::format("\"{}\"", job.verify));
    }
    if (chance.chance(0.06)) {
        job.dry_run = true;
        out.set("dry_run", "true");
    }
    const auto later = [&](moment span) {
        return fmt::format("\"{}\"", rfc3339(std::chrono::time_point_cast<wall_time::duration>(began + span)));
    };
    if (chance.chance(0.1)) out.set("not_before", later(chance.between(moment(0), rules.until)));
    if (chance.chance(0.1))
        out.set("deadline", later(rules.until + chance.between(moment(0), moment(std::chrono::seconds(60)))));
    if (chance.chance(0.1))
        out.set("abort_when",
                fmt::format("{{\"failed_ratio\": 0.{}, \"after\": {}}}", chance.between(2, 9), chance.between(1, 50)));
    return out;
}

}  // namespace

std::optional<std::size_t> job_of_id(std::string_view id) {
    const std::size_t dash = id.find('-');
    if (dash == std::string_view::npos || !id.starts_with('j')) return std::nullopt;
    std::size_t out = 0;
    const auto [end, wrong] = std::from_chars(id.data() + 1, id.data() + dash, out);
    if (wrong != std::errc() || end != id.data() + dash) return std::nullopt;
    return out;
}

std::vector<job_plan> plan_jobs(dice& chance, const job_rules& rules, wall_time began) {
    std::vector<job_plan> out(chance.between(1, 4));
    for (std::size_t number = 0; number < out.size(); ++number) {
        job_plan& job = out[number];
        job.number = number;
        job.batch_size = rules.batch_size;
        job.verify = "failed";
        job.at = chance.between(moment(0), rules.until);
        const std::uint64_t count = chance.chance(0.1) ? chance.between(1, 400) : chance.between(1, 80);
        std::vector<std::string> list;
        for (std::uint64_t i = 0; i < count; ++i) {
            if (!list.empty() && chance.chance(0.05)) {
                list.push_back(list[chance.below(list.size())]);
                ++job.duplicates;
                continue;
            }
            std::string id = fmt::format("j{}-{:05}-{}", number, i, std::string(chance.below(12), 'x'));
            job.place.emplace(id, static_cast<std::uint32_t>(job.ids.size()));
            job.ids.push_back(id);
            list.push_back(std::move(id));
        }
        job.bad = chance.chance(0.08);
        if (job.bad) list.insert(list.begin() + static_cast<std::ptrdiff_t>(chance.below(list.size() + 1)), "no id");
        job.how = chance.chance(0.3) ? job_plan::way::written : job_plan::way::renamed;
        const std::string stem = fmt::format("drop{}", number);
        switch (chance.below(6)) {
            case 0:
                job.file = stem + ".txt";
                job.content = "# a comment\n" + lines(list);
                break;
            case 1:
                job.file = stem + ".csv";
                job.content = "id\n" + lines(list);
                break;
            case 2:
                job.file = stem + ".jsonl";
                for (const std::string& id : list) job.content += fmt::format("{{\"id\": \"{}\"}}\n", id);
                break;
            case 3: {
                const job_settings s = draw_settings(chance, job, rules, began);
                job.file = stem + ".yaml";
                job.content = "version: 1\n" + s.yaml() + "ids: " + quoted_list(list) + "\n";
                break;
            }
            case 4: {
                const job_settings s = draw_settings(chance, job, rules, began);
                job.file = stem + ".json";
                job.content = fmt::format("{{\"version\": 1{}, \"ids\": {}}}\n", s.json(), quoted_list(list));
                break;
            }
            default: {
                const job_settings s = draw_settings(chance, job, rules, began);
                job.file = stem + ".json";
                job.list = stem + ".ids";
                job.list_content = lines(list);
                job.content = fmt::format("{{\"version\": 1{}, \"ids_file\": \"{}\"}}\n", s.json(), job.list);
            }
        }
    }
    return out;
}

}  // namespace culld::simulation
