#!/usr/bin/env python3
"""How long from the rename into incoming/ to the first byte of the delete request at the server, daemon warm and idle
before: files of one id, one at a time, each when the one before is in done/. Prints quantiles in microseconds.

    tests/bench/latency.py [--bin build/release] [--files 500] [--pause-ms 20]

The server is a thread here that stamps the clock when recv() returns; both ends are on one clock. TMPDIR decides what
an fsync costs, and there are several in the way: /dev/shm shows culld's own share.
"""
import argparse, pathlib, random, socket, statistics, threading, time

from bench import Place, until

GOOD = b'{"code":"00000000","message":"","data":{"success_ids":["%s"],"error_ids":[]}}'


class Server:
    """Answers one connection after the other, and keeps the time at which each request began to come."""

    def __init__(self):
        self.seen = {}
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            threading.Thread(target=self.serve, args=(self.listening.accept()[0],), daemon=True).start()

    def serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while request := connection.recv(65536):
            at = time.monotonic_ns()
            head, _, body = request.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(65536)
            name = body.partition(b'["')[2].partition(b'"')[0]
            self.seen[name.decode()] = at
            answer = GOOD % name
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-request-id: r\r\n"
                               b"Content-Length: %d\r\n\r\n%s" % (len(answer), answer))


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--bin", type=pathlib.Path, default="build/release")
    args.add_argument("--files", type=int, default=500)
    args.add_argument("--pause-ms", type=float, default=20)
    args = args.parse_args()
    server, chance, took = Server(), random.Random(1), []
    with Place("latency", args.bin) as place:
        place.address = server.address
        place.configure("{requests_per_second: 1000, burst: 100, concurrency: 4}", signed=True)
        place.culld()
        until((place.path / "control.sock").exists, "culld to start")
        for number in range(args.files + 20):
            name = f"i{number}"
            (place.path / "spool/tmp" / name).write_text(name + "\n")
            time.sleep(args.pause_ms / 1000 * chance.uniform(0.5, 1.5))
            begun = time.monotonic_ns()
            (place.path / "spool/tmp" / name).rename(place.path / f"spool/incoming/{name}.txt")
            until((place.path / f"spool/done/{name}.txt").exists, f"{name}.txt in done/")
            if number >= 20:  # those before warm everything
                took.append((server.seen[name] - begun) / 1000)
    cuts = statistics.quantiles(took, n=1000)
    print("  ".join(f"p{q / 10:g} {cuts[q - 1]:.0f}" for q in (500, 900, 990, 999)), f" max {max(took):.0f} µs")


if __name__ == "__main__":
    main()
