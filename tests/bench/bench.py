"""What the benchmarks share: lists of ids from a seed, the emulator, a culld of their own."""
import os, pathlib, random, shutil, subprocess, tempfile, time

# What signed jobs sign with, and a server may check.
AK, SK = "AKBENCHEXAMPLE000001", "sKbEnChExAmPlE0123456789abcdefABCDEF+/0="


def ids(count):
    """UUIDs from a seed, in pieces, so that a hundred million need no memory."""
    chance = random.Random(1)
    for begin in range(0, count, 100_000):
        n = min(100_000, count - begin)
        text = chance.randbytes(16 * n).hex()
        yield [f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
               for h in (text[i * 32:i * 32 + 32] for i in range(n))]


def cpu_seconds(pid):
    """Of all threads of a process, user and system."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until(condition, what, seconds=120, step=0.0005):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"waited {seconds} s for {what}")
        time.sleep(step)


def make_list(path, count):
    with open(path, "w") as out:
        for piece in ids(count):
            out.write("\n".join(piece) + "\n")


class Place:
    """A spool, a journal folder and an emulator, gone at the end of a `with`, and with them what was started."""

    def __init__(self, name, binaries, flags=("--fast",), tls=False):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=f"culld-{name}-"))
        self.binaries, self.tls, self.started = pathlib.Path(binaries).resolve(), tls, []
        if tls:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-days", "2", "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1",
                            "-keyout", self.path / "key.pem", "-out", self.path / "cert.pem"],
                           check=True, stderr=subprocess.DEVNULL)
            flags = [*flags, "--tls", self.path / "cert.pem", self.path / "key.pem"]
        for folder in ("incoming", "tmp"):
            (self.path / "spool" / folder).mkdir(parents=True)
        emulator = self.start("cull-emulator", "--listen", "127.0.0.1:0", *flags, stdout=subprocess.PIPE, text=True)
        self.address = emulator.stdout.readline().split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.path, ignore_errors=True)

    def start(self, program, *words, **how):
        process = subprocess.Popen([self.binaries / program, *words], cwd=self.path, **how)
        self.started.append(process)
        return process

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://{self.address}"

    def _secret(self, name, text):
        (self.path / name).touch(0o600)
        (self.path / name).write_text(text)
        return self.path / name

    def configure(self, limits, batch=100, signed=False):
        """Signed, or with a token as over TLS, or with nothing, which plain HTTP allows."""
        ca = f", ca_file: {self.path}/cert.pem" if self.tls else ""
        auth = ""
        if signed:
            auth = f"auth: {{method: aksk, ak_file: {self._secret('ak', AK)}, sk_file: {self._secret('sk', SK)}}}\n"
        elif self.tls:
            auth = f"auth: {{method: token, token_file: {self._secret('token', 't' * 2000)}}}\n"
        (self.path / "culld.yaml").write_text(
            f'api: {{endpoint: "{self.url}", project_id: p, workspace_id: w{ca}}}\n{auth}'
            f"spool: {{dir: {self.path}/spool}}\njournal: {{dir: {self.path}/journal}}\n"
            f"batch: {{size: {batch}}}\nlimits: {limits}\n"
            f'http: {{listen: "", socket: {self.path}/control.sock}}\n')

    def drop(self, name, fill):
        """Has `fill(path)` write a file, and renames it into the drop box."""
        fill(self.path / "spool/tmp" / name)
        (self.path / "spool/tmp" / name).rename(self.path / "spool/incoming" / name)

    def culld(self, *words):
        return self.start("culld", "--config", self.path / "culld.yaml", *words, stdout=subprocess.DEVNULL,
                          stderr=open(self.path / "culld.log", "a"))
