#!/usr/bin/env python3
"""What a job costs: ids a second, CPU per million ids, peak memory, against cull-emulator --fast on loopback. Rounds are
interleaved, medians and their range are printed, nothing is asserted but that every job ends well and its journal holds.

    tests/bench/cost.py [--bin DIR]... [--rounds 5] [--case IDS:BATCH[:tls][:FORM]]...

FORM is txt (the default), json, jsonl, csv, txt.gz or txt.zst. With several --bin the builds take turns, and the ratio of
CPU to the first one's is printed. Needs the package time, and zstd for txt.zst.
"""
import argparse, gzip, os, statistics, subprocess, sys

from bench import Place, ids


def write(path, count, form):
    kind, _, packed = form.partition(".")
    with gzip.open(path, "wt", compresslevel=1) if packed == "gz" else open(path, "w") as out:
        if kind == "json":
            out.write('{"version": 1, "ids": [')
        if kind == "csv":
            out.write("id,title\n")
        between = ""
        for piece in ids(count):
            if kind == "json":
                out.write(between + ",".join(f'"{i}"' for i in piece))
                between = ","
            else:
                out.write("".join({"txt": i, "jsonl": f'{{"id":"{i}"}}', "csv": f"{i},x"}[kind] + "\n" for i in piece))
        if kind == "json":
            out.write("]}")
    if packed == "zst":
        subprocess.run(["zstd", "-q", "-1", "--rm", path, "-o", f"{path}.packed"], check=True)
        os.rename(f"{path}.packed", path)


class Case:
    def __init__(self, text):
        words = text.split(":")
        self.name, self.ids, self.batch = text, int(words[0]), int(words[1])
        self.tls = "tls" in words[2:]
        self.form = next((word for word in words[2:] if word != "tls"), "txt")

    def run(self, binaries):
        with Place("cost", binaries, tls=self.tls) as place:
            place.configure("{requests_per_second: 100000, burst: 1000, concurrency: 16, adaptive: false}", self.batch)
            place.drop(f"job.{self.form}", lambda path: write(path, self.ids, self.form))
            # Through time(1): a child of ours would begin with our own peak.
            done = subprocess.run(["time", "-f", "%e %U %S %M", "-o", "used", place.binaries / "culld", "--config",
                                   "culld.yaml", "--once"], cwd=place.path, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit("culld failed:\n" + done.stderr)
            wall, user, system, peak = (float(word) for word in (place.path / "used").read_text().split())
            verified = place.start("cullctl", "verify", "--journal-dir", place.path / "journal", "--spool",
                                   place.path / "spool", stdout=subprocess.DEVNULL)
            if verified.wait() != 0:
                sys.exit("the journal does not hold")
        million = self.ids / 1e6
        return {"ids/s": self.ids / wall, "CPU s/M": (user + system) / million, "user": user / million,
                "system": system / million, "MiB": peak / 1024}


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bin", action="append")
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--case", action="append", type=Case)
    args = args.parse_args()
    builds = args.bin or ["build/release"]
    cases = args.case or [Case(c) for c in ("1000000:100", "1000000:999", "1000000:100:tls", "1000000:999:tls",
                                            "100000:100", "10000000:999")]
    seen = {(case, build): [] for case in cases for build in builds}
    for _ in range(args.rounds):
        for case in cases:
            for build in builds:
                seen[case, build].append(case.run(build))
    print(f"{'ids:batch':24} {'ids/s':>10} {'CPU s per million (range)':>28} {'user':>6} {'system':>6} {'MiB':>6}  build")
    for case in cases:
        first = None
        for build in builds:
            runs = seen[case, build]
            mid = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            cpu = sorted(run["CPU s/M"] for run in runs)
            first = first or mid["CPU s/M"]
            print(f"{case.name:24} {mid['ids/s']:10,.0f} {mid['CPU s/M']:11.3f} ({cpu[0]:.3f}-{cpu[-1]:.3f}) "
                  f"{mid['user']:9.3f} {mid['system']:6.3f} {mid['MiB']:6.1f}  {build} {mid['CPU s/M'] / first:.2f}")


main()
