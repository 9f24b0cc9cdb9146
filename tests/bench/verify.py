#!/usr/bin/env python3
"""How fast is cullctl verify, beside plain SHA-256 of the same file? A job of N ids against cull-emulator --fast makes
the journal (26 million ids of 36 characters: 1.1 GB); then each command runs in turn, several times, and the best
counts, which on a busy machine is the one that was disturbed least. Needs the package time.

    tests/bench/verify.py [--bin build/release] [--ids 26000000] [--journal-dir DIR --spool DIR] [--rounds 5]
"""
import argparse, pathlib, subprocess, sys

from bench import Place, make_list


def run_job(args, place):
    place.configure("{requests_per_second: 100000, concurrency: 8, burst: 100}")
    place.drop("job.txt", lambda path: make_list(path, args.ids))
    if place.culld("--once").wait() != 0:
        sys.exit("culld failed:\n" + (place.path / "culld.log").read_text())


def measured(command, folder):
    """Wall seconds, CPU seconds, peak MiB. Through time(1): a child of ours would begin with our own peak."""
    used = folder / "used"
    done = subprocess.run(["time", "-f", "%e %U %S %M", "-o", used, *command], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"{command}: {done.returncode}")
    wall, user, system, peak = (float(word) for word in used.read_text().split())
    return wall, user + system, peak / 1024


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bin", default="build/release")
    args.add_argument("--ids", type=int, default=26_000_000)
    args.add_argument("--journal-dir")
    args.add_argument("--spool")
    args.add_argument("--rounds", type=int, default=5)
    args = args.parse_args()
    with Place("verify", args.bin) as place:
        if args.journal_dir is None:
            run_job(args, place)
        measure(args, pathlib.Path(args.journal_dir or place.path / "journal"), args.spool or place.path / "spool",
                place.path)


def measure(args, journals, spool, folder):
    journal = max((j for j in journals.glob("*.jsonl") if j.name != "ledger.jsonl"), key=lambda j: j.stat().st_size)
    size = journal.stat().st_size
    ctl, folders = f"{args.bin}/cullctl", ["--journal-dir", journals, "--spool", spool]
    commands = {
        "cat": ["cat", journal],
        "sha256sum": ["sha256sum", journal],
        "openssl dgst -sha256": ["openssl", "dgst", "-sha256", journal],
        "cullctl verify": [ctl, "verify", *folders],
        "cullctl result --ids": [ctl, "result", journal.stem, "--ids", *folders],
        "cullctl result --csv": [ctl, "result", journal.stem, "--csv", *folders],
    }
    print(f"{journal.name}: {size / 1e9:.2f} GB")
    best = {name: (9e9, 9e9, 9e9) for name in commands}
    for _ in range(args.rounds):
        for name, command in commands.items():
            best[name] = tuple(map(min, best[name], measured(command, folder)))
    for name, (wall, cpu, peak) in best.items():
        print(f"{name:22} {wall:6.2f} s  {size / 1e9 / wall:5.2f} GB/s   {cpu:6.2f} s of CPU   {peak:5.1f} MiB")


main()
