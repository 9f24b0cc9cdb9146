// File systems of a test's own, for what a disk may do to us: small ones that fill up, and images on loop devices, with
// a real ext4 or xfs, that can be cut off, frozen, made read-only and mounted again. Both need root; each says by
// mounted() or mount() whether it was to be had.
#pragma once

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/types.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "programs.hpp"

namespace culld::programs {

// Mounts that are made from here on are nobody else's, and go away with this process.
inline bool own_mounts() {
    return ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

// A tmpfs; `limits` as mount(8) takes them: "size=2048k", "nr_inodes=20".
class small_disk {
  public:
    small_disk(std::string where, const std::string& limits) : where_(std::move(where)) {
        fs::create_directories(where_);
        mounted_ = own_mounts() && ::mount("small", where_.c_str(), "tmpfs", 0, (limits + ",mode=0755").c_str()) == 0;
    }
    ~small_disk() {
        if (mounted_) ::umount2(where_.c_str(), MNT_DETACH);
    }
    small_disk(const small_disk&) = delete;
    small_disk& operator=(const small_disk&) = delete;

    [[nodiscard]] bool mounted() const { return mounted_; }
    // To the last byte.
    void fill() const {
        const unique_fd fd(::open((where_ + "/.filler").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
        const std::string page(4096, 'x');
        std::size_t size = page.size();
        while (size > 0)
            if (::write(fd.get(), page.data(), size) <= 0) size /= 2;
    }
    void make_room() const { fs::remove(where_ + "/.filler"); }
    void change(const std::string& limits) const {
        EXPECT_EQ(::mount("small", where_.c_str(), "tmpfs", MS_REMOUNT, limits.c_str()), 0);
    }

  private:
    std::string where_;
    bool mounted_ = false;
};

// A file system in the sparse file `image`, to be mounted at `where`.
class image_disk {
  public:
    image_disk(std::string image, std::string where, std::string tools_log)
        : image_(std::move(image)), where_(std::move(where)), log_(std::move(tools_log)) {
        fs::create_directories(where_);
    }
    ~image_disk() {
        thaw();
        static_cast<void>(::umount2(where_.c_str(), MNT_DETACH));
    }
    image_disk(const image_disk&) = delete;
    image_disk& operator=(const image_disk&) = delete;

    // Why it cannot be had on this machine; empty where it was made and mounted.
    [[nodiscard]] std::string make(const std::string& kind, int mib, std::vector<std::string> options = {}) const {
        if (::geteuid() != 0) return "needs root, to mount a file system of its own";
        if (!own_mounts()) return "no mount namespace to be had here";
        const std::string maker = "/sbin/mkfs." + kind;
        if (!fs::exists(maker)) return maker + " is not installed";
        std::ofstream(image_).flush();
        if (::truncate(image_.c_str(), off_t{mib} << 20U) != 0) return "no room for an image";
        options.insert(options.begin(), {maker, "-q"});
        options.push_back(image_);
        if (run(options) != 0) return maker + " failed: " + told();
        return mount() ? "" : "no loop device to be had: " + told();
    }
    [[nodiscard]] bool mount(const std::string& options = "") const {
        return run({"/bin/mount", "-o", "loop" + options, image_, where_}) == 0;
    }
    // Whoever was killed may take a moment to let go.
    void unmount() const {
        ASSERT_TRUE(eventually([&] { return ::umount2(where_.c_str(), 0) == 0; }));
    }
    // The power goes: all that is not on stable storage is lost (FS_IOC_SHUTDOWN with "no log flush").
    void cut() const {
        // The same number for every file system that has it (linux/fs/xfs/libxfs/xfs_fs.h: XFS_IOC_GOINGDOWN;
        // EXT4_IOC_SHUTDOWN).
        constexpr unsigned long shut_down = _IOR('X', 125, __u32);
        __u32 how = 2;  // no log flush
        ASSERT_EQ(ask(shut_down, &how), 0) << "this file system cannot be cut off";
    }
    // Whoever writes there waits, and nothing ends the wait but thaw(): not even a signal that kills.
    [[nodiscard]] bool freeze() { return frozen_ = ask(FIFREEZE, nullptr) == 0; }
    void thaw() {
        if (std::exchange(frozen_, false)) static_cast<void>(ask(FITHAW, nullptr));
    }
    [[nodiscard]] std::string told() const { return read_small_file(log_, 1U << 20U).value_or(""); }

  private:
    [[nodiscard]] int run(std::vector<std::string> command) const {
        return child(std::move(command), log_).ends_within(60s).value_or(-2);
    }
    [[nodiscard]] int ask(unsigned long what, void* argument) const {
        const unique_fd root(::open(where_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        return ::ioctl(root.get(), what, argument);
    }

    std::string image_, where_, log_;
    bool frozen_ = false;
};

}  // namespace culld::programs
