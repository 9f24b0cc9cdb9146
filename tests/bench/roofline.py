#!/usr/bin/env python3
"""What cannot be left out, added up, and culld beside it, in one run: CPU seconds per million ids, medians of the rounds.
No time is asserted.

    tests/bench/roofline.py [--bin DIR] [--rounds 5] [--case IDS:BATCH[:tls]]...

    requests   wrk: ready-made requests over HTTP/1.1, the answers hardly looked at (compare.py)
    list       peers/read_list.cpp: its lines, each held against the pattern of ids and written into a body
    signature  openssl speed: SHA-256 of a body, and four HMACs of a signature's size
    = bare     a client that signs, keeps nothing and checks nothing
    hashes     openssl speed: SHA-256 of the list, and of the journal's bytes
    files      dd: the list copied; as many bytes as culld's journal has written by fdatasync as often as it does (5 ms)
    = kept     what culld's promises ask for besides: a list that nobody can change, a journal that proves itself

Nothing of what decides is in either: intents, plan, rate, retries, the answer held against what was sent, repeated ids
found. As in compare.py, whose packages it needs, all run on CPU 0, and the server on CPU 1.
"""
import argparse, os, pathlib, re, resource, statistics, subprocess, sys, tempfile

import compare
from compare import CLIENT_CPU, HERE, PEERS, ROOT, Case, list_of, run

COMMITS_PER_SECOND = 200
HMACS, HMAC_BYTES = 4, 64
READ_LIST = PEERS / "read_list"


def cpu_of(*words):
    """CPU seconds of one command on the client's CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(["taskset", "-c", CLIENT_CPU, *map(str, words)], env={**os.environ, "LC_ALL": "C"},
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{words[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def seconds_per_call(bytes_each, *how):
    """How long OpenSSL's library takes for `bytes_each`, by its own measuring of one second."""
    said = subprocess.run(["taskset", "-c", CLIENT_CPU, "openssl", "speed", "-mr", "-seconds", "1", "-bytes",
                           str(bytes_each), *how], capture_output=True, text=True)
    speed = re.findall(r"^\+F:.*:([0-9.]+)$", said.stdout, re.M)
    if not speed:
        sys.exit(f"openssl speed: {said.stderr[-500:]}")
    return bytes_each / float(speed[-1])


def parts(case, args, folder):
    """Of one round: the parts, and culld's own figure."""
    source, _ = list_of(folder, case.ids)
    list_bytes = source.stat().st_size
    million = case.ids / 1e6
    body = case.batch * (list_bytes // case.ids + 2) + len('{"batch_ids":[]}')
    requests = case.ids / case.batch
    ours = run("culld", case, args, folder)
    journal_bytes = ours["journal_bytes"]
    copy, journal = (pathlib.Path(folder) / name for name in ("copy", "journal"))
    commits = max(1, round(COMMITS_PER_SECOND * case.ids / ours["ids_per_s"]))
    out = {
        "requests": run("wrk", case, args, folder)["cpu_s_per_million"],
        "list": cpu_of(READ_LIST, source, case.batch) / million,
        "signature": requests / million * (seconds_per_call(body, "-evp", "sha256") +
                                           HMACS * seconds_per_call(HMAC_BYTES, "-hmac", "sha256")),
        "hashes": (list_bytes + journal_bytes) / 65536 / million * seconds_per_call(65536, "-evp", "sha256"),
        "files": (cpu_of("dd", f"if={source}", f"of={copy}", "bs=64k") +
                  cpu_of("dd", "if=/dev/zero", f"of={journal}", f"bs={-(-journal_bytes // commits)}", f"count={commits}",
                         "oflag=dsync")) / million,
    }
    for path in (copy, journal):
        path.unlink()
    out["bare"] = out["requests"] + out["list"] + out["signature"]
    out["kept"] = out["bare"] + out["hashes"] + out["files"]
    out["culld"] = ours["cpu_s_per_million"]
    return out


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release")
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--case", action="append", type=Case)
    args.add_argument("--wrk-seconds", type=int, default=2)
    args = args.parse_args()
    cases = args.case or [Case(c) for c in ("3000000:100", "3000000:999", "3000000:100:tls", "3000000:999:tls")]
    compare.build(args, ["culld", "wrk"])
    compare.quietly("g++", "-std=c++20", "-O2", "-o", READ_LIST, HERE / "peers/read_list.cpp")
    seen = {case: [] for case in cases}
    with tempfile.TemporaryDirectory(prefix="culld-roofline-") as folder:
        for number in range(args.rounds):
            for case in cases:
                seen[case].append(parts(case, args, folder))
                compare.say(f"round {number + 1} of {args.rounds}, {case.name}")
    names = list(next(iter(seen.values()))[0])
    print(f"{'':16}" + "".join(f"{name:>10}" for name in names) + f"{'x bare':>10}{'x kept':>10}")
    for case, rounds in seen.items():
        print(f"{case.name:16}" + "".join(f"{statistics.median(r[name] for r in rounds):10.3f}" for name in names) +
              "".join(f"{statistics.median(r['culld'] / r[name] for r in rounds):10.2f}" for name in ("bare", "kept")))


if __name__ == "__main__":
    main()
