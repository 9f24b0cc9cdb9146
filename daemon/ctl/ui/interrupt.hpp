// Ctrl-C, and waiting that it cuts short.
#pragma once

namespace culld::ctl {

// Ctrl-C ends following and nothing else: the job goes on. Lives as long as following does.
class interrupt_guard {
  public:
    interrupt_guard();
    ~interrupt_guard();
    interrupt_guard(const interrupt_guard&) = delete;
    interrupt_guard& operator=(const interrupt_guard&) = delete;
    [[nodiscard]] static bool interrupted();
};

// Waits for half a second, less if interrupted.
void pause_between_looks();

}  // namespace culld::ctl
