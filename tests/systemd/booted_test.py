#!/usr/bin/env python3
"""culld as systemd runs it: boots a machine of its own (systemd-nspawn, loopback for a network), installs culld and
cull-emulator there, and does to the service what operators, users and bad days do to it.

    tests/systemd/booted_test.py [--build build/release] [--root FOLDER] [--only WORD]

--root keeps the bare Debian that is made for it in FOLDER, and takes it from there the next time; without it one is
made each time (mmdebstrap or debootstrap, from the mirror that apt uses here; a minute or two). --only runs the checks
with WORD in their names. Exits 0 where all is well, 1 where not, and 77, with the reason, where nothing can be booted.
"""
import argparse, contextlib, ctypes, json, os, pathlib, re, shutil, signal, subprocess, sys, tempfile, time
import urllib.request

REQUEST_TIMEOUT = 4  # seconds
CONFIG = f"""api: {{endpoint: "http://127.0.0.1:8080", project_id: p, workspace_id: w, connect_timeout: 1s,
      request_timeout: {REQUEST_TIMEOUT}s}}
auth: {{method: token, token_file: token}}
batch: {{size: 5}}
limits: {{requests_per_second: 25}}
retry: {{base_delay: 50ms, max_delay: 500ms}}
"""
OVERRIDE = """[Service]
LoadCredential=token:/etc/culld/credentials/token
WatchdogSec=3s
"""
EMULATOR = """[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=/usr/bin/cull-emulator --listen 127.0.0.1:8080 --scenario /etc/emulator.yaml
[Install]
WantedBy=multi-user.target
"""
SPOOL = {".": ("0755", "culld"), "tmp": ("3770", "culld-submit"), "incoming": ("3770", "culld-submit"),
         "active": ("0750", "culld"), "done": ("0750", "culld"), "failed": ("0750", "culld"),
         "rejected": ("2750", "culld-submit")}
LIBC, CLONE_NEWNS, MNT_DETACH = ctypes.CDLL(None, use_errno=True), 0x20000, 2
STARTED = "39f53479d3a045ac8e11786248231fbf"  # systemd's message ID for a unit that is up


class NotTested(Exception):
    pass


class Wrong(Exception):
    pass


def expect(truth, what):
    if not truth:
        raise Wrong(what)


def until(what, test, seconds=15):
    """Waits for something, and returns it."""
    end = time.monotonic() + seconds
    while not (found := test()):
        if time.monotonic() > end:
            raise Wrong(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return found


def words_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


# --- the machine --------------------------------------------------------------------------------------------------

def make_root(folder, programs):
    """A bare Debian, of the same release as this one, with systemd and the libraries of these programs."""
    tool = shutil.which("mmdebstrap") or shutil.which("debootstrap")
    if not tool or not shutil.which("apt-get"):
        raise NotTested("neither mmdebstrap nor debootstrap is installed, or this is no Debian")
    release = re.search(r"^VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text(), re.M)[1]
    mirror = words_of("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian",
                      f"Codename: {release}", "Component: main")
    if not mirror:
        raise NotTested(f"apt knows no mirror of Debian {release} here: apt-get update?")
    libraries = {os.path.realpath(word) for word in words_of("ldd", *programs) if word.startswith("/") and
                 not word.endswith(":")}
    owners = words_of("dpkg-query", "--search", *("*" + re.sub("^/usr", "", library) for library in libraries))
    packages = {word.split(":")[0] for word in owners if word.endswith(":")}
    print(f"making a Debian {release} with {os.path.basename(tool)}", flush=True)
    packages |= {"systemd", "systemd-sysv", "dbus"}
    made = subprocess.run([tool, "--variant=minbase", "--include=" + ",".join(sorted(packages)), release, folder,
                           mirror[0]], capture_output=True, text=True)
    if made.returncode:
        raise NotTested(f"{tool} failed: {made.stderr.strip()[-500:]}")


def own_mounts(work):
    """From here on what is mounted is seen by nobody else, and gone when we are: so memory to work in, first of all."""
    if LIBC.unshare(CLONE_NEWNS):
        raise NotTested(f"nothing can be mounted here: {os.strerror(ctypes.get_errno())}")
    mounts = [["--make-rprivate", "/"], ["-t", "tmpfs", "-o", "mode=0755", "tmpfs", work]]
    if not os.path.isdir("/run/systemd/system"):
        mounts.append(["-t", "tmpfs", "tmpfs", "/run"])  # nspawn wants no disk there
    for words in mounts:
        if subprocess.run(["mount", *words]).returncode:
            raise NotTested("nothing can be mounted here")


def own_cgroups():
    places = [f"{top}/culld-booted-{os.getpid()}" for top in
              ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup")
              if os.path.exists(f"{top}/cgroup.procs")]
    if not places:
        raise NotTested("no cgroups are mounted")
    try:
        for place in places:
            os.mkdir(place)
    except OSError as error:
        raise NotTested(f"no cgroup can be made: {error}") from error
    return places


class Machine:
    """A systemd that was booted from a root folder."""

    def __init__(self, root, log):
        self.root, self.log, self.cgroups, self.process = root, log, [], None

    def __enter__(self):
        return self

    def boot(self):
        self.halt()
        command = ["systemd-nspawn", "--quiet", "--directory", self.root, "--boot", "--register=no",
                   "--private-network", "--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=pipe"]
        # Where no systemd runs outside, nobody else gives the machine a place in the cgroups.
        if not os.path.isdir("/run/systemd/system"):
            self.cgroups = own_cgroups()
            enter = "".join(f"echo $$ >{place}/cgroup.procs; " for place in self.cgroups)
            command = ["sh", "-ec", enter + 'exec "$@"', "sh", *command, "--keep-unit"]
        # It ends with us, however we end.
        self.process = subprocess.Popen(["setpriv", "--pdeathsig=TERM", *command], stdin=subprocess.DEVNULL,
                                        stdout=open(self.log, "ab"), stderr=subprocess.STDOUT, start_new_session=True)
        self.leader = until("a process 1", self.find_leader, 30)
        self.files = pathlib.Path(f"/proc/{self.leader}/root")
        until("a systemd that answers", lambda: self.run("systemctl", "is-system-running", ok=None).stdout.strip() in
              ("running", "degraded"), 60)
        # From here on 127.0.0.1 is the machine's.
        with open(f"/proc/{self.leader}/ns/net") as network:
            expect(LIBC.setns(network.fileno(), 0) == 0, "its network cannot be entered")

    def find_leader(self):
        if self.process.poll() is not None:
            raise Wrong("systemd-nspawn ended")
        with contextlib.suppress(OSError):
            children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            for child in children:
                with open(f"/proc/{child}/comm") as name:
                    if name.read() == "systemd\n":
                        return int(child)

    def run(self, *command, user=None, ok=0, **how):
        """A command in there, as root or as a user; raises Wrong where its exit code is not the one expected."""
        enter = ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--"]
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        done = subprocess.run([*enter, *who, *map(str, command)], capture_output=True, text=True, timeout=60, cwd="/",
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}, **how)
        if ok is not None and done.returncode != ok:
            raise Wrong(f"`{' '.join(map(str, command))}`{f' as {user}' if user else ''} exits with {done.returncode}, "
                        f"not {ok}: {(done.stdout + done.stderr).strip()[-600:]}")
        return done

    def write(self, path, text, mode=0o644, owner=0):
        """Puts a file there, under its name at once."""
        path = self.files / path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(text)
        fresh.chmod(mode)
        os.chown(fresh, owner, owner)
        fresh.rename(path)

    def halt(self):
        """Powers off in good order, where that does not last too long."""
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        for place in self.cgroups:
            for folder, _, _ in os.walk(place, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)

    def __exit__(self, *_):
        self.halt()


# --- the service --------------------------------------------------------------------------------------------------

class Service:
    """culld in that machine, and all that the checks want to know of it."""

    def __init__(self, machine):
        self.machine, self.run, self.write = machine, machine.run, machine.write
        self.configured, self.secrets = False, []

    def install(self, build):
        """As README says, and four users: alice and bob may submit, carol may command, mallory nothing."""
        subprocess.run(["cmake", "--install", build, "--prefix", "/usr"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "DESTDIR": str(self.machine.root)})
        self.run("systemd-sysusers")
        self.run("systemd-tmpfiles", "--create")
        for name, groups in ("alice", "culld-submit"), ("bob", "culld-submit"), ("carol", "culld"), ("mallory", ""):
            self.run("useradd", "-M", "-G", groups, name)
        self.write("/etc/systemd/system/cull-emulator.service", EMULATOR)
        self.run("systemctl", "daemon-reload")
        self.uid = int(self.run("id", "-u", "culld").stdout)

    def configure(self):
        self.write("/etc/culld/culld.yaml", CONFIG)
        self.write("/etc/systemd/system/culld.service.d/override.conf", OVERRIDE)
        self.give_token("/etc/culld/credentials/token", "first")
        self.run("systemctl", "daemon-reload")
        self.configured = True

    def give_token(self, path, word, owner=0):
        """A secret that both the emulator, from its next request on, and a file of culld's hold."""
        self.secrets.append(f"{word}-secret-{os.urandom(8).hex()}")
        self.write("/etc/emulator-token", self.secrets[-1])
        self.write(path, self.secrets[-1], 0o600, owner)

    def emulate(self, scenario=""):
        """An emulator that has seen nothing yet."""
        self.write("/etc/emulator.yaml", "token_file: /etc/emulator-token\n" + (scenario or "latency: 20ms\n"))
        self.run("systemctl", "restart", "cull-emulator")
        until("an emulator", lambda: self.get("truth", "http://127.0.0.1:8080/_emulator/"))

    def get(self, path, base="http://127.0.0.1:9464/"):
        """What a GET answers as JSON (text as it is); None where nobody does, or with an error."""
        try:
            with urllib.request.urlopen(base + path, timeout=5) as answer:
                text = answer.read().decode()
                return json.loads(text) if answer.headers.get_content_type() == "application/json" else text
        except OSError:
            return None

    def show(self, name):
        return self.run("systemctl", "show", "--property", name, "--value", "culld").stdout.strip()

    def signal(self, name):
        self.run("systemctl", "kill", "--kill-who=main", f"--signal={name}", "culld")

    def start(self):
        self.run("systemctl", "reset-failed", "culld", ok=None)  # the checks start it more often than people do
        self.run("systemctl", "start", "culld")

    def quiet(self):
        """Runs, with the usual emulator, and has nothing to do: what a check begins with."""
        if not self.configured:
            self.configure()
        for drop_in in (self.machine.files / "etc/culld").glob("culld.yaml.d/*"):
            drop_in.unlink()
        self.emulate()
        self.start()
        for job in self.open_jobs():
            self.run("cullctl", "cancel", job, ok=None)  # another check has failed, and left it
        until("the end of all jobs", lambda: not self.open_jobs(), 30)

    def open_jobs(self):
        return self.run("cullctl", "list", "--open", "--names").stdout.split()

    def submit(self, name, count=200, user="alice", ok=0):
        return self.run("cullctl", "submit", "--name", f"{name}.txt", "-", user=user, ok=ok,
                        input="".join(f"{name}-{i}\n" for i in range(count)))

    def job(self, name):
        """What the daemon says of a job; {} where it says nothing."""
        jobs = (self.get("v1/jobs") or {"jobs": []})["jobs"]
        return next((job for job in jobs if job["job_id"].startswith(name + "-")), {})

    def under_way(self, name, count=200):
        """Submits a job, and comes back in the middle of it."""
        self.submit(name, count)
        until(f"a beginning of job {name}", lambda: self.job(name).get("totals", {}).get("deleted", 0) >= 20)

    def ends_well(self, name, count=200, deleted=..., twice=0):
        """Waits for a job's end, and holds it against the emulator: ids it has deleted (None: it cannot know), and how
        many of them it was asked for again, at the most.
        """
        deleted = count if deleted is ... else deleted
        job = until(f"the end of job {name}", lambda: self.job(name).get("state") == "finished" and self.job(name), 30)
        totals = job["totals"]
        expect(job["status"] == "completed" and totals["ids"] == totals["deleted"] + totals["absent"] == count,
               f"job {name}: {job}")
        self.run("cullctl", "verify", job["job_id"])
        until(f"{name}.txt in done/", (self.machine.files / f"var/spool/culld/done/{name}.txt").exists, 5)
        if deleted is not None:
            times = self.deleted(name)
            again = {id: n for id, n in times.items() if n > 1}
            expect(len(times) == deleted and len(again) <= twice, f"the server deleted {len(times)}, and again {again}")
        return job

    def deleted(self, name):
        """What the emulator has deleted of a job: how often each id."""
        truth = self.get("truth", "http://127.0.0.1:8080/_emulator/")
        return {id: n for id, n in truth["deleted"].items() if id.startswith(name + "-")}

    def journal(self, *match):
        """journald's entries about culld, the daemon's own and systemd's."""
        self.run("journalctl", "--sync")
        return [json.loads(line) for line in
                self.run("journalctl", "-q", "-o", "json", *(match or ("-u", "culld"))).stdout.splitlines()]

    def records(self, job_id):
        path = self.machine.files / f"var/lib/culld/journal/{job_id}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]


# --- the checks ---------------------------------------------------------------------------------------------------

CHECKS = []


def check(story=None, begins=Service.quiet):
    if not story:
        return lambda story: check(story, begins)
    CHECKS.append((begins, story))


@check(begins=None)
def users_and_folders(it):
    """sysusers and tmpfiles make the user, the group and the spool with its modes"""
    expect(0 < it.uid < 1000, f"culld is no system user: {it.uid}")
    expect("culld-submit" in it.run("id", "-nG", "culld").stdout.split(), "culld is not in culld-submit")
    account = it.run("getent", "passwd", "culld").stdout.strip().split(":")
    expect(account[6].endswith("nologin"), f"one can log in as culld: {account}")
    for folder, (mode, group) in SPOOL.items():
        found = it.run("stat", "-c", "%04a %U %G", f"/var/spool/culld/{folder}").stdout.strip()
        expect(found == f"{mode} culld {group}", f"{folder}: {found}")


@check(begins=None)
def no_configuration(it):
    """without a configuration systemd skips the start, and nothing fails"""
    it.run("systemctl", "start", "culld")
    expect(it.show("ConditionResult") == "no" and it.show("ActiveState") == "inactive", it.show("ActiveState"))


@check(begins=None)
def wrong_configuration(it):
    """a wrong configuration fails the start with 78, and is not tried again"""
    it.write("/etc/culld/culld.yaml", CONFIG.replace("limits", "limitz"))
    it.run("systemctl", "start", "culld", ok=1)
    expect(it.show("ExecMainStatus") == "78" and it.show("ActiveState") == "failed",  # else: activating (auto-restart)
           it.run("systemctl", "status", "culld", ok=None).stdout)
    said = [entry["MESSAGE"] for entry in it.journal()]
    expect(any("culld.yaml:" in line and "limits" in line for line in said), f"the log does not say what: {said}")


@check(begins=None)
def missing_credential(it):
    """a credential that is not there fails the start, and a later start does well"""
    it.configure()
    (it.machine.files / "etc/culld/credentials/token").unlink()
    it.run("systemctl", "reset-failed", "culld")
    it.run("systemctl", "start", "culld", ok=1)
    it.run("systemctl", "stop", "culld")
    it.configure()
    it.quiet()


@check
def ready_when_ready(it):
    """`systemctl start` comes back when the drop box, the control socket and the page are open, not before"""
    it.run("systemctl", "stop", "culld")
    it.start()
    expect(it.get("readyz") == "ok\n", "not ready when systemd says so")
    it.run("cullctl", "list")
    expect(it.show("Type") == "notify" and it.show("StatusText") == "idle", it.show("StatusText"))
    it.submit("at-once", 20)
    it.ends_well("at-once", 20)


@check
def sandbox(it):
    """the loaded unit's exposure is 1.2 or better, and the process is locked in accordingly"""
    it.run("systemd-analyze", "verify", "--man=no", "culld.service")
    it.run("systemd-analyze", "security", "--threshold=12", "culld.service")
    pid = it.show("MainPID")
    status = dict(line.split(":", 1) for line in (it.machine.files / f"proc/{pid}/status").read_text().splitlines())
    expect(status["Uid"].split() == [str(it.uid)] * 4, f"runs as {status['Uid']}")
    lease = 1 << 28  # CAP_LEASE
    expect(int(status["CapEff"], 16) == int(status["CapBnd"], 16) == lease, "has other capabilities than CAP_LEASE")
    expect(status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2", "no seccomp filter")
    inside = ["nsenter", f"--target={pid}", "--mount"]  # root, with every capability, where culld is
    for folder in "/etc", "/usr/bin", "/var/log", "/var/spool":
        it.run(*inside, "touch", f"{folder}/culld-was-here", ok=1)
    it.run(*inside, "touch", "/var/spool/culld/.culld-was-here", "/var/lib/culld/.culld-was-here")
    expect(it.run(*inside, "ls", "-A", "/home", "/root", "/tmp").stdout.split() == ["/home:", "/root:", "/tmp:"],
           "sees homes, or others' temporary files")


@check
def secrets(it):
    """the credential is for culld alone, and in no environment, command line or log"""
    pid = it.show("MainPID")
    place = "/run/credentials/culld.service/token"
    expect(it.run("cat", place, user="culld").stdout == it.secrets[-1], "culld cannot read it")
    for user in "alice", "mallory":
        it.run("cat", place, user=user, ok=1)
    for name in "environ", "cmdline":
        expect(it.secrets[-1] not in (it.machine.files / f"proc/{pid}/{name}").read_text(), f"it is in {name}")


@check
def submitters(it):
    """members of culld-submit may drop jobs, with cullctl and with cp; the journal names them"""
    alice = int(it.run("id", "-u", "alice").stdout)
    it.submit("alices", 20)
    job = it.ends_well("alices", 20)
    expect(it.records(job["job_id"])[0]["owner"]["uid"] == alice, "another owner is recorded")
    it.run("sh", "-c", "umask 027; echo copied-0 >/tmp/copied.txt; cp /tmp/copied.txt /var/spool/culld/incoming/",
           user="bob")
    it.ends_well("copied", 1)


@check
def followed(it):
    """members of culld-submit may follow their jobs, and learn why one is rejected (cullctl submit --wait)"""
    it.write("/tmp/waited.json", '{"version": 1, "id": "waited", "ids": ["waited-0"]}')
    it.run("cullctl", "submit", "--wait", "/tmp/waited.json", user="alice")
    again = it.run("cullctl", "submit", "--wait", "/tmp/waited.json", user="alice", ok=65)
    expect("accepted before" in again.stderr, again.stderr)


@check
def strangers(it):
    """others may not drop, look or command; and no submitter touches another's file"""
    it.submit("never", user="mallory", ok=77)
    for command in ("touch /var/spool/culld/incoming/x", "touch /var/spool/culld/x", "ls /var/spool/culld/incoming",
                    "ls /var/spool/culld/done", "ls /var/lib/culld", "cat /var/lib/culld/journal/ledger.jsonl"):
        expect(it.run("sh", "-c", command, user="mallory", ok=None).returncode, f"mallory may {command}")
    it.run("systemctl", "stop", "culld")
    it.submit("bobs", 20, user="bob")
    for command in "rm", "truncate -s 0", "mv -t /tmp":
        expect(it.run("sh", "-c", f"{command} /var/spool/culld/incoming/bobs.txt </dev/null", user="alice",
                      ok=None).returncode, f"alice may {command} bob's file")
    it.start()
    it.ends_well("bobs", 20)


@check
def control(it):
    """the control socket obeys root and culld's group, submitters for their own jobs, and nobody else"""
    it.under_way("controlled", 400)
    job = it.job("controlled")["job_id"]
    for user in "bob", "mallory":
        it.run("cullctl", "cancel", job, user=user, ok=77)
    it.run("cullctl", "pause", job, user="alice")  # her own
    until("a pause", lambda: it.job("controlled")["state"] == "paused")
    expect(it.show("StatusText") == "1 jobs open, none running", it.show("StatusText"))
    it.run("systemctl", "restart", "culld")
    expect(it.job("controlled")["state"] == "paused", "the pause did not survive a restart")
    it.run("cullctl", "resume", job, user="carol")
    it.ends_well("controlled", 400)


@check
def status_line(it):
    """the Status line of `systemctl status` has the current job and its rate"""
    it.under_way("shown")
    said = until("a status of job shown", lambda: (s := it.show("StatusText")).startswith("shown-") and s, 5)
    expect(re.fullmatch(r"shown-\S+: \d+/200 ids, 0 failed, \d+ ids/s; 1 jobs open, \d+ ids left", said), said)
    it.ends_well("shown")
    until("an idle status", lambda: it.show("StatusText") == "idle", 5)


@check
def native_log(it):
    """log lines reach journald with their own fields, and with them the ledger's hashes"""
    it.submit("logged", 20)
    job = it.ends_well("logged", 20)["job_id"]
    entries = it.journal("_SYSTEMD_UNIT=culld.service", f"CULLD_JOB_ID={job}")
    events = {entry["CULLD_EVENT"]: entry for entry in entries}
    expect({"job.accepted", "job.finished"} <= set(events), f"events are {set(events)}")
    for entry in entries:
        expect(entry["_TRANSPORT"] == "journal" and entry["SYSLOG_IDENTIFIER"] == "culld" and
               entry["_UID"] == str(it.uid) and entry["PRIORITY"] in "456", entry)
    heads = [entry for entry in it.journal("CULLD_EVENT=ledger.line")]
    head = json.loads((it.machine.files / "var/lib/culld/journal/ledger.head").read_text())["sha256"]
    expect(head in json.dumps(heads[-1]), "the ledger's last hash is not in the log")


@check
def notification(it):
    """a program of the operator's own is told of a job's end, a shell script in the sandbox that may write little"""
    it.write("/usr/local/bin/tell", "#!/bin/sh\ntouch /etc/told && exit 1\nexec cat >>/var/lib/culld/told\n", 0o755)
    it.write("/etc/culld/culld.yaml.d/notify.yaml", "notify: {command: [/usr/local/bin/tell, all]}\n")
    it.run("systemctl", "reload", "culld")
    it.submit("told", 20)
    job = it.ends_well("told", 20)
    told = it.machine.files / "var/lib/culld/told"
    until("a notice", lambda: told.exists() and told.read_text().endswith("\n"), 10)
    notice = json.loads(told.read_text())
    expect(notice["event"] == "finished" and notice["job_id"] == job["job_id"] and
           notice["totals"]["deleted"] == 20 and notice["reason"] is None, notice)
    expect(not (it.machine.files / "etc/told").exists(), "it may write where culld may not")
    (it.machine.files / "etc/culld/culld.yaml.d/notify.yaml").unlink()
    it.run("systemctl", "reload", "culld")


@check
def reload(it):
    """a reload changes the settings and nothing else; a wrong one is refused by systemctl and by culld itself"""
    pid = it.show("MainPID")
    it.under_way("reloaded", 400)
    it.write("/etc/culld/culld.yaml.d/faster.yaml", "limits: {requests_per_second: 80}\n")
    it.run("systemctl", "reload", "culld")
    until("the new rate", lambda: re.search(r"per_second\S* 80$", it.get("metrics") or "", re.M), 5)
    it.write("/etc/culld/culld.yaml.d/wrong.yaml", "limits: {requests_per_second: never}\n")
    it.run("systemctl", "reload", "culld", ok=1)
    it.signal("HUP")
    until("a refused reload", lambda: it.journal("_SYSTEMD_UNIT=culld.service", "CULLD_EVENT=reload.failed"))
    expect(re.search(r"per_second\S* 80$", it.get("metrics"), re.M), "a wrong file changed the rate")
    (it.machine.files / "etc/culld/culld.yaml.d/wrong.yaml").unlink()
    expect(it.show("ActiveState") == "active" and it.show("MainPID") == pid, "the service did not survive it")
    it.ends_well("reloaded", 400)


def back_again(it, pid, name):
    """After a violent end: systemd has started another, which was ready only once it knew all jobs again."""
    until("a new process", lambda: it.show("MainPID") not in ("0", pid) and it.show("ActiveState") == "active", 30)
    it.ends_well(name, twice=4 * 5)  # answers that were in flight died with it
    entries = it.journal(f"_SYSTEMD_INVOCATION_ID={it.show('InvocationID')}", "+",
                         f"INVOCATION_ID={it.show('InvocationID')}")
    order = [e.get("CULLD_EVENT") or e.get("MESSAGE_ID") for e in entries]
    expect("job.recovered" in order and order.index("job.recovered") < order.index(STARTED), f"the order was {order}")


@check
def killed(it):
    """SIGKILL in mid-job: systemd starts culld again, and the job ends well"""
    it.under_way("killed")
    pid, restarts = it.show("MainPID"), int(it.show("NRestarts"))
    it.signal("KILL")
    back_again(it, pid, "killed")
    expect(int(it.show("NRestarts")) == restarts + 1, "more than one restart")


@check
def hangs(it):
    """a process that does not answer is killed by the watchdog, and the job goes on"""
    it.under_way("hung")
    pid = it.show("MainPID")
    it.signal("STOP")
    back_again(it, pid, "hung")
    expect(any("Watchdog timeout" in str(entry["MESSAGE"]) for entry in it.journal()), "it was not the watchdog")


@check
def stopped_with_answers_in_flight(it):
    """`systemctl stop` in mid-job lets answers in flight land, and the next start sends no id twice"""
    it.emulate("latency: 400ms\n")
    it.under_way("stopped")
    begin = time.monotonic()
    it.run("systemctl", "stop", "culld")
    took = time.monotonic() - begin
    expect(it.show("Result") == "success" and it.show("ExecMainStatus") == "0" and took < 2, f"took {took:.1f} s")
    it.start()
    job = it.ends_well("stopped")
    expect(job["totals"]["requests"] == 200 / 5, f"ids were sent again: {job['totals']}")


@check
def stopped_while_the_server_hangs(it):
    """`systemctl stop` while the server is silent comes back within request_timeout + 2 s"""
    it.emulate("latency: 20ms\noutages: [{after_requests: 10, for_seconds: 60, kind: hang}]\n")
    it.submit("silent")
    until("a silent server", lambda: it.job("silent").get("in_flight", 0) >= 10)
    begin = time.monotonic()
    it.run("systemctl", "stop", "culld")
    took = time.monotonic() - begin
    expect(it.show("Result") == "success" and took < REQUEST_TIMEOUT + 2, f"took {took:.1f} s, {it.show('Result')}")
    before = it.deleted("silent")
    it.emulate()
    it.start()
    it.ends_well("silent", deleted=200 - len(before))


@check
def credential_rotated(it):
    """a token that is refused blocks the job; with a new credential and a restart it goes on"""
    it.under_way("rotated", 300)
    it.write("/etc/emulator-token", "another")
    until("a blocked job", lambda: it.job("rotated")["state"] == "blocked")
    # The reason has the API's words: they are told to those who may command, and not on the port.
    told = it.run("cullctl", "status", it.job("rotated")["job_id"]).stdout
    expect("APIGW" in told and "APIGW" not in it.job("rotated")["reason"], told)
    it.give_token("/etc/culld/credentials/token", "second")
    it.run("systemctl", "restart", "culld")
    it.ends_well("rotated", 300)


@check
def file_rotated(it):
    """a token in a file of culld's own needs no restart: the job goes on when the file changes"""
    it.write("/etc/culld/culld.yaml.d/token.yaml", "auth: {token_file: /etc/culld/credentials/own}\n")
    it.give_token("/etc/culld/credentials/own", "third", it.uid)
    it.run("systemctl", "reload", "culld")
    it.under_way("replaced", 300)
    pid = it.show("MainPID")
    it.write("/etc/emulator-token", "another")
    until("a blocked job", lambda: it.job("replaced")["state"] == "blocked")
    it.give_token("/etc/culld/credentials/own", "fourth", it.uid)
    it.ends_well("replaced", 300)
    expect(it.show("MainPID") == pid, "it was restarted")
    it.give_token("/etc/culld/credentials/token", "fifth")
    it.run("systemctl", "stop", "culld")


@check
def restarted(it):
    """`systemctl restart` in mid-job: goes on where it was, keeps its rate, sends nothing twice"""
    it.under_way("restarted", 300)
    it.run("systemctl", "restart", "culld")
    expect(it.get("readyz") == "ok\n", "not ready after a restart")
    job = it.ends_well("restarted", 300)
    expect(job["totals"]["requests"] == 300 / 5, f"ids were sent again: {job['totals']}")
    busiest = it.get("windows?seconds=1", "http://127.0.0.1:8080/_emulator/")["max"]
    expect(busiest <= 25, f"{busiest} requests in a second")


@check
def nothing_leaks(it):
    """no secret of all these checks is in a log, a journal or the spool"""
    places = [it.run("journalctl", "-o", "export").stdout, it.get(""), it.get("metrics")]
    places += [path.read_text(errors="replace") for folder in ("var/lib/culld", "var/spool/culld")
               for path in (it.machine.files / folder).rglob("*") if path.is_file()]
    expect(len(places) > 20 and all(place for place in places[:3]), "there was nothing to look at")
    expect(not any(secret in place for secret in it.secrets for place in places), "a secret is told")


@check
def power_off(it):
    """the machine goes down in mid-job: at the next boot culld is there again, and the job ends well"""
    it.run("systemctl", "enable", "--quiet", "culld", "cull-emulator")
    it.under_way("booted")
    it.machine.boot()
    until("culld", lambda: it.show("ActiveState") == "active")
    it.ends_well("booted", deleted=None)


# --- the whole ----------------------------------------------------------------------------------------------------

def run(args, work):
    for needed in "systemd-nspawn", "nsenter", "setpriv", "cmake":
        if not shutil.which(needed):
            raise NotTested(f"{needed} is not installed")
    if os.geteuid():
        raise NotTested("only root can boot a machine")
    programs = [args.build / name for name in ("culld", "cullctl", "cull-emulator")]
    if missing := [str(program) for program in programs if not program.exists()]:
        raise NotTested(f"not built: {missing}")
    own_mounts(work)
    if not args.root or not args.root.exists():
        make_root(work / "root", programs)
        if args.root:
            subprocess.run(["cp", "-a", work / "root", args.root], check=True)
    else:
        subprocess.run(["cp", "-a", args.root, work / "root"], check=True)
    (work / "root/var/log/journal").mkdir(exist_ok=True)  # so that the log outlives a boot
    failed = 0
    with Machine(work / "root", work / "console") as machine:
        try:
            machine.boot()
        except Wrong as wrong:
            console = (work / "console").read_text()[-2000:]
            raise NotTested(f"no machine boots here: {wrong}\n{console}") from wrong
        it = Service(machine)
        it.install(args.build)
        for begins, story in CHECKS:
            if args.only and args.only not in story.__name__:
                continue
            begin, since = time.monotonic(), time.time()
            try:
                if begins:
                    begins(it)
                story(it)
                print(f"ok      {time.monotonic() - begin:4.1f} s  {story.__doc__}", flush=True)
            except Exception as wrong:  # whatever it was, the next one has its turn
                failed += 1
                print(f"NOT OK  {time.monotonic() - begin:4.1f} s  {story.__doc__}\n    {story.__name__}: {wrong!r}")
                log = machine.run("journalctl", "-u", "culld", f"--since=@{since:.6f}", "-o", "cat", ok=None).stdout
                print(log, flush=True)
    return 1 if failed else 0


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--build", type=pathlib.Path, default="build/release")
    args.add_argument("--root", type=pathlib.Path)
    args.add_argument("--only")
    args = args.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and clean up
    work = pathlib.Path(tempfile.mkdtemp(prefix="culld-booted-"))
    try:
        return run(args, work)
    except NotTested as why:
        print(f"NOT TESTED: {why}")
        return 77
    finally:
        LIBC.umount2(os.fsencode(work), MNT_DETACH)  # fails where it was never mounted
        work.rmdir()


sys.exit(main())
