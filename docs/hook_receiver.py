"""A receiver of brender's hooks: it takes what is signed with the secret and is not old, each delivery once, and prints it.

Start it as ``SECRET=… python hook_receiver.py 8000``, and add ``http://this-machine:8000/`` with ``brender hooks add``.
"""

import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

SECRET = os.environ["SECRET"]
OLDEST_SECONDS = 300
seen: set[str] = set()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 2**20))
        timestamp = self.headers.get("Brender-Timestamp", "")
        expected = "sha256=" + hmac.new(SECRET.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, self.headers.get("Brender-Signature", "")):
            return self.answer(401)
        if abs(time.time() - float(timestamp)) > OLDEST_SECONDS:
            return self.answer(408)  # somebody may send again what was heard once
        if (delivery := self.headers["Brender-Delivery"]) not in seen:
            seen.add(delivery)
            told = json.loads(body)
            print(told["event"], told["text"], flush=True)
        return self.answer(204)

    def answer(self, code: int) -> None:
        self.send_response(code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing else."""


if __name__ == "__main__":
    server = HTTPServer(("", int(sys.argv[1])), Receiver)
    print("listening at", server.server_port, flush=True)
    server.serve_forever()
