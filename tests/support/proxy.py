"""A provider in front of a node, with the troubles of providers."""

from __future__ import annotations

import http.client
import http.server
import json
import threading
from collections.abc import Callable
from typing import Any

from tests.support.background_threads import BackgroundServer


class Proxy:
    """A provider in front of a node, which may keep answers to itself, or change what is said."""

    def __init__(self, port: int) -> None:
        self.stalls: Callable[[str], bool] = lambda method: False
        self._over = threading.Event()
        self.ended = False
        self.broken = self.refuses = False
        self.status, self.headers = 200, dict[str, str]()
        # By method, what is answered instead of asking the node.
        self.errors: dict[str, Any] = {}
        self.asked: list[str] = []
        self.seen = dict[str, str]()
        self.change: Callable[[str, Any], Any] = lambda method, result: result
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a body after its headers would wait 40 ms

            def do_POST(self) -> None:
                if proxy.ended:
                    self.close_connection = True
                    return
                request = self.rfile.read(int(self.headers["Content-Length"]))
                node = http.client.HTTPConnection("127.0.0.1", port)
                node.request("POST", "/", request, {"Content-Type": "application/json"})
                answer = json.loads(node.getresponse().read())
                asked = json.loads(request)
                if any(proxy.stalls(each["method"]) for each in _as_list(asked)):
                    proxy._over.wait()
                    return
                proxy.asked.append(asked["method"] if isinstance(asked, dict) else "batch")
                proxy.seen = dict(self.headers) | {"path": self.path}
                if proxy.refuses:
                    answer = {
                        "jsonrpc": "2.0",
                        "id": 1,
                        "error": {"code": -32005, "message": "limit exceeded"},
                    }
                for told, each in zip(*map(_as_list, (answer, asked)), strict=True):
                    if proxy.errors and each["method"] in proxy.errors:
                        told.pop("result", None)
                        told["error"] = proxy.errors[each["method"]]
                if isinstance(asked, dict) and "result" in answer:
                    answer["result"] = proxy.change(asked["method"], answer["result"])
                body = b"<html>502</html>" if proxy.broken else json.dumps(answer).encode()
                self.send_response(proxy.status)
                for name, value in proxy.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = BackgroundServer(Handler)
        self.url = self.server.url

    def stop_proxy(self) -> None:
        self.ended = True  # for connections that are open
        self._over.set()
        self.server.stop()


def _as_list(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]
