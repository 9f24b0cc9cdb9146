// Users and groups for tests that run as root: culld as its unit runs it, and people who drop files. None needs to be
// in /etc/passwd.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace culld::programs {

struct person {
    uid_t uid;
    gid_t gid;
    std::vector<gid_t> groups;
};
constexpr gid_t submit_group = 64900;
inline const person daemon_user{64901, 64901, {submit_group}};
inline const person alice{64911, 64911, {submit_group}}, bob{64912, 64912, {submit_group}};
inline const person stranger{64913, 64913, {}};  // in no group that matters

// What a command begins with to be run by `who`, with these capabilities ("lease", say) and no others.
inline std::vector<std::string> run_by(const person& who, const std::vector<std::string>& capabilities = {}) {
    std::string kept;
    for (const std::string& c : capabilities) kept += ",+" + c;
    return {"/usr/bin/setpriv",
            fmt::format("--reuid={}", who.uid),
            fmt::format("--regid={}", who.gid),
            who.groups.empty() ? "--clear-groups" : fmt::format("--groups={}", fmt::join(who.groups, ",")),
            "--inh-caps=-all" + kept,
            "--ambient-caps=-all" + kept,
            "--bounding-set=-all" + kept,
            "--no-new-privs"};
}

// The capabilities that the unit leaves to culld, as setpriv names them.
inline std::vector<std::string> unit_capabilities() {
    std::ifstream unit(CULLD_SOURCE "/systemd/culld.service");
    std::vector<std::string> out;
    for (std::string line; std::getline(unit, line);) {
        if (!line.starts_with("AmbientCapabilities=CAP_")) continue;
        std::string name = line.substr(line.find("CAP_") + 4);
        for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        out.push_back(name);
    }
    return out;
}

// Does something as `who`, in a process of its own: no more than calls to the kernel and files. What it returned, or -1
// where it died.
inline int as(const person& who, const std::function<int()>& what) {
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("fork failed");
    if (pid == 0) {
        ::umask(0027);
        const bool changed = ::setgroups(who.groups.size(), who.groups.data()) == 0 &&
                             ::setresgid(who.gid, who.gid, who.gid) == 0 && ::setresuid(who.uid, who.uid, who.uid) == 0;
        ::_exit(changed ? what() : 125);
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// The spool's folders with the modes, owners and groups of systemd/culld.tmpfiles.conf.
inline void make_shipped_spool(const std::string& spool) {
    const std::string shipped = "/var/spool/culld";
    std::ifstream in(CULLD_SOURCE "/systemd/culld.tmpfiles.conf");
    std::size_t made = 0;
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string type, path, mode, user, group;
        if (!(words >> type >> path >> mode >> user >> group) || type != "d" || !path.starts_with(shipped)) continue;
        const std::string here = spool + path.substr(shipped.size());
        const gid_t gid = group == "culld-submit" ? submit_group : daemon_user.gid;
        if (::mkdir(here.c_str(), 0700) != 0 && errno != EEXIST) throw std::runtime_error("mkdir " + here);
        if (::chown(here.c_str(), daemon_user.uid, gid) != 0 ||
            ::chmod(here.c_str(), static_cast<mode_t>(std::stoul(mode, nullptr, 8))) != 0)
            throw std::runtime_error("chown " + here);
        ++made;
    }
    if (made != 7) throw std::runtime_error("culld.tmpfiles.conf is not what it was");
}

}  // namespace culld::programs
