#!/usr/bin/env python3
"""Counts the instructions that culld takes for a small fixed job, with callgrind, and holds them against the figure in
instructions.json: more than 2 % above it is a failure (exit 1). Instructions do not depend on what else the machine does.

    tests/bench/instructions.py [--bin DIR] [--update] [--profile FILE]

The job: IDS ids in batches of 100, signed, over one connection to cull-emulator --fast. Left out is OpenSSL's libcrypto,
which without the processor's own instructions for SHA-256 (valgrind knows none of them) would drown the rest, and the
dynamic linker. How often the loop wakes changes a little from run to run (0.3 %), so what is above counts only if it is
so three times. --update writes the figure anew: say in the commit why it grew. --profile keeps callgrind's file, for
callgrind_annotate. Needs the package valgrind.
"""
import argparse, json, os, pathlib, re, subprocess, sys

from bench import Place, make_list

IDS, BATCH, TOLERANCE, TRIES = 100_000, 100, 0.02, 3
FIGURE = pathlib.Path(__file__).with_name("instructions.json")
LEFT_OUT = ("libcrypto", "ld-linux")


def by_object(path):
    """Instructions of each object file, its own ones only, from callgrind's output (its format: cl-format.html)."""
    names, counts, current, calls = {}, {}, "", False
    for line in open(path):
        if line.startswith("ob="):
            number, _, name = line[3:].strip().partition(" ")
            current = names.setdefault(number, name or names.get(number, number))
        elif line.startswith(("cob=", "cobi=")):
            number, _, name = line.split("=", 1)[1].strip().partition(" ")
            names.setdefault(number, name or number)
        elif line.startswith("calls="):
            calls = True  # the next line is what the called one took
        elif re.match(r"[+\-*0-9]", line):
            if not calls:
                counts[current] = counts.get(current, 0) + int(line.split()[1])
            calls = False
    return counts


def count(args):
    with Place("instructions", args.bin) as place:
        place.configure("{requests_per_second: 100000, burst: 1000, concurrency: 1, adaptive: false}", BATCH, signed=True)
        place.drop("job.txt", lambda path: make_list(path, IDS))
        out = place.path / "callgrind.out"
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", place.binaries / "culld",
                               "--config", "culld.yaml", "--once"], cwd=place.path, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit("culld failed:\n" + done.stderr[-2000:])
        if args.profile:
            args.profile.write_bytes(out.read_bytes())
        return by_object(out)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--bin", default="build/release")
    args.add_argument("--update", action="store_true")
    args.add_argument("--profile", type=pathlib.Path)
    args = args.parse_args()
    held = json.loads(FIGURE.read_text())["instructions"] if FIGURE.exists() else 0
    for _ in range(TRIES):
        counts = count(args)
        counted = sum(n for name, n in counts.items() if not any(out in name for out in LEFT_OUT))
        if args.update or counted <= held * (1 + TOLERANCE):
            break
    for name, n in sorted(counts.items(), key=lambda item: -item[1])[:7]:
        left_out = "  (not counted)" if any(out in name for out in LEFT_OUT) else ""
        print(f"{n / IDS:9.1f} an id  {os.path.basename(name) or '?'}{left_out}")
    print(f"{counted / IDS:9.1f} an id  in all")
    if args.update:
        FIGURE.write_text(json.dumps({"ids": IDS, "batch": BATCH, "instructions": counted}) + "\n")
        return
    print(f"{held / IDS:9.1f} an id  held against: {counted / held - 1:+.2%}")
    if counted > held * (1 + TOLERANCE):
        sys.exit("More than 2 % above. --profile and callgrind_annotate tell where. If it is worth it, --update writes the "
                 "new figure; say why in the commit.")


main()
