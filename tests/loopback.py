"""A real HTTP server on the loopback interface, whose every answer a test decides.

    with serve(lambda request: Reply(200, {"ok": True})) as server:
        ...  # talk to server.url; server.requests holds what arrived

With `port` it takes the place of a server that is gone: when the block ends, open connections are closed at their next
request. `Reply(hang_up=True)` closes the connection without a word; `delay_s` waits first (cut short when the server
closes). A body that is an iterator of bytes is sent part by part, without its length, until it ends or the client has
gone.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    port: int  # the caller's: one for each connection

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 200
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    hang_up: bool = False


@dataclass(slots=True)
class Server:
    url: str
    requests: list[Request]
    in_flight: int = 0
    most_in_flight: int = 0


@contextmanager
def serve(answer: Callable[[Request], Reply], port: int = 0) -> Iterator[Server]:
    closing = threading.Event()
    lock = threading.Lock()
    server = Server("", [])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body, time.monotonic(), self.client_address[1])
            with lock:
                server.requests.append(request)
                server.in_flight += 1
                server.most_in_flight = max(server.most_in_flight, server.in_flight)
            try:
                reply = answer(request)
                if reply.delay_s:
                    closing.wait(reply.delay_s)
            finally:
                with lock:
                    server.in_flight -= 1
            self._send(Reply(hang_up=True) if closing.is_set() else reply)

        def _send(self, reply: Reply) -> None:
            if reply.hang_up:
                self.close_connection = True
                return
            if isinstance(reply.body, Iterator):
                parts, length = reply.body, {"connection": "close"}
            else:
                payload = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                parts, length = iter([payload]), {"content-length": str(len(payload))}
            headers = {"content-type": "application/json", **length, **reply.headers}
            try:
                self.send_response(reply.status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for part in parts:
                    self.wfile.write(part)
            except OSError:
                self.close_connection = True  # the client gave up waiting, which is what some tests are about

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        request_queue_size = 256  # with the usual 5, a hundred callers at once take seconds to get in

    listener = Listener(("127.0.0.1", port), Handler)
    listener.daemon_threads = True
    server.url = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        closing.set()
        listener.shutdown()
        listener.server_close()
