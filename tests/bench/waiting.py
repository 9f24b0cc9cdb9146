#!/usr/bin/env python3
"""What culld costs while it waits, and whether many others make anybody wait.

    tests/bench/waiting.py [--bin build/release] [--only NAME]... [--seconds 60] [--waiting 1000] [--files 100000]

    idle     a warm daemon with nothing to do: times that one of its threads ran in --seconds, and its memory
    slow     a server that takes 20 ms, 64 connections, batch 999: share of the bound 64/20 ms x 999, and of a core
    jobs     a job of priority 0 while --waiting others wait at a slow rate: rename to its end, against an empty daemon
    folder   --files files in incoming/ that are no jobs: CPU of one rescan, and rename to the end of a job meanwhile
"""
import argparse, pathlib, statistics, subprocess, tempfile, time

from bench import Place, cpu_seconds, make_list, until

LIMITS = "{requests_per_second: 100000, burst: 1000, concurrency: 64, adaptive: false}"


def started(place):
    process = place.culld()
    until((place.path / "control.sock").exists, "culld to start")
    return process


def switches(pid):
    """How often a thread of it was put aside, of its own accord or not: each time it had run before."""
    return sum(int(line.split()[1]) for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status")
               for line in status.read_text().splitlines() if "ctxt_switches" in line)


def drop_ids(place, name, text):
    place.drop(name, lambda path: path.write_text(text))


def job_time(place, name, text):
    """From the rename into incoming/ to the file's place in done/."""
    (place.path / "spool/tmp" / name).write_text(text)
    begun = time.monotonic()
    (place.path / "spool/tmp" / name).rename(place.path / "spool/incoming" / name)
    until((place.path / "spool/done" / name).exists, f"{name} in done/")
    return (time.monotonic() - begun) * 1000


def idle(args):
    with Place("idle", args.bin) as place:
        place.configure(LIMITS, signed=True)
        process = started(place)
        for n in range(5):
            job_time(place, f"warm{n}.txt", f"id{n}\n")
        time.sleep(3)
        before, cpu_before = switches(process.pid), cpu_seconds(process.pid)
        time.sleep(args.seconds)
        woken = switches(process.pid) - before
        kib = {words[0]: int(words[1]) for words in (line.split() for line in open(f"/proc/{process.pid}/status"))
               if words[0].startswith(("VmRSS", "Rss", "VmHWM"))}
        print(f"idle: ran {woken} times in {args.seconds} s, {cpu_seconds(process.pid) - cpu_before:.2f} s of CPU; "
              f"RSS {kib['VmRSS:'] / 1024:.1f} MiB, {kib['RssAnon:'] / 1024:.1f} of them its own")


def slow(args):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as scenario:
        scenario.write("latency: 20ms\n")
        scenario.flush()
        with Place("slow", args.bin, flags=["--fast", "--scenario", scenario.name]) as place:
            place.configure(LIMITS, 999, signed=True)
            drop_ids(place, "warm.txt", "warm\n")
            process = started(place)
            until((place.path / "spool/done/warm.txt").exists, "the first job")
            count = 64 * 999 * 500  # ten seconds
            make_list(place.path / "spool/tmp/big.txt", count)
            before, begun = cpu_seconds(process.pid), time.monotonic()
            (place.path / "spool/tmp/big.txt").rename(place.path / "spool/incoming/big.txt")
            until((place.path / "spool/done/big.txt").exists, "the job", step=0.01)
            took, used = time.monotonic() - begun, cpu_seconds(process.pid) - before
            print(f"slow: {count / took:,.0f} ids/s, {count / took / (64 / 0.020 * 999):.1%} of the bound with the "
                  f"list's reading, {used / took:.1%} of a core")


def jobs(args):
    with Place("jobs", args.bin) as place:
        place.configure("{requests_per_second: 20, burst: 1, concurrency: 4}", signed=True)
        process = started(place)
        alone = [job_time(place, f"alone{n}.json", f'{{"version": 1, "priority": 0, "ids": ["a{n}"]}}') for n in range(9)]
        for n in range(args.waiting):
            drop_ids(place, f"w{n}.json", '{"version": 1, "priority": 5, "ids": [%s]}' %
                     ",".join(f'"w{n}-{i}"' for i in range(300)))
        until(lambda: not any((place.path / "spool/incoming").iterdir()), "all to be accepted", step=0.1)
        before = cpu_seconds(process.pid)
        beside = [job_time(place, f"beside{n}.json", f'{{"version": 1, "priority": 0, "ids": ["b{n}"]}}') for n in range(9)]
        kib = next(int(line.split()[1]) for line in open(f"/proc/{process.pid}/status") if line.startswith("VmRSS"))
        print(f"jobs: {statistics.median(alone):.1f} ms alone, {statistics.median(beside):.1f} ms (at most "
              f"{max(beside):.1f}) beside {args.waiting} others; {cpu_seconds(process.pid) - before:.2f} s of CPU meanwhile, "
              f"RSS {kib / 1024:.1f} MiB")


def folder(args):
    with Place("folder", args.bin) as place:
        place.configure(LIMITS, signed=True)
        process = started(place)
        alone = [job_time(place, f"alone{n}.txt", f"a{n}\n") for n in range(9)]
        incoming = place.path / "spool/incoming"
        for n in range(args.files):
            (incoming / f".f{n}.part").touch()
        time.sleep(3)
        before = cpu_seconds(process.pid)
        process.send_signal(1)
        time.sleep(3)
        rescan = cpu_seconds(process.pid) - before
        process.send_signal(1)
        beside = [job_time(place, f"beside{n}.txt", f"b{n}\n") for n in range(9)]
        print(f"folder: {rescan:.2f} s of CPU for a rescan of {args.files} files; a job takes {statistics.median(alone):.1f}"
              f" ms alone, {statistics.median(beside):.1f} (at most {max(beside):.1f}) during one")


ALL = {"idle": idle, "slow": slow, "jobs": jobs, "folder": folder}


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--bin", type=pathlib.Path, default="build/release")
    args.add_argument("--only", action="append", choices=ALL)
    args.add_argument("--seconds", type=int, default=60)
    args.add_argument("--waiting", type=int, default=1000)
    args.add_argument("--files", type=int, default=100_000)
    args = args.parse_args()
    for name in args.only or ALL:
        ALL[name](args)


if __name__ == "__main__":
    main()
