#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <stdexcept>

#include "culld/io/os/event_loop.hpp"

namespace culld {
namespace {

task<void> break_an_invariant() {
    throw std::logic_error("a send without intent");
    co_return;
}

// A coroutine that runs by itself must not take a broken invariant with it: the process has to end, not a worker.
TEST(Owned, WhatACoroutineThrowsLeavesTheLoop) {
    asio::io_context context(1);
    asio::co_spawn(context.get_executor(), break_an_invariant(), rethrow_from_loop);
    EXPECT_THROW(context.run(), std::logic_error);
}

}  // namespace
}  // namespace culld
