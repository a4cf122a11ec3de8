"""Wheels for a device, fetched with pip on this machine: their hashes pinned, the files kept, so both may be offline.

    $XDG_CACHE_HOME/edgekit/wheels/SHA256/NAME.whl     (~/.cache/...)
    $XDG_CACHE_HOME/edgekit/wheels/KEY.json            which wheels serve what was asked for a kind of device

pip's own settings count (index, proxy, PIP_FIND_LINKS, PIP_NO_INDEX).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.artifact import write_text
from edgekit.errors import DeviceError, MissingExtra
from edgekit.measurement.devices.connection import plain
from edgekit.measurement.devices.facts import Facts
from edgekit.measurement.devices.needs import Choice, Needs, tags_of
from edgekit.progress import Progress, Reporter, silent

LARGEST = 512 * 1024 * 1024  # bytes of a wheel, and of what is in it
PIP_SECONDS = 900.0
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
VERSION = r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,49}"


@dataclass(frozen=True)
class Wheel:
    """A file on this machine whose content has this sha256. `unpacked_bytes`: of all that is in it."""

    name: str
    version: str
    sha256: str
    path: Path
    size: int
    unpacked_bytes: int

    @property
    def folder(self) -> str:
        """Its name on a device."""
        return f"{self.name}-{self.version}-{self.sha256}"


def wheels_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "edgekit" / "wheels"


def wheels_for(name: str, facts: Facts, needs: Needs, progress: Reporter = silent) -> tuple[Wheel, ...]:
    """The wheels of the first choice that has some for the device; none where it needs none. Raises DeviceError where
    no choice has, and where they cannot be fetched."""
    for choice in needs.choices:
        if not choice:
            return ()
        kept = _kept(choice, facts)
        found = kept if kept is not None else _fetched(name, choice, facts, progress)
        if found is not None:
            return found
    python = ".".join(map(str, facts.python[:2]))
    raise DeviceError(
        f"No runtime for .tflite files has a wheel for {name}: Python {python} on {facts.architecture}, {facts.libc}.",
        needs.remedy,
    )


def _kept(choice: Choice, facts: Facts) -> tuple[Wheel, ...] | None:
    """Those of an earlier time; None where there are none, or not all of them whole."""
    try:
        listed = json.loads(_record(choice, facts).read_text("utf-8"))
        return tuple(_checked(wheels_folder() / one["sha256"] / one["file"], one) for one in listed)
    except (OSError, ValueError, KeyError, TypeError, DeviceError):
        return None


def _record(choice: Choice, facts: Facts) -> Path:
    asked = json.dumps([choice, tags_of(facts), facts.python[:2]])
    return wheels_folder() / f"{hashlib.sha256(asked.encode()).hexdigest()}.json"


def _fetched(name: str, choice: Choice, facts: Facts, progress: Reporter) -> tuple[Wheel, ...] | None:
    """By pip, into the cache; None where there is no wheel of a requirement for the device."""
    progress(Progress("wheels", 0, 1, f"fetching {' and '.join(choice)} for {name}"))
    listed = _resolved(name, choice, facts)
    if listed is None:
        return None
    found = tuple(_download(name, one, facts) for one in listed)
    keys = ("name", "version", "sha256", "file")
    write_text(_record(choice, facts), json.dumps([{key: one[key] for key in keys} for one in listed]) + "\n")
    progress(Progress("wheels", 1, 1, ", ".join(f"{one.name} {one.version}" for one in found)))
    return found


def _resolved(name: str, choice: Choice, facts: Facts) -> list[dict[str, Any]] | None:
    """What pip would install, with the sha256 that the index tells."""
    ended = _pip(["install", "--dry-run", "--ignore-installed", "--report", "-", *_for(facts), *choice])
    if ended.returncode:
        if _no_such_wheel(ended.stderr):
            return None
        raise _cannot(name, ended.stderr)
    return [_entry(one) for one in json.loads(ended.stdout)["install"]]


def _entry(one: dict[str, Any]) -> dict[str, Any]:
    url, about = one["download_info"]["url"], one["metadata"]
    entry = {
        "name": re.sub(r"[-_.]+", "-", about["name"]).lower(),
        "version": about["version"],
        "sha256": one["download_info"]["archive_info"]["hashes"]["sha256"],
        "url": url,
        "file": url.rpartition("/")[2],
    }
    for key, pattern in (("name", NAME), ("version", VERSION), ("sha256", "[0-9a-f]{64}"), ("file", r"[^/\\]+\.whl")):
        if not re.fullmatch(pattern, entry[key]):
            raise DeviceError(f"pip names a wheel whose {key} is none: {plain(entry[key])!r}.", "Look at pip's index.")
    return entry


def _download(name: str, one: dict[str, Any], facts: Facts) -> Wheel:
    """pip checks the hash, and so does `_checked`: the file is in the cache whole or not at all."""
    folder = wheels_folder() / one["sha256"]
    try:
        return _checked(folder / one["file"], one)
    except (OSError, DeviceError):
        pass  # not there yet, or damaged since
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as arriving:
        pinned = f"{one['url']}#sha256={one['sha256']}"
        ended = _pip(["download", "--dest", arriving, *_for(facts), pinned])
        arrived = list(Path(arriving).glob("*.whl"))
        if ended.returncode or len(arrived) != 1:
            raise _cannot(name, ended.stderr)
        _checked(arrived[0], one)
        arrived[0].replace(folder / one["file"])
    return _checked(folder / one["file"], one)


def _checked(path: Path, one: dict[str, Any]) -> Wheel:
    """The wheel in the file. Raises DeviceError where its content is not what was pinned, or is no wheel."""
    size, digest = path.stat().st_size, hashlib.sha256()
    if size > LARGEST:
        raise DeviceError(f"{path.name} has {size / 1e6:.0f} MB, more than a wheel should.", "Look at pip's index.")
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != one["sha256"]:
        raise DeviceError(f"{path} is not the wheel of the sha256 {one['sha256']}.", "Remove it.")
    try:
        with zipfile.ZipFile(path) as opened:
            unpacked = sum(entry.file_size for entry in opened.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise DeviceError(f"{path.name} is no wheel.", "Look at pip's index.") from None
    if unpacked > LARGEST:
        raise DeviceError(f"{path.name} holds {unpacked / 1e6:.0f} MB, more than a wheel should.", "Look at the index.")
    return Wheel(one["name"], one["version"], one["sha256"], path, size, unpacked)


def _for(facts: Facts) -> list[str]:
    """pip's flags for the device. No dependencies: what the import of a runtime really needs is asked for by name."""
    python = facts.python[:2]
    version, abi = ".".join(map(str, python)), f"cp{''.join(map(str, python))}"
    tags = [word for tag in tags_of(facts) for word in ("--platform", tag)]
    return ["--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", version, "--abi", abi,
            "--abi", "abi3", *tags]  # fmt: skip


def _pip(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", *words]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PIP_SECONDS, stdin=subprocess.DEVNULL,
            env={**os.environ, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_NO_COLOR": "1"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DeviceError(f"pip took more than {PIP_SECONDS / 60:.0f} minutes.", "Check the network.") from None
    if ended.returncode and "No module named pip" in ended.stderr:
        raise MissingExtra("Fetching wheels for a device", "devices")
    return ended


def _no_such_wheel(said: str) -> bool:
    """The index answered, and has none. Without a network pip says the same, after it tried again."""
    return "No matching distribution found" in said and "Retrying (" not in said


def _cannot(name: str, said: str) -> DeviceError:
    lines = [line for line in said.splitlines() if line.startswith("ERROR")] or said.splitlines()[-1:]
    reason = plain(lines[0].removeprefix("ERROR:")).rstrip(".") if lines else "pip gave no reason"
    return DeviceError(
        f"What {name} needs to run .tflite files cannot be fetched: {reason}.",
        "Connect this machine to the network once, or give pip a folder of wheels: PIP_FIND_LINKS=DIR PIP_NO_INDEX=1.",
    )
