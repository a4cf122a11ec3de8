"""A file in LiteRT.js, in a real browser without a window, from a page that is served on this machine alone.

The page lies behind a secret path of a server on 127.0.0.1, and its policy lets it speak to that server alone; the
browser resolves no other name. What the page posts is limited in size and checked like any agent's answer.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.measurement.answers import LARGEST
from edgekit.verification.child import end

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
    "--metrics-recording-only", "--no-default-browser-check",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".json": "application/json",
    ".wasm": "application/wasm",
}  # fmt: skip
HERE = Path(__file__).parent


def find_browser() -> str | None:
    """A Chromium or Chrome of this machine."""
    on_path = next(filter(None, map(shutil.which, NAMES)), None)
    return on_path or (MAC if Path(MAC).is_file() else None)


@dataclass
class Served:
    """What the page may ask for: path -> content; `packages` is a folder of which files are served. `answer` is what it
    posted, once `done` is set."""

    files: Mapping[str, bytes]
    packages: Path
    nonce: str
    secret: str = field(default_factory=secrets.token_urlsafe)
    done: threading.Event = field(default_factory=threading.Event)
    answer: bytes = b""


def in_browser(
    content: bytes, inputs: Sequence[np.ndarray], names: Sequence[str], packages: Path, seconds: float
) -> tuple[bytes, str]:
    """(what the page posted, "") or (b"", why it posted nothing). `inputs` [n, ...] are those that the runtime calls
    `names`; `packages` is a node_modules folder."""
    browser = find_browser()
    if browser is None:
        return b"", "there is no Chromium or Chrome on this machine"
    served = _served(content, inputs, names, packages)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(served))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        return _visited(browser, f"http://127.0.0.1:{server.server_port}/{served.secret}/page.html", served, seconds)
    finally:
        server.shutdown()
        server.server_close()


def _served(content: bytes, inputs: Sequence[np.ndarray], names: Sequence[str], packages: Path) -> Served:
    nonce = secrets.token_urlsafe()
    request = {
        "names": list(names), "count": len(inputs[0]), "dtypes": [one.dtype.name for one in inputs],
        "shapes": [list(one.shape[1:]) for one in inputs],
    }  # fmt: skip
    files = {
        "page.html": (HERE / "page.html").read_text("utf-8").replace("NONCE", nonce).encode(),
        "page.js": (HERE / "page.js").read_bytes(),
        "request.json": json.dumps(request).encode(),
        "model.tflite": content,
        **{f"input{at}.bin": np.ascontiguousarray(one).tobytes() for at, one in enumerate(inputs)},
    }
    return Served(files, packages.resolve(), nonce)


def _visited(browser: str, address: str, served: Served, seconds: float) -> tuple[bytes, str]:
    # Chromium's own sandbox refuses to work for root, as in most containers; the page is ours either way.
    root = ["--no-sandbox"] if sys.platform == "linux" and os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="edgekit-browser-", ignore_cleanup_errors=True) as profile:
        command = [browser, *FLAGS, *root, f"--user-data-dir={profile}", address]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, start_new_session=True, **quiet)  # type: ignore[call-overload]
        try:
            waited = _wait(served, process, seconds)
        finally:
            end(process)
    if served.done.is_set():
        return served.answer, ""
    return b"", waited


def _wait(served: Served, process: subprocess.Popen[bytes], seconds: float) -> str:
    """Until the page has posted, the browser is gone, or the time is over: then why it did not."""
    left = seconds
    while left > 0 and not served.done.wait(0.2):
        left -= 0.2
        if process.poll() is not None and not served.done.wait(1.0):
            return f"the browser ended with code {process.returncode}"
    return f"the page did not finish within {seconds:.0f} seconds"


def _handler(served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self._path()
            found = served.files.get(path) if path is not None else None
            if found is None and path is not None and path.startswith("packages/"):
                found = _package_file(served.packages, path.removeprefix("packages/"))
            kind = TYPES.get(Path(path or "").suffix, "application/octet-stream")
            self._send(404 if found is None else 200, found or b"", kind)

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self._path() != "answer" or not length.isdecimal() or int(length) > LARGEST or served.done.is_set():
                self._send(400, b"", "text/plain")
                return
            served.answer = self.rfile.read(int(length))
            self._send(200, b"", "text/plain")
            served.done.set()

        def _path(self) -> str | None:
            secret, _, rest = self.path.partition("?")[0].removeprefix("/").partition("/")
            return rest if secret == served.secret else None

        def _send(self, code: int, content: bytes, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Security-Policy", _policy(served.nonce))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *values: Any) -> None:
            """Nothing is printed."""

    return Handler


def _policy(nonce: str) -> str:
    scripts = f"script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'"
    return f"default-src 'none'; {scripts}; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'"


def _package_file(packages: Path, name: str) -> bytes | None:
    path = (packages / name).resolve()
    return path.read_bytes() if path.is_relative_to(packages) and path.is_file() else None
