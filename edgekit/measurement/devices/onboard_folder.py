"""Runs on a device: makes a folder of edgekit's own, fills it, and takes it away when the host is done or gone.

sys.argv[1] is {"files": [{"name", "size", "sha256"}, ...]}; their bytes follow on stdin, one after the other. It then
stays until stdin ends, which it also does when the connection breaks; then whatever still works in the folder is ended
and the folder removed. Folders whose keeper was killed, or of before a reboot, are removed by the next one. The
standard library of Python 3.6 and newer, no more.

-> {"edgekit": 1, "ok": true, "folder": PATH}  or  {"edgekit": 1, "ok": false, "message": why}
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
from typing import Optional, TextIO

PREFIX = "session-"


def home() -> str:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "edgekit")


def held(path: str) -> Optional[TextIO]:
    """The file, locked; None where another one holds it. The lock goes with the process, however that ends."""
    file = open(path, "a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def make() -> tuple:
    """A new folder, its keeper's lock, and none left over from keepers that are gone."""
    os.makedirs(home(), mode=0o700, exist_ok=True)
    with open(os.path.join(home(), "lock"), "a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for name in os.listdir(home()):
            folder = os.path.join(home(), name)
            if name.startswith(PREFIX) and os.path.isdir(folder) and not os.path.islink(folder):
                lock = held(os.path.join(folder, "keeper"))
                if lock:
                    clear(folder)
                    lock.close()
        folder = tempfile.mkdtemp(prefix=PREFIX, dir=home())
        return folder, held(os.path.join(folder, "keeper"))


def clear(folder: str) -> None:
    """Ends what works in the folder, and removes it."""
    real = os.path.realpath(folder)
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit() and int(name) != os.getpid():
            try:
                if os.readlink("/proc/" + name + "/cwd") == real:
                    os.kill(int(name), signal.SIGKILL)
            except OSError:
                pass  # it ended, or is another user's
    shutil.rmtree(folder, ignore_errors=True)


def take(folder: str, files: list) -> None:
    for file in files:
        name, left, digest = os.path.basename(file["name"]), file["size"], hashlib.sha256()
        with open(os.path.join(folder, name), "wb") as out:
            while left:
                chunk = sys.stdin.buffer.read(min(left, 1 << 16))
                if not chunk:
                    raise OSError("the connection ended")
                left -= len(chunk)
                digest.update(chunk)
                out.write(chunk)
        if digest.hexdigest() != file["sha256"]:
            raise OSError(name + " did not arrive as it was sent")


def say(found: dict) -> None:
    sys.stdout.write("\n" + json.dumps(dict(found, edgekit=1)) + "\n")
    sys.stdout.flush()


def main() -> None:
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(1))  # through the `finally` below
    folder = None
    try:
        folder, _lock = make()
        take(folder, json.loads(sys.argv[1])["files"])
        say({"ok": True, "folder": folder})
        while sys.stdin.buffer.read(1 << 16):
            pass
    except OSError as error:
        say({"ok": False, "message": error.strerror or str(error)})
    finally:
        if folder:
            clear(folder)


if __name__ == "__main__":
    main()
