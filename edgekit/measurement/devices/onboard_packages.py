"""Runs on a device: unpacks wheels into a folder of edgekit's own, where they stay for the next time.

sys.argv[1] is {"wheels": [{"folder": NAME-VERSION-SHA256, "size", "sha256", "unpacked_bytes"}, ...]}. It says which of
them are missing or damaged, reads the bytes of those from stdin, one after the other, and says where all of them are;
then it holds them until stdin ends, so that nobody else takes them away. {"clean": true} takes away those that nobody
holds. Nothing of the system is touched: a folder here is an entry of sys.path. A wheel is unpacked beside its place and
renamed when it is whole, so that a cut or a reboot leaves none half there. The standard library of Python 3.6 and
newer, no more.

-> {"edgekit": 1, "ok": true, "missing": [FOLDER, ...]}, then {"edgekit": 1, "ok": true, "paths": [PATH, ...]}
-> {"edgekit": 1, "ok": true, "removed": [FOLDER, ...], "held": [FOLDER, ...]}
-> {"edgekit": 1, "ok": false, "message": why}
"""

import base64
import csv
import fcntl
import hashlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import zipfile
from typing import Dict, Optional, TextIO

MOST_FILES = 50_000
LOCK = "edgekit-in-use"  # in every folder: held, shared, by whoever uses it
UNPACKED = "edgekit-record"  # in every folder: a copy of the wheel's RECORD, written last
CHUNK = 1 << 16


def home() -> str:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "edgekit", "packages")


def locked(path: str, how: int) -> Optional[TextIO]:
    """The file, locked; None where another one holds it. The lock goes with the process, however that ends."""
    file = open(path, "a")
    try:
        fcntl.flock(file, how)
    except OSError:
        file.close()
        return None
    return file


def recorded(record: bytes) -> Dict[str, tuple]:
    """Path -> (sha256, size) of a wheel's RECORD. Source: the binary distribution format, packaging.python.org."""
    found = {}
    for row in csv.reader(io.StringIO(record.decode("utf-8"))):
        path, told, size = row
        if told:
            algorithm, _, text = told.partition("=")
            if algorithm != "sha256":
                raise ValueError("its RECORD has no sha256 of " + path)
            found[path] = (base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), int(size))
    return found


def whole(folder: str) -> bool:
    """Whether everything that was unpacked is there, byte for byte."""
    try:
        with open(os.path.join(folder, UNPACKED), "rb") as file:
            files = recorded(file.read())
        return bool(files) and all(same(os.path.join(folder, path), *told) for path, told in files.items())
    except (OSError, ValueError):
        return False


def same(path: str, sha256: bytes, size: int) -> bool:
    if os.path.getsize(path) != size:
        return False
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return digest.digest() == sha256


def receive(path: str, wheel: dict) -> None:
    left, digest = wheel["size"], hashlib.sha256()
    with open(path, "wb") as out:
        while left:
            chunk = sys.stdin.buffer.read(min(left, CHUNK))
            if not chunk:
                raise OSError("the connection ended")
            left -= len(chunk)
            digest.update(chunk)
            out.write(chunk)
    if digest.hexdigest() != wheel["sha256"]:
        raise OSError(wheel["folder"] + " did not arrive as it was sent")


def unpack(path: str, folder: str, most_bytes: int) -> None:
    """A wheel's files into a new folder, each as its RECORD says. Raises ValueError for a file that is none: names that
    lead out of the folder, links, more than was announced, anything that RECORD does not vouch for."""
    os.mkdir(folder, 0o700)
    left = most_bytes
    with zipfile.ZipFile(path) as wheel:
        entries = [entry for entry in wheel.infolist() if not entry.filename.endswith("/")]
        records = [
            e.filename for e in entries if e.filename.count("/") == 1 and e.filename.endswith(".dist-info/RECORD")
        ]
        if len(records) != 1 or len(entries) > MOST_FILES:
            raise ValueError("it is no wheel")
        record = wheel.read(records[0])
        files = recorded(record)
        for entry in entries:
            name = entry.filename
            check_name(entry)
            if name == records[0] or name in (records[0] + ".jws", records[0] + ".p7s"):
                continue
            if name not in files:
                raise ValueError("its RECORD does not know " + name)
            left -= files[name][1]
            if left < 0:
                raise ValueError("it is larger than it said")
            write(wheel, entry, os.path.join(folder, name), *files.pop(name))
        if files:
            raise ValueError("it lacks " + next(iter(files)))
    place = os.path.join(folder, records[0])
    for where in (place, os.path.join(folder, UNPACKED)):
        with open(where, "wb") as out:
            out.write(record)


def check_name(entry: zipfile.ZipInfo) -> None:
    parts = entry.filename.split("/")
    kind = entry.external_attr >> 28  # of the Unix mode; 0 where there is none
    if kind not in (0, 8) or "\\" in entry.filename or any(part in ("", ".", "..") for part in parts):
        raise ValueError("it names " + repr(entry.filename)[:100])


def write(wheel: zipfile.ZipFile, entry: zipfile.ZipInfo, place: str, sha256: bytes, size: int) -> None:
    os.makedirs(os.path.dirname(place), exist_ok=True)
    digest, left = hashlib.sha256(), size
    with wheel.open(entry) as packed, open(place, "xb") as out:
        for chunk in iter(lambda: packed.read(CHUNK), b""):
            left -= len(chunk)
            if left < 0:
                break
            digest.update(chunk)
            out.write(chunk)
    if left or digest.digest() != sha256:
        raise ValueError(entry.filename + " is not what its RECORD says")


def install(wheel: dict) -> None:
    """The next wheel of stdin, into its place."""
    arriving = tempfile.mkdtemp(prefix="arriving-", dir=home())
    try:
        packed, folder = os.path.join(arriving, "wheel"), os.path.join(arriving, "unpacked")
        receive(packed, wheel)
        unpack(packed, folder, wheel["unpacked_bytes"])
        place = os.path.join(home(), wheel["folder"])
        shutil.rmtree(place, ignore_errors=True)  # damaged, if it is there
        os.sync()  # its bytes are on the card before its name is: power may be cut at any time
        os.rename(folder, place)
        os.sync()
    except (zipfile.BadZipFile, ValueError, RuntimeError, NotImplementedError, EOFError) as error:
        raise OSError("the wheel of {} is none: {}".format(wheel["folder"].split("-")[0], error)) from None
    finally:
        shutil.rmtree(arriving, ignore_errors=True)


def remove(unless: tuple = ()) -> tuple:
    """Takes away the folders that nobody holds, but for those named -> (removed, held)."""
    removed, held = [], []
    for name in sorted(os.listdir(home())):
        folder = os.path.join(home(), name)
        if name in unless or not os.path.isdir(folder) or os.path.islink(folder):
            continue
        lock = locked(os.path.join(folder, LOCK), fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is None:
            held.append(name)
            continue
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()
        removed.append(name)
    return removed, held


def superseded(wheels: list) -> list:
    """Other versions of the wheels: what stays of the folders' names is the distribution's."""
    names = {wheel["folder"].rsplit("-", 2)[0] for wheel in wheels}
    own = {wheel["folder"] for wheel in wheels}
    return [name for name in os.listdir(home()) if name not in own and name.rsplit("-", 2)[0] in names]


def provide(wheels: list) -> list:
    """The wheels in their places -> the locks that keep them there."""
    for wheel in wheels:
        if os.path.basename(wheel["folder"]) != wheel["folder"] or wheel["folder"].startswith("."):
            raise OSError("a folder cannot have that name")
    for name in os.listdir(home()):
        if name.startswith("arriving-"):  # of one that was cut off: this one has the turn
            shutil.rmtree(os.path.join(home(), name), ignore_errors=True)
    missing = [wheel for wheel in wheels if not whole(os.path.join(home(), wheel["folder"]))]
    say({"ok": True, "missing": [wheel["folder"] for wheel in missing]})
    for wheel in missing:
        install(wheel)
    locks = [locked(os.path.join(home(), wheel["folder"], LOCK), fcntl.LOCK_SH) for wheel in wheels]
    if missing:
        old = superseded(missing)
        remove(unless=tuple(name for name in os.listdir(home()) if name not in old))
    return locks


def say(found: dict) -> None:
    sys.stdout.write("\n" + json.dumps(dict(found, edgekit=1)) + "\n")
    sys.stdout.flush()


def main() -> None:
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(1))  # through every `finally`
    request = json.loads(sys.argv[1])
    try:
        os.makedirs(home(), mode=0o700, exist_ok=True)
        turn = open(os.path.join(home(), "turn"), "a")
        fcntl.flock(turn, fcntl.LOCK_EX)  # one at a time unpacks or cleans
        if request.get("clean"):
            removed, held = remove()
            say({"ok": True, "removed": removed, "held": held})
            return
        wheels = request["wheels"]
        _locks = provide(wheels)
        turn.close()
        say({"ok": True, "paths": [os.path.join(home(), wheel["folder"]) for wheel in wheels]})
        while sys.stdin.buffer.read(CHUNK):
            pass
    except OSError as error:
        say({"ok": False, "message": error.strerror or str(error)})


if __name__ == "__main__":
    main()
