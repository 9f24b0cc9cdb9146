#!/usr/bin/env python3
"""A hostile SecMaster over TLS on loopback: hostile_server.py CERT KEY TRUTH

A request's project_id names the mischief, its workspace_id how long it lasts: "heals" for the first two deletions (and
all that is asked before them), "stays" for ever. Afterwards, and in the mode "good", this is an ordinary API.

Prints "listening on PORT". On SIGTERM writes what it was asked and what it really did to TRUTH, as JSON by
"MODE/LASTING": deletions, gets, done (ids, in order), and under "strays" every request that nobody should have sent.
"""
import base64
import gzip
import json
import signal
import socket
import ssl
import struct
import sys
import threading
import time

HOSTILE_DELETIONS = 2
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

GZIP_BOMB = gzip.compress(b" " * (64 << 20), 1)
LONG_EXTENSION = b"2;" + b"e" * (8 << 20) + b"\r\n{}\r\n0\r\n\r\n"
MANY_CHUNKS = b"1\r\n \r\n" * 1_000_000 + b"2\r\n{}\r\n0\r\n\r\n"

lock = threading.Lock()
truth = {"strays": []}


def whole(body, status=b"200 OK", more=b""):
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, more, len(body), body)


def lists(success, error):
    return json.dumps({"code": "00000000", "message": "Success.",
                       "data": {"success_ids": success, "error_ids": error}}).encode()


class Client:
    """One connection, as a piece of mischief sees it."""

    def __init__(self, tls, ids, token):
        self.tls = tls
        self.ids = ids  # of the request
        self.token = token
        self.send = tls.sendall

    def drip(self, data, seconds):
        for byte in data:
            self.send(bytes([byte]))
            time.sleep(seconds)

    def reset(self):
        raw = socket.socket(fileno=self.tls.detach())
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()

    def for_ever(self, data):
        while True:
            self.send(data)

    def until_gone(self):
        while self.tls.recv(65536):
            pass


def success_of(ids, tail=""):
    return lists([i + tail for i in ids], [])


# What is sent instead of an answer. Nothing of it is done, but in DONE_ANYWAY.
MISCHIEF = {
    "silent": Client.until_gone,
    "close": lambda c: None,
    "rst": Client.reset,
    "drip-headers": lambda c: c.drip(OK + b"Content-Length: 2\r\n\r\n{}", 0.1),
    "drip-body": lambda c: (c.send(OK + b"Content-Length: 500\r\n\r\n"), c.drip(b" " * 500, 0.1)),
    "never-ending": lambda c: (c.send(OK + b"\r\n"), c.for_ever(b" " * 65536)),
    "huge-header": lambda c: c.send(OK + b"X: " + b"a" * (1 << 20) + b"\r\n\r\n"),
    "many-headers": lambda c: c.send(OK + b"a:b\r\n" * 200_000 + b"\r\n"),
    "short-body": lambda c: c.send(OK + b"Content-Length: 1000\r\n\r\n" + success_of(c.ids)),
    "long-body": lambda c: c.send(whole(b"{}") + whole(success_of(c.ids))),
    "two-lengths": lambda c: c.send(OK + b"Content-Length: 2\r\n" + b"Content-Length: 5\r\n\r\n{}   "),
    "te-cl": lambda c: c.send(OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    "chunk-ext": lambda c: c.send(CHUNKED + LONG_EXTENSION),
    "chunk-bomb": lambda c: c.send(CHUNKED + MANY_CHUNKS),
    "chunk-overflow": lambda c: c.send(CHUNKED + b"FFFFFFFFFFFFFFFFF\r\n{}"),
    "gzip-bomb": lambda c: c.send(whole(GZIP_BOMB, more=b"Content-Encoding: gzip\r\n")),
    "redirect": lambda c: c.send(whole(b"", b"307 T", b"Location: https://127.0.0.1:%d/stolen\r\n" % port)),
    "redirect-http": lambda c: c.send(whole(b"", b"302 F", b"Location: http://127.0.0.1:%d/stolen\r\n" % port)),
    "continue-flood": lambda c: c.for_ever(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "not-json": lambda c: c.send(whole(b"<html>200, but a login page</html>")),
    "deep-json": lambda c: c.send(whole(b"[" * 200_000)),
    "dup-keys": lambda c: c.send(whole(b'{"data":{"success_ids":%s},"data":{"error_ids":%s}}' % (
        json.dumps(c.ids).encode(), json.dumps(c.ids).encode()))),
    "bad-utf8": lambda c: c.send(whole(success_of(c.ids).replace(b'Success.', b"\xff\xfe"))),
    "bom": lambda c: c.send(whole(b"\xef\xbb\xbf" + success_of(c.ids))),
    "gzip": lambda c: c.send(whole(gzip.compress(success_of(c.ids)), more=b"Content-Encoding: gzip\r\n")),
    "dup-lists": lambda c: c.send(whole(b'{"data":{"success_ids":%s,"success\\u005fids":%s,"error_ids":[]}}' % (
        json.dumps(c.ids).encode(), json.dumps(c.ids).encode()))),
    # All that was sent, in a header and in the answer's own words.
    "echo": lambda c: c.send(whole(
        success_of(c.ids).replace(b"00000000", c.token).replace(b"Success.", c.token),
        more=b"X-Request-Id: %s\r\n" % c.token)),
    "echo-401": lambda c: c.send(whole(
        b'{"error_code":"APIGW.0301","error_msg":"decrypt token fail: token=%s, %s, %s"}' % (
            c.token, base64.b64encode(b"a" + c.token), c.token.replace(b"c", b"%63")), b"401 U")),
    "nul": lambda c: c.send(whole(success_of(c.ids, "\0"))),
    "wrong-ids": lambda c: c.send(whole(success_of(c.ids, "x"))),
    "big-number": lambda c: c.send(whole(b'{"n":1e999999,"data":{"success_ids":[],"error_ids":[]}}')),
    "204": lambda c: c.send(b"HTTP/1.1 204 N\r\n\r\n"),
    "999": lambda c: c.send(whole(b"", b"999 X")),
    "429-negative": lambda c: c.send(whole(b"", b"429 T", b"Retry-After: -5\r\n")),
    "429-huge": lambda c: c.send(whole(b"", b"429 T", b"Retry-After: 99999999999999999999\r\n")),
    "429-date": lambda c: c.send(whole(b"", b"429 T", b"Retry-After: Wed, 21 Oct 2099 07:28:00 GMT\r\n")),
    "503": lambda c: c.send(whole(b"", b"503 S")),
    "401": lambda c: c.send(whole(b"", b"401 U")),
    "done-then-rst": Client.reset,
    "http09": lambda c: c.send(success_of(c.ids)),
    "bare-lf": lambda c: c.send(b"HTTP/1.1 200 OK\nContent-Length: %d\n\n%s" % (len(success_of(c.ids)), success_of(c.ids))),
    "log-inject": lambda c: c.send(whole(json.dumps(
        {"code": "x\r\ninjected by code", "message": "x\r\ninjected by message\x1b[2J\u0085injected"}).encode(),
        b"403 F")),
}
DONE_ANYWAY = {"done-then-rst", "short-body", "bad-utf8", "bom", "gzip", "echo"}
KEEPS_THE_CONNECTION = {"not-json", "wrong-ids", "nul", "401", "503"}


def honest(method, rest, ids, facts):
    """An ordinary API: what it answers; deletions are done."""
    if method == "GET":
        gone = rest in facts["done"]
        return whole(b'{"code":"SecMaster.20030005","message":"gone"}', b"400 B") if gone else whole(b'{"code":"0"}')
    fresh = [i for i in ids if i not in facts["done"]]
    facts["done"] += fresh
    return whole(lists(fresh, [i for i in ids if i not in fresh]))


def take_request(tls):
    """Method, path segments, ids and token; None at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = tls.recv(65536)
        if not more:
            return None
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode("latin1").split("\r\n")
    headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
    while len(body) < int(headers.get("content-length", "0")):
        body += tls.recv(65536)
    method, path, _ = lines[0].split(" ")
    ids = json.loads(body)["batch_ids"] if body else []
    return method, path.split("/"), ids, headers.get("x-auth-token", "").encode()


def exchange(tls, request):
    """True: the connection goes on."""
    method, path, ids, token = request
    if len(path) < 7 or path[1] != "v1" or path[3] != "workspaces" or path[5:7] != ["soc", "incidents"]:
        with lock:
            truth["strays"].append([method, "/".join(path)])
        return False
    mode, lasting, rest = path[2], path[4], path[-1]
    with lock:
        facts = truth.setdefault(mode + "/" + lasting, {"deletions": 0, "gets": 0, "done": []})
        facts["gets" if method == "GET" else "deletions"] += 1
        hostile = mode != "good" and (lasting == "stays" or facts["deletions"] <= HOSTILE_DELETIONS)
        if not hostile or (mode in DONE_ANYWAY and method != "GET"):
            answer = honest(method, rest, ids, facts)
    if not hostile:
        tls.sendall(answer)
        return True
    MISCHIEF[mode](Client(tls, ids, token))
    return mode in KEEPS_THE_CONNECTION


def serve(raw):
    raw.settimeout(20)
    try:
        with context.wrap_socket(raw, server_side=True) as tls:
            request = take_request(tls)
            while request is not None and exchange(tls, request):
                request = take_request(tls)
    except (OSError, ValueError):
        pass  # the client has had enough


def stop(*_):
    with lock:
        with open(sys.argv[3], "w", encoding="utf-8") as out:
            json.dump(truth, out)
    sys.exit(0)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
signal.signal(signal.SIGTERM, stop)
listener = socket.create_server(("127.0.0.1", 0), backlog=128)
port = listener.getsockname()[1]
print("listening on", port, flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
