#!/usr/bin/env python3
"""culld beside other clients of the same server, in one run: builds all of them, makes lists from a seed, and lets them
take turns against cull-emulator --fast on loopback. Prints medians and ranges. No time is asserted, only that every id
was answered and that the journals hold.

    tests/bench/compare.py [--bin DIR] [--rounds 5] [--case IDS:BATCH[:tls]]... [--peers NAME,...] [--wrk-seconds 2]
                           [--json FILE]

    culld         as it is: list checked, intents, signed, answers held against what was sent, verdicts in its journal
    go-simd       fasthttp, bytes, buffers used again: signed, verdicts as the answer tells them in a chained journal;
                  SHA-256 by the processor's own instructions, as Go has it from 1.21 on
    go-expert     the same with the SHA-256 of the Go installed (Debian 12: 1.19, without them)
    go-idiomatic  net/http, encoding/json: signed, answers held against what was sent, the same journal
    node-sdk      the vendor's SDK core, connections kept: signed, no journal
    wrk           the bound: ready-made requests, unsigned, nothing read or written, for --wrk-seconds

All have 16 connections and CPU 0; the server has CPU 1 and does the same for all, as it looks at no signature. (Before
the first round those who sign are tried against one that does.) culld and those in Go commit their journals by
fdatasync every 5 ms. No peer writes intents, checks the list, retries, keeps to a rate or can go on after a crash: that
favours them. CPU is user and system time of a client with all its children; its ratio to culld's is the median of those
of the rounds. TMPDIR must be on a disk, else fdatasync costs nothing. From the --json chart.py makes a picture.

`./dev bench` builds culld, and gets the SDK core into build/vendor by npm. Needs the packages time, wrk, golang-go,
nodejs, golang-github-valyala-fasthttp-dev and golang-github-minio-sha256-simd-dev, or what the chosen peers need of them.
"""
import argparse, functools, hashlib, http.client, json, os, pathlib, platform, shutil, ssl, statistics, subprocess, sys
import tempfile, time

from bench import AK, SK, Place, cpu_seconds, ids, make_list

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEERS, VENDOR, GO_PATH = ROOT / "build/bench", ROOT / "build/vendor", "/usr/share/gocode"
CLIENT_CPU, SERVER_CPU, CONNECTIONS = "0", "1", 16
PATH = "/v1/p/workspaces/w/soc/incidents/batch-delete"
# Folder and build tags.
GO_SOURCES = {"go-simd": ("expert", "simd"), "go-expert": ("expert", ""), "go-idiomatic": ("idiomatic", "")}


class Failed(Exception):
    pass


def say(*words):
    print(*words, file=sys.stderr, flush=True)


@functools.lru_cache(maxsize=None)
def list_of(folder, count):
    """The list's file, and its ids."""
    path = pathlib.Path(folder) / f"{count}.txt"
    make_list(path, count)
    return path, {i.encode() for piece in ids(count) for i in piece}


class Case:
    def __init__(self, text):
        count, batch, *more = text.split(":")
        if more not in ([], ["tls"]) or int(count) < 1 or not 1 <= int(batch) <= 999:
            raise ValueError(text)
        self.name, self.ids, self.batch, self.tls = text, int(count), int(batch), bool(more)


class Yard(Place):
    """A place whose server has a CPU of its own."""

    def start(self, program, *words, **how):
        if program != "cull-emulator":
            return super().start(program, *words, **how)
        words = ["taskset", "-c", SERVER_CPU, self.binaries / program, *words]
        self.server = subprocess.Popen(words, cwd=self.path, **how)
        self.started.append(self.server)
        return self.server

    @property
    def ca(self):
        return [self.path / "cert.pem"] if self.tls else []

    def connect(self):
        if not self.tls:
            return http.client.HTTPConnection(self.address)
        return http.client.HTTPSConnection(self.address, context=ssl.create_default_context(cafile=self.ca[0]))

    def truth(self):
        """What the server has seen."""
        connection = self.connect()
        connection.request("GET", "/_emulator/truth?ids=0")
        told = json.loads(connection.getresponse().read())
        connection.close()
        return told

    def warm(self, batch):
        connection = self.connect()
        body = json.dumps({"batch_ids": next(ids(batch))}, separators=(",", ":"))
        for _ in range(100):
            connection.request("POST", PATH, body, {"Content-Type": "application/json"})
            connection.getresponse().read()
        connection.close()

    def server_cpu(self):
        return cpu_seconds(self.server.pid)


def busy_cpu():
    """CPU seconds of the whole machine, stolen ones included."""
    user, nice, system, _, _, *interrupts = (int(word) for word in open("/proc/stat").readline().split()[1:9])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def culld(place, case, source, args):
    limits = f"{{requests_per_second: 100000, burst: 1000, concurrency: {CONNECTIONS}, adaptive: false}}"
    place.configure(limits, case.batch, signed=True)
    place.drop("job.txt", lambda path: shutil.copyfile(source, path))
    return [place.binaries / "culld", "--config", "culld.yaml", "--once"]


def go(program, place, case, source, args):
    ca = ["-ca", *place.ca] if place.tls else []
    return [PEERS / program, "-url", place.url + PATH, *ca, "-list", source, "-batch", str(case.batch),
            "-connections", str(CONNECTIONS), "-journal", "peer.journal"]


def node(place, case, source, args):
    return ["node", HERE / "peers/node/sdk_delete.cjs", place.url, source, str(case.batch), str(CONNECTIONS), *place.ca]


def wrk(place, case, source, args):
    return ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{args.wrk_seconds}", "-s", HERE / "peers/wrk.lua", place.url + PATH,
            "--", source, str(case.batch)]


def check_culld(place, expected):
    verify = place.start("cullctl", "verify", "--journal-dir", place.path / "journal", "--spool", place.path / "spool",
                         stdout=subprocess.DEVNULL)
    if verify.wait() != 0:
        raise Failed("cullctl verify finds its journal wanting")


def check_go(place, expected):
    """Each block is chained to the one before, and the ids are those of the list, each once and deleted."""
    seen, count, previous = set(), 0, b"0" * 64
    with open(place.path / "peer.journal", "rb") as lines:
        for head in lines:
            _, _, size, chained = head.split()
            block = [lines.readline() for _ in range(int(size))]
            if chained != previous:
                raise Failed("its journal's chain is broken")
            previous = hashlib.sha256(head + b"".join(block)).hexdigest().encode()
            count += len(block)
            seen.update(line.removesuffix(b" deleted\n") for line in block)
    if count != len(expected) or seen != expected:
        raise Failed("its journal does not hold the list's ids, each once and deleted")


CLIENTS = {
    "culld": (culld, check_culld),
    "go-simd": (functools.partial(go, "go-simd"), check_go),
    "go-expert": (functools.partial(go, "go-expert"), check_go),
    "go-idiomatic": (functools.partial(go, "go-idiomatic"), check_go),
    "node-sdk": (node, None),
    "wrk": (wrk, None),
}


def environment(place):
    """Nothing of ours changes what a client does: no proxy, no option of its runtime, no file in our home."""
    return {"PATH": os.environ["PATH"], "HOME": str(place.path), "NODE_PATH": str(VENDOR / "node_modules"),
            "HUAWEICLOUD_SDK_AK": AK, "HUAWEICLOUD_SDK_SK": SK}


def run(name, case, args, folder, flags=("--fast",)):
    words, check = CLIENTS[name]
    source, expected = list_of(folder, case.ids)
    with Yard("compare", args.bin, flags=flags, tls=case.tls) as place:
        command = words(place, case, source, args)
        if "--fast" in flags:
            place.warm(case.batch)
        before = place.truth()
        os.sync()  # what was written before is not written back meanwhile
        begin, busy, served = time.monotonic(), busy_cpu(), place.server_cpu()
        # Through time(1): a child of ours would begin with our own peak.
        done = subprocess.run(["time", "-f", "%e %U %S %M", "-o", "used", "taskset", "-c", CLIENT_CPU, *command],
                              cwd=place.path, env=environment(place), capture_output=True, text=True)
        lasted, busy, served = time.monotonic() - begin, busy_cpu() - busy, place.server_cpu() - served
        if done.returncode != 0:
            raise Failed(f"it ended with {done.returncode}:\n{done.stderr[-2000:]}")
        wall, user, system, peak = (float(word) for word in (place.path / "used").read_text().split())
        after = place.truth()
        count = after["ids_requested"] - before["ids_requested"]
        if set(after["requests"]["by_status"]) != {"200"}:
            raise Failed(f"the server's answers were {after['requests']['by_status']}")
        if name != "wrk" and count != case.ids:
            raise Failed(f"the server saw {count} ids")
        if check:
            check(place, expected)
        journal_bytes = sum(path.stat().st_size for path in place.path.glob("journal/job-*.jsonl"))
    million = count / 1e6
    return {"ids": count, "ids_per_s": count / wall, "cpu_s_per_million": (user + system) / million,
            "user": user / million, "system": system / million, "mib": peak / 1024, "journal_bytes": journal_bytes,
            "server_cpu_s_per_million": served / million,
            "other_work": max(0.0, busy - user - system - served) / (lasted * os.cpu_count())}


def quietly(*words, **how):
    done = subprocess.run(words, stdout=sys.stderr, **how)
    if done.returncode != 0:
        sys.exit(f"{words[0]}: {done.returncode}")


def build(args, names):
    needed = {**dict.fromkeys(GO_SOURCES, ["go"]), "node-sdk": ["node"], "wrk": ["wrk"]}
    programs = {"time", "taskset", "openssl"}.union(*(needed.get(name, []) for name in names))
    if missing := sorted(program for program in programs if shutil.which(program) is None):
        sys.exit(f"not installed: {', '.join(missing)}; the packages are named by --help")
    if "node-sdk" in names and not (VENDOR / "node_modules").exists():
        sys.exit("the vendor's SDK is not in build/vendor: ./dev bench gets it")
    PEERS.mkdir(parents=True, exist_ok=True)
    # Debian's libraries, no modules: nothing is fetched.
    env = {**os.environ, "GO111MODULE": "off", "GOPATH": GO_PATH, "GOCACHE": str(PEERS / "go-cache"), "GOFLAGS": ""}
    for name in GO_SOURCES.keys() & names:
        source, tags = GO_SOURCES[name]
        quietly("go", "build", "-tags", tags, "-o", PEERS / name, ".", cwd=HERE / "peers/go" / source, env=env)


def said(*words):
    """The first line of what a command says of itself."""
    try:
        done = subprocess.run(words, capture_output=True, text=True)
        return (done.stdout or done.stderr).split("\n")[0].strip()
    except OSError:
        return ""


def surroundings(args):
    models = (line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    package = VENDOR / "node_modules/@huaweicloud/huaweicloud-sdk-core/package.json"
    library = "dpkg-query", "-W", "-f", "${Version}"
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": {"cpu": next(models, ""), "cpus": os.cpu_count(), "kernel": platform.release().partition("-")[0],
                    "file_system": said("stat", "-f", "-c", "%T", tempfile.gettempdir())},
        "versions": {"culld": said(pathlib.Path(args.bin).resolve() / "culld", "--version"),
                     "go": said("go", "version"), "node": said("node", "--version"), "wrk": said("wrk", "-v"),
                     "fasthttp": said(*library, "golang-github-valyala-fasthttp-dev"),
                     "sha256-simd": said(*library, "golang-github-minio-sha256-simd-dev"),
                     "sdk-core": json.loads(package.read_text())["version"] if package.exists() else ""}}


def summary(runs, ours):
    cpu = [run["cpu_s_per_million"] for run in runs]
    ratios = [run["cpu_s_per_million"] / own["cpu_s_per_million"] for run, own in zip(runs, ours)]
    return {"ids_per_s": statistics.median(run["ids_per_s"] for run in runs),
            "cpu_s_per_million": {"median": statistics.median(cpu), "min": min(cpu), "max": max(cpu)},
            "mib": statistics.median(run["mib"] for run in runs),
            "ratio": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)} if ratios else None,
            "runs": runs}


def print_table(cases):
    print(f"{'ids:batch':20} {'client':14} {'ids/s':>12} {'CPU s per million (range)':>28} {'MiB':>7} {'x culld':>8}")
    for case in cases:
        for name, client in case["clients"].items():
            cpu = client["cpu_s_per_million"]
            ratio = f"{client['ratio']['median']:.2f}" if client["ratio"] else "-"
            print(f"{case['case']:20} {name:14} {client['ids_per_s']:12,.0f} "
                  f"{cpu['median']:12.4f} {'({:.4f}-{:.4f})'.format(cpu['min'], cpu['max']):>15} "
                  f"{client['mib']:7.1f} {ratio:>8}")
    all_runs = [run for case in cases for client in case["clients"].values() for run in client["runs"]]
    other = sorted(run["other_work"] for run in all_runs)
    print(f"\nOther work took {statistics.median(other):.1%} of the machine's CPU meanwhile (median of the runs), "
          f"{other[-1]:.1%} at most.")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release")
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--case", action="append", type=Case)
    args.add_argument("--peers", default=",".join(CLIENTS), help="which of %(default)s")
    args.add_argument("--wrk-seconds", type=int, default=2)
    args.add_argument("--json", type=pathlib.Path)
    args = args.parse_args()
    names = [name for name in CLIENTS if name in args.peers.split(",")]
    if unknown := set(args.peers.split(",")) - set(CLIENTS):
        sys.exit(f"--peers: {', '.join(sorted(unknown))}? There are {', '.join(CLIENTS)}")
    if os.cpu_count() < 2:
        sys.exit("client and server need a CPU each")
    cases = args.case or [Case(c) for c in ("3000000:100", "3000000:999", "3000000:100:tls", "3000000:999:tls")]
    build(args, names)
    seen = {(case, name): [] for case in cases for name in names}
    with tempfile.TemporaryDirectory(prefix="culld-compare-lists-") as folder:
        try:
            name, case = "", None
            say("signatures: every client that signs, against a server that checks them")
            for name in names:
                if name != "wrk":
                    run(name, case := Case("2000:100"), args, folder, flags=("--ak", AK, "--sk", SK))
            for number in range(args.rounds):
                for case in cases:
                    # Another one begins each round: none always comes after the same.
                    for name in names[number % len(names):] + names[:number % len(names)]:
                        seen[case, name].append(run(name, case, args, folder))
                        say(f"round {number + 1} of {args.rounds}, {case.name}, {name}: "
                            f"{seen[case, name][-1]['cpu_s_per_million']:.4f} CPU s per million")
        except Failed as why:
            sys.exit(f"{name}, {case.name}: {why}")
    results = [{"case": case.name, "ids": case.ids, "batch": case.batch, "tls": case.tls,
                "clients": {name: summary(seen[case, name], seen.get((case, "culld"), [])) for name in names}}
               for case in cases]
    print_table(results)
    if args.json:
        args.json.write_text(json.dumps({**surroundings(args), "rounds": args.rounds, "connections": CONNECTIONS,
                                         "cases": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
