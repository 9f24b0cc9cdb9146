#!/usr/bin/env python3
"""Plants bugs in how culld bears a failing disk, few resources and a hostile drop box, and sees that the tests notice.

    tests/planted/faults.py [NAME…]        (default: every bug)

Works in this tree, builds in build/planted, and puts each file back as it was. Needs root, as those tests do. Exits 1
where a bug went unnoticed.
"""
import planted
from planted import MEMORY, UNIT, WHOLE

BUGS = {
    "failed-write-ignored": ("daemon/io/journal_file.cpp",
                             "commit out{.done = write_all(fd_.get(), bytes, name_), .sync = {}};",
                             "commit out{.done = {}, .sync = {}};\n"
                             "        static_cast<void>(write_all(fd_.get(), bytes, name_));",
                             WHOLE, "FailingDisk.BlocksTheJobs*"),
    "failed-fsync-ignored": ("daemon/io/journal_file.cpp",
                             "out.done = sync_data(fd_.get(), name_);",
                             "static_cast<void>(sync_data(fd_.get(), name_));",
                             WHOLE, "FailingDisk.BlocksTheJobs*"),
    "failed-fsync-tried-again": ("daemon/io/journal_file.cpp",
                                 "out.done = sync_data(fd_.get(), name_);",
                                 "out.done = sync_data(fd_.get(), name_);\n"
                                 "        if (!out.done) out.done = sync_data(fd_.get(), name_);",
                                 WHOLE, "FailingDisk.AFailedFsync*"),
    "short-write-taken-for-whole": ("daemon/io/file.cpp",
                                    "        bytes.remove_prefix(static_cast<std::size_t>(n));\n    }\n    return {};\n}\n\n"
                                    "result<void> write_all_at",
                                    "        bytes = {};\n    }\n    return {};\n}\n\nresult<void> write_all_at",
                                    WHOLE, "FailingDisk.ShortWrites*"),
    "ledger-fsync-ignored": ("daemon/io/ledger_file.cpp",
                             "if (auto done = sync_data(fd_.get(), ledger_name); !done) return fail(std::move(done.error()));",
                             "static_cast<void>(sync_data(fd_.get(), ledger_name));",
                             WHOLE, "FailingDisk.AJobIsNotFiled*"),
    "moved-file-forgotten": ("daemon/app/taker.cpp",
                             "arrivals_.settled(a.name);\n            a.again = true;", "arrivals_.settled(a.name);",
                             WHOLE, "FailingDisk.AFileThatWasMoved*"),
    "moved-list-forgotten": ("daemon/io/spool.cpp", "early.what = take_result::outcome::moved;",
                             "early.what = take_result::outcome::gone;", WHOLE, "FailingDisk.AFileThatWasMoved*"),
    "others-list-used": ("daemon/app/taker_list.cpp", "const auto of = any ? std::nullopt : std::optional(owner);",
                         "const std::optional<std::uint32_t> of;", WHOLE, "Owners.AnotherUsersList*"),
    "rejected-job-takes-any-list": ("daemon/app/taker_away.cpp", "if (*list && (*list)->uid == r.owner)", "if (*list)",
                                    WHOLE, "Owners.ARejectedJob*"),
    "copy-never-in-its-place": ("daemon/io/spool.cpp", "if (!*facts || (*facts)->uid == ::geteuid()) return {};",
                                "if (!*facts || true) return {};", WHOLE, "Owners.AKeptDescriptor*"),
    "renamed-in-believed": ("daemon/core/arrival.cpp", "case writer::present: return look_again(now + quiet_time);",
                            "case writer::present:\n            if (evidence_ == evidence::moved_in) return settle(now);\n"
                            "            return look_again(now + quiet_time);",
                            WHOLE, "HalfWritten.IsNotTakenWhenItWasRenamed*"),
    "first-write-forgets-the-job": ("daemon/app/daemon.cpp", "            taker_.take_orphans({file});\n", "", WHOLE,
                                    "FailingDisk.AJobWhoseJournalsVeryFirst*"),
    "lists-want-room": ("daemon/io/arrivals.cpp", "if (type_of(name).kind != file_kind::sidecar && !room(", "if (!room(",
                        WHOLE, "DropBox.ManyJobsGetTheLists*"),
    "file-size-limit-kills": ("daemon/io/process.cpp", "if (::sigaction(SIGXFSZ, &ignore, nullptr) != 0)", "if (false)",
                              WHOLE, "FailingDisk.AFileSizeLimit*"),
    "folder-said-to-be-gone": ("daemon/io/arrivals.cpp", "there && !*there\n", "there || !there\n",
                               WHOLE, "FailingDisk.WithoutADescriptor*"),
    "remedy-not-named": ("daemon/io/file.cpp", "if (error == EPERM)", "if (error == EPERM && doing.empty())",
                         WHOLE, "AppendOnly.*"),
    "hang-not-noticed": ("daemon/io/loop.cpp", "            stall_told_(true);\n", "", WHOLE, "HangingDisk.IsSeen*"),
    "watchdog-fed-whatever-hangs": ("daemon/app/heartbeat.cpp", "if (disk_answers()) {\n        tell(notify_watchdog());",
                                    "if (true) {\n        tell(notify_watchdog());", WHOLE, "HangingDisk.IsSeen*"),
    "hang-never-over": ("daemon/io/loop.cpp", "if (std::exchange(stalled_, false) && stall_told_) stall_told_(false);", "",
                        WHOLE, "HangingDisk.IsSeen*"),
    "end-waits-for-the-disk": ("daemon/app/heartbeat.cpp", "        std::_Exit(io_error);\n    });", "    });", WHOLE, "HangingDisk.AtTheEnd*"),
    "journal-kept-in-memory": ("daemon/io/journal_file.cpp", "taken_ += writing_.size();",
                               "taken_ += writing_.size();\n    static std::string kept;\n    kept += writing_;",
                               WHOLE, "FewResources.AMillionIds*"),
    "descriptors-not-counted": ("daemon/app/taker.cpp", "return used == 0 ||", "return used < 1'000'000 ||",
                                WHOLE, "FewResources.WithSixtyFour*"),
    "overflow-passed-over": ("daemon/io/spool_watch.cpp", "if ((head.mask & IN_Q_OVERFLOW) != 0) out.overflow = true;", "",
                             WHOLE, "FewResources.WhatTheKernelsQueue*"),
    "hash-goes-on-without-memory": ("daemon/core/sha256.cpp",
                                    "if (EVP_DigestInit_ex2(context_.get(), algorithm(), nullptr) != 1) context_.reset();",
                                    "static_cast<void>(EVP_DigestInit_ex2(context_.get(), algorithm(), nullptr));",
                                    MEMORY, "OutOfMemory.*"),
    "any-name-taken": ("daemon/core/arrival.cpp", "if (byte >= 0x20 && byte != 0x7F && !c1) continue;",
                       "if (byte >= 0x20 || !c1) continue;", WHOLE, "SpoolThreats.NothingInTheBox*"),
    "any-project-taken": ("daemon/core/job_document.cpp",
                          "return !text.empty() && text.size() <= 64 &&\n           std::ranges::all_of(text, [](char c) { "
                          "return ascii_alnum(c) || c == '-'; });",
                          "return !text.empty() && ascii_alnum(text.front());", WHOLE, "SpoolThreats.WhatAJobSays*"),
    "changed-list-taken": ("daemon/app/restart.cpp",
                           "(!done->list || done->list->sha256 == job.intake.list->sha256)",
                           "(!done->list || !done->list->sha256.empty())", WHOLE, "SpoolThreats.AListThatIsChanged*"),
    "damaged-journal-tried-again": ("daemon/app/restart.cpp", "return tl::unexpected(reading_failure{std::move(why), true});",
                                    "return tl::unexpected(reading_failure{std::move(why), false});",
                                    WHOLE, "SpoolThreats.ADamagedJournal*"),
    "torn-checkpoint-believed": ("daemon/app/restart.cpp", 'const auto type = last_in(fd, **end,',
                                 "const auto type = last_in(fd, size,", WHOLE, "LargeJob.GoesOn*"),
    "declined-is-unsent-to-a-checkpoint": ("daemon/core/recovery.cpp", "v.sent = sent || v.last != word::unsent;",
                                           "v.sent = v.last != word::unsent;", UNIT, "Recovery.*:JobSimulation.*"),
}

planted.main(BUGS)
