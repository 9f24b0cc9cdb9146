#!/usr/bin/env python3
"""How long after exec does culld send again? A job of N ids against cull-emulator --fast, kill -9 in the middle, again
and again; the time from exec to the first request as the emulator saw it.

    tests/bench/restart.py [--bin build/release] [--ids 10000000] [--kills 5] [--cold] [--limit-ms 500]

--cold drops the page cache before each start (root only). Exits 1 where a restart takes longer than --limit-ms.
"""
import argparse, json, os, pathlib, sys, time

from bench import Place, make_list


def requests_after(log, since_us, offset, timeout):
    """The first request that came after since_us, and where to read on."""
    end = time.time() + timeout
    with open(log, "rb") as lines:
        lines.seek(offset)
        while time.time() < end:
            line = lines.readline()
            if not line.endswith(b"\n"):
                lines.seek(-len(line), 1)
                time.sleep(0.001)
                continue
            if (at := json.loads(line)["wall_us"]) >= since_us:
                return at
    sys.exit("no request came")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bin", default="build/release")
    args.add_argument("--ids", type=int, default=10_000_000)
    args.add_argument("--kills", type=int, default=5)
    args.add_argument("--cold", action="store_true")
    args.add_argument("--limit-ms", type=float, default=500)
    args.add_argument("--rate", type=int, default=20000)
    args = args.parse_args()
    with Place("restart", args.bin, flags=["--fast", "--log", "requests.jsonl"]) as place:
        return run(args, place)


def run(args, place):
    log = place.path / "requests.jsonl"
    place.configure(f"{{requests_per_second: {args.rate}, concurrency: 8, burst: 100}}")
    place.drop("job.txt", lambda path: make_list(path, args.ids))
    culld = place.culld()
    requests = args.ids / 100
    line_bytes = 0
    times = []
    for kill in range(args.kills):
        share = (kill + 1) / (args.kills + 1)
        while not log.exists() or (size := log.stat().st_size) == 0 or \
                size < (line_bytes := line_bytes or len(open(log).readline())) * requests * share:
            if culld.poll() is not None:
                sys.exit("culld ended:\n" + (place.path / "culld.log").read_text())
            time.sleep(0.02)
        culld.kill()
        culld.wait()
        size = max((place.path / "journal").glob("job-*.jsonl")).stat().st_size
        if args.cold:
            os.sync()
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
        offset = log.stat().st_size
        since = time.time_ns() // 1000
        culld = place.culld()
        took = (requests_after(log, since, offset, 60) - since) / 1000
        times.append(took)
        print(f"killed at {share:.0%}, journal of {size / 1e6:.0f} MB: first request {took:.0f} ms after exec",
              flush=True)
    print(f"worst {max(times):.0f} ms, median {sorted(times)[len(times) // 2]:.0f} ms, {args.ids} ids")
    return 0 if max(times) <= args.limit_ms else 1


sys.exit(main())
