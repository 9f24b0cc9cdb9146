#!/usr/bin/env python3
"""An API that answers as a file says: scripted_server.py PORT RULES SEEN (PORT 0: any)

RULES is read again for each request: {"delete": HOW, "get": HOW}, HOW being "deleted" (all ids in success_ids),
"refused" (all in error_ids), "there", "lost" (no answer), or [STATUS, HEADERS, BODY]. SEEN gets a line of JSON for each
request: {"method", "target", "ids", "at"}. Prints "listening on PORT".
"""
import http.server
import json
import sys
import threading
import time

port, rules, seen = int(sys.argv[1]), sys.argv[2], sys.argv[3]
lock = threading.Lock()


class API(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        ids = json.loads(body)["batch_ids"] if body else [self.path.rsplit("/", 1)[1]]
        with lock:
            with open(seen, "a") as f:
                f.write(json.dumps({"method": self.command, "target": self.path, "ids": ids, "at": time.time()}) + "\n")
            with open(rules) as f:
                how = json.load(f)["get" if self.command == "GET" else "delete"]
        status, headers = 200, {}
        if how == "lost":
            self.close_connection = True
            return
        if how in ("deleted", "refused"):
            lists = (ids, []) if how == "deleted" else ([], ids)
            text = json.dumps({"code": "00000000", "data": {"success_ids": lists[0], "error_ids": lists[1]}})
        elif how == "there":
            text = "{}"
        else:
            status, headers, text = how
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_DELETE = answer


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), API)
print("listening on %d" % server.server_address[1], flush=True)
server.serve_forever()
