"""A model hub on 127.0.0.1 that answers what huggingface-hub asks, and fails on request."""

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from ruamel.yaml import YAML

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_" + "TheTokenOfAnna" * 2
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
    token: str | None = None
    exists: bool = True
    private: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    history: dict[str, dict[str, bytes]] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Return a commit and its files."""
        commit = self.branches.get(revision, self.commit if revision == "main" else revision)
        if commit == self.commit:
            return commit, self.files
        return (commit, self.history[commit]) if commit in self.history else None

    def listing(self, revision: str = "main") -> dict:
        siblings = []
        commit, files = self.at(revision)
        for path, content in files.items():
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            one = {"rfilename": path, "size": len(content), "blobId": git}
            if len(content) >= LARGE:
                sha256 = hashlib.sha256(content).hexdigest()
                one["blobId"] = hashlib.sha1(b"the pointer file").hexdigest()
                one["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
            siblings.append(one)
        return {"_id": "1", "id": self.repository, "sha": commit, "siblings": siblings}

    def take(self, branch: str, lines: list[dict]) -> int:
        """Add a commit to a branch as the hub does; return the status of the answer."""
        header, *operations = lines
        commit, files = self.at(branch)
        if header["value"].get("parentCommit") not in {None, commit}:
            return 412
        changed = dict(files)
        for one in operations:
            value = one["value"]
            if one["key"] == "file":
                changed[value["path"]] = base64.b64decode(value["content"])
            elif one["key"] == "lfsFile":
                if value["oid"] not in self.stored:
                    return 400
                changed[value["path"]] = self.stored[value["oid"]]
            elif one["key"] == "deletedFile":
                del changed[value["path"]]
        self.history[commit] = files
        made = hashlib.sha1(repr((commit, sorted(changed.items()))).encode()).hexdigest()
        self.history[made] = changed
        if branch == "main":
            self.commit, self.files = made, changed
        else:
            self.branches[branch] = made
        self.messages.append(header["value"]["summary"])
        return 200

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
            if path == "api/whoami-v2":
                if self.may_go_on("whoami", needs_token=True):
                    self.send_json({"type": "user", "name": "anna", "orgs": []})
            elif not hub.exists or (hub.private and not self.has_token()):
                self.send(401, b"", {"X-Error-Code": "RepoNotFound"})
            elif path.startswith(api):
                self.answer_api(path.removeprefix(api))
            elif path.startswith(resolve):
                commit, _, name = path.removeprefix(resolve).partition("/")
                self.answer_file(commit, name)
            elif path.startswith("storage/"):  # large files lie elsewhere, as on the real hub
                commit, _, name = path.removeprefix("storage/").partition("/")
                self.send_file(name, hub.at(commit)[1])
            else:
                self.send(404, b"", {"X-Error-Code": "RepoNotFound"})

        def answer_api(self, revision):
            if hub.api_status != 200:
                self.send(hub.api_status, b'{"error": "no"}', {})
            elif hub.api_body is not None:
                self.send(200, hub.api_body, {})
            elif hub.at(revision) is None:
                self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            else:
                self.send_json(hub.listing(revision))

        def answer_file(self, commit, name):
            found = hub.at(commit)
            if found is None or name not in found[1]:
                self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
            elif len(found[1][name]) >= LARGE:
                self.send(302, b"", {"Location": f"{hub.url}/storage/{commit}/{name}"})
            else:
                self.send_file(name, found[1])

        def do_POST(self):
            path, body = unquote(urlsplit(self.path).path).lstrip("/"), self.read_body()
            step = self.step_of(path)
            if step is None:
                self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
            elif self.may_go_on(step, needs_token=step != "validate"):
                getattr(self, f"answer_{step}")(path, body)

        def step_of(self, path):
            """Which step of an upload is asked for, or None."""
            of = f"api/models/{hub.repository}"
            fixed = {"api/validate-yaml": "validate", "api/repos/create": "create"}
            fixed |= {f"{hub.repository}.git/info/lfs/objects/batch": "batch", "verify": "verify"}
            named = [step for step in ("preupload", "commit", "branch") if f"{of}/{step}/" in path]
            return fixed.get(path) or (named[0] if named and hub.exists else None)

        def do_PUT(self):
            path, body = urlsplit(self.path).path.lstrip("/"), self.read_body()
            assert self.headers.get("Authorization") is None, "the storage is another company's"
            if self.may_go_on("put", needs_token=False):
                assert hashlib.sha256(body).hexdigest() == path.removeprefix("lfs/")
                hub.stored[path.removeprefix("lfs/")] = body
                self.send(200, b"", {})

        def answer_validate(self, path, body):
            front = json.loads(body)["content"].split("---\n")[1]
            said = YAML(typ="safe").load(front)
            named = said.get("license") != "other" or said.get("license_name")
            if named and isinstance(said.get("tags"), list):
                return self.send_json({"errors": [], "warnings": []})
            errors = [{"message": "license_name is required"}]
            return self.send_json({"errors": errors, "warnings": []}, 400)

        def answer_create(self, path, body):
            wish = json.loads(body)
            assert f"{wish['organization']}/{wish['name']}" == hub.repository
            answer = {"url": f"{hub.url}/{hub.repository}"}
            if hub.exists:
                return self.send_json(answer, 409)
            hub.exists, hub.private = True, wish.get("visibility") == "private"
            return self.send_json(answer)

        def answer_branch(self, path, body):
            hub.branches.setdefault(path.rpartition("/branch/")[2], hub.commit)
            self.send_json({})

        def answer_preupload(self, path, body):
            files = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["size"] >= LARGE else "regular",
                    "shouldIgnore": False,
                }
                for one in json.loads(body)["files"]
            ]
            self.send_json({"files": files})

        def answer_batch(self, path, body):
            objects = []
            for one in json.loads(body)["objects"]:
                actions = {
                    "upload": {"href": f"{hub.url}/lfs/{one['oid']}"},
                    "verify": {"href": f"{hub.url}/verify"},
                }
                known = one["oid"] in hub.stored
                objects.append(one if known else {**one, "actions": actions})
            self.send_json({"transfer": "basic", "objects": objects})

        def answer_verify(self, path, body):
            self.send(200 if json.loads(body)["oid"] in hub.stored else 400, b"{}", {})

        def answer_commit(self, path, body):
            branch = path.rpartition("/commit/")[2]
            status = hub.take(branch, [json.loads(line) for line in body.splitlines()])
            commit = hub.at(branch)[0]
            self.send_json(
                {"commitUrl": f"{hub.url}/{hub.repository}/commit/{commit}", "commitOid": commit},
                status,
            )

        def has_token(self):
            return hub.token is None or self.headers.get("Authorization") == f"Bearer {hub.token}"

        def may_go_on(self, step, *, needs_token):
            """Note a step of an upload, and refuse it if it is to fail."""
            hub.steps.append(step)
            status = hub.refusals.get(step, 0)
            if needs_token and not self.has_token():
                status = 401
            if status:
                self.send(status, b'{"error": "no"}', {})
            return not status

        def read_body(self):
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def send_json(self, value, status=200):
            self.send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def send_file(self, name, files):
            fault, wish = hub.fault(name), self.headers.get("Range")
            hub.asked.append((name, wish))
            content = files[name] if fault.content is None else fault.content
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
