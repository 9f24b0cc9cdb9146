#!/usr/bin/env python3
"""Kills culld (-9) at random moments, again and again, over jobs whose server refuses ids, loses answers and fails; then
holds every journal against what the server really did, with a reader of its own.

    tests/bench/kills.py [--bin build/release] [--kills 1000] [--ids 2000] [--seed 1]

Exits 1 where an id was lost, judged twice, or judged against the truth; where a chain, the ledger or a place is wrong.
"""
import argparse, collections, hashlib, json, os, random, subprocess, sys, time, urllib.request

from bench import Place

SCENARIO = """seed: {}
fail_ratio: 0.02
lost_ratio: 0.03
missing_ratio: 0.002
status_ratio: {{503: 0.02, apply: never}}
latency: {{fixed: 1ms, jitter: 3ms}}
"""
GONE = ("batch.result", "ids.deleted", "ids.absent")


def verdicts(journal):
    """What a journal says of each id, and whatever is wrong with it."""
    said, wrong, prev, kind = collections.defaultdict(list), [], "0" * 64, None
    for seq, line in enumerate(journal.read_bytes().splitlines(keepends=True)):
        record = json.loads(line)
        if not line.endswith(b"\n") or record["prev"] != prev or record["seq"] != seq:
            wrong.append(f"{journal.name}: record {seq} does not continue the chain")
        prev, kind = hashlib.sha256(line[:-1]).hexdigest(), record["type"]
        # A batch's result settles only what was deleted; of the failed and unknown ids a later record tells the end.
        field = {"batch.result": "deleted", "ids.absent": "ids", "ids.failed": "ids", "ids.deleted": "ids",
                 "ids.skipped": "ids"}.get(kind)
        for name in record[field] if field else []:
            said[name].append(kind)
    if kind != "job.finished":
        wrong.append(f"{journal.name}: ends with {kind}")
    return said, wrong


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bin", default="build/release")
    args.add_argument("--kills", type=int, default=1000)
    args.add_argument("--ids", type=int, default=2000)
    args.add_argument("--seed", type=int, default=1)
    args = args.parse_args()
    chance = random.Random(args.seed)
    scenario = os.path.abspath(f"/tmp/culld-kills-{os.getpid()}.yaml")
    with open(scenario, "w") as out:
        out.write(SCENARIO.format(args.seed))
    try:
        with Place("kills", args.bin, flags=["--scenario", scenario]) as place:
            return run(args, place, chance)
    finally:
        os.unlink(scenario)


def run(args, place, chance):
    place.configure("{requests_per_second: 400, concurrency: 8}", 20)
    with open(place.path / "culld.yaml", "a") as out:
        out.write("retry: {base_delay: 20ms, max_delay: 200ms, max_attempts: 3}\n")
    jobs, begin = 0, time.monotonic()
    for _ in range(args.kills):
        if not any((place.path / "spool/incoming").iterdir()) and \
                not (jobs and any((place.path / "spool/active").iterdir())):
            jobs += 1
            place.drop(f"j{jobs}.txt",
                       lambda path: path.write_text("".join(f"j{jobs}-{i}\n" for i in range(args.ids))))
        culld = place.culld()
        time.sleep(chance.uniform(0.005, 0.12))
        if culld.poll() is not None:
            sys.exit("culld ended by itself:\n" + (place.path / "culld.log").read_text()[-2000:])
        culld.kill()
        culld.wait()
    code = place.culld("--once").wait(timeout=300)
    truth = json.loads(urllib.request.urlopen(f"http://{place.address}/_emulator/truth").read())
    deleted = truth["deleted"] or {}
    wrong = []
    for job in range(1, jobs + 1):
        journals = list((place.path / "journal").glob(f"j{job}-*.jsonl"))
        if len(journals) != 1:
            wrong.append(f"job {job} has {len(journals)} journals")
            continue
        said, more = verdicts(journals[0])
        wrong += more
        for name in (f"j{job}-{i}" for i in range(args.ids)):
            if len(said[name]) != 1:
                wrong.append(f"{name} has {len(said[name])} verdicts: {said[name]}")
            elif (said[name][0] in GONE) != (name in deleted):
                wrong.append(f"{name}: {said[name][0]}, and the server {'deleted it' if name in deleted else 'has it'}")
    ledger = [json.loads(line)["job_id"] for line in open(place.path / "journal/ledger.jsonl")]
    if len(ledger) != jobs or len(set(ledger)) != jobs:
        wrong.append(f"the ledger has {len(ledger)} lines for {jobs} jobs")
    left = [*(place.path / "spool/active").iterdir(), *(place.path / "journal/.plan").iterdir()]
    if left:
        wrong.append(f"left behind: {left}")
    verified = subprocess.run([place.binaries / "cullctl", "verify", "--journal-dir", place.path / "journal", "--spool",
                               place.path / "spool"], capture_output=True, text=True)
    if verified.returncode != 0:
        wrong.append("cullctl verify: " + verified.stdout + verified.stderr)
    print(f"{args.kills} kills, {jobs} jobs of {args.ids} ids, exit code {code} at last, "
          f"{time.monotonic() - begin:.0f} s: {len(wrong)} wrong")
    print(*wrong[:20], sep="\n")
    return 1 if wrong else 0


sys.exit(main())
