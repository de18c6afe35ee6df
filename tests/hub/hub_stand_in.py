"""A model hub on 127.0.0.1 that answers what huggingface-hub asks, and fails on request."""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 1000  # bytes from which a file is kept as a large one, with a SHA-256


@dataclass
class Fault:
    """How a file is answered wrongly.

    Attributes:
        status: Answer with this instead.
        content: Send this instead, under the right name.
        cut: Break the connection after that many bytes of the body.
        whole: Ignore a wish for the rest and send the file from its start.
        times: How often, before all is well again.
    """

    status: int = 0
    content: bytes | None = None
    cut: int | None = None
    whole: bool = False
    times: int = 1_000


@dataclass
class Hub:
    """What the server holds, and what it was asked."""

    repository: str
    files: dict[str, bytes]
    commit: str = COMMIT
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    api_status: int = 200
    api_body: bytes | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def listing(self) -> dict:
        siblings = []
        for path, content in self.files.items():
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            one = {"rfilename": path, "size": len(content), "blobId": git}
            if len(content) >= LARGE:
                sha256 = hashlib.sha256(content).hexdigest()
                one["blobId"] = hashlib.sha1(b"the pointer file").hexdigest()
                one["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
            siblings.append(one)
        return {"_id": "1", "id": self.repository, "sha": self.commit, "siblings": siblings}

    def downloads(self) -> list[str]:
        """Names of files that were asked for, in order."""
        return [path for path, _ in self.asked]

    def fault(self, path: str) -> Fault:
        """Take the next fault of a file."""
        for fault in self.faults.get(path, []):
            if fault.times > 0:
                fault.times -= 1
                return fault
        return Fault()


def serve(hub: Hub) -> ThreadingHTTPServer:
    """Start answering; the caller shuts the server down."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments):
            pass

        def do_GET(self):
            path = unquote(urlsplit(self.path).path).lstrip("/")
            api, resolve = f"api/models/{hub.repository}/revision/", f"{hub.repository}/resolve/"
            if path.startswith(api):
                self.answer_api(path.removeprefix(api))
            elif path.startswith(resolve):
                commit, _, name = path.removeprefix(resolve).partition("/")
                self.answer_file(commit, name)
            elif path.startswith("storage/"):  # large files lie elsewhere, as on the real hub
                self.send_file(path.removeprefix("storage/"))
            else:
                self.send(404, b"", {"X-Error-Code": "RepoNotFound"})

        def answer_api(self, revision):
            if hub.api_status != 200:
                self.send(hub.api_status, b'{"error": "no"}', {})
            elif hub.api_body is not None:
                self.send(200, hub.api_body, {})
            elif revision not in {"main", hub.commit}:
                self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            else:
                self.send(200, json.dumps(hub.listing()).encode(), {})

        def answer_file(self, commit, name):
            if commit != hub.commit or name not in hub.files:
                self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
            elif len(hub.files[name]) >= LARGE:
                self.send(302, b"", {"Location": f"{hub.url}/storage/{name}"})
            else:
                self.send_file(name)

        def send_file(self, name):
            fault, wish = hub.fault(name), self.headers.get("Range")
            hub.asked.append((name, wish))
            content = hub.files[name] if fault.content is None else fault.content
            if fault.status:
                return self.send(fault.status, b"", {})
            start = int(wish.removeprefix("bytes=").rstrip("-")) if wish else 0
            if not wish or fault.whole:
                return self.send(200, content, {}, fault.cut)
            if start >= len(content):
                return self.send(416, b"", {})
            kind = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            return self.send(206, content[start:], kind, fault.cut)

        def send(self, status, body, headers, cut=None):
            self.send_response(status)
            for key, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body[:cut])
            if cut is not None:
                self.wfile.flush()
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    return server
