// Marks for the next process. Has what is known of the gateway's limits written down whenever it changes, one write at
// a time, and read again at the start. Loop thread; a disk that does not take it costs a line in the log, and no more.
#pragma once

#include "culld/app/context/services.hpp"
#include "culld/app/send/sender.hpp"

namespace culld {

class limit_keeper {
  public:
    // Both outlive it, and the disk thread ends before it.
    limit_keeper(daemon_context& with, sender& of) : with_(with), of_(of) {}

    // Blocking; before the first request.
    void restore();
    void changed();

  private:
    daemon_context& with_;
    sender& of_;
    bool writing_ = false;
    bool again_ = false;  // it changed while it was written
};

// Has the mark of refused keys written down (io/auth/key_lockout_file).
void keep_key_mark(daemon_context& with, std::string mark);

}  // namespace culld
