// The ids of one job, for the loop, which waits for no disk: another thread reads them. Lists are sent in their order,
// so the segment that comes next is read while the one before it is sent; what lies elsewhere (ids that are tried
// again) is asked for. Memory: two segments while a long list is sent, what it has of a short one, and nothing before.
//
// Loop thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "culld/core/base/problem.hpp"
#include "culld/core/base/span.hpp"
#include "culld/io/ids/id_store.hpp"
#include "culld/io/os/event_loop.hpp"

namespace culld {

class id_reader {
  public:
    // `thread` must outlive what it was asked for, the reader need not.
    id_reader(id_store store, worker_thread& thread)
        : store_(std::make_shared<const id_store>(std::move(store))),
          thread_(thread),
          alive_(std::make_shared<bool>(true)) {}
    ~id_reader() { *alive_ = false; }
    id_reader(const id_reader&) = delete;
    id_reader& operator=(const id_reader&) = delete;

    // These ids will be wanted soon. Only a hint: where something is held it knows better.
    void expect(position first);
    [[nodiscard]] bool at_hand(std::span<const span> at) const;
    // Appends `"a","b"`, and has what comes next read. Only what is at hand.
    void append_quoted(std::span<const span> at, std::string& out);
    // The same for any ids, by the other thread; `then` is not called any more when this reader is gone.
    void fetch(spans at, std::function<void(result<std::string>)> then);

    // Bytes that `ids` ids take, where all are of about the same length.
    [[nodiscard]] std::size_t room_for(std::uint64_t ids) const {
        return static_cast<std::size_t>((store_->content_bytes() / store_->count() + 1) * ids);
    }

  private:
    [[nodiscard]] const id_segment* held(std::uint64_t number) const;
    void read_ahead(std::uint64_t number);

    std::shared_ptr<const id_store> store_;
    worker_thread& thread_;
    std::array<id_segment, 2> held_;  // the newest replaces the one with the lowest number
    bool reading_ = false;            // ahead
    std::shared_ptr<bool> alive_;
};

}  // namespace culld
