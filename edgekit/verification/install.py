"""How an environment is filled: a virtual environment by pip, or a folder of packages by npm."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import DeviceError
from edgekit.verification.browser import find_browser
from edgekit.verification.foreign import Foreign, Version, how_to_add

SECONDS = 1800.0  # for a slow line
OFFLINE = re.compile(
    r"NewConnectionError|ConnectTimeout|NameResolution|Name or service not known|Temporary failure in name resolution|"
    r"Network is unreachable|Connection refused|ConnectionError|ProxyError|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|"
    r"ENETUNREACH|ETIMEDOUT",
)
NO_WHEEL = re.compile(r"No matching distribution found|Could not find a version|ETARGET|E404")
FULL = re.compile(r"No space left on device|ENOSPC")


@dataclass(frozen=True)
class Installed:
    """Name -> version of what is in it. `python` is the version of its interpreter, "" where it has none."""

    python: str
    installed: dict[str, str]


def check(row: Foreign) -> None:
    """Raises DeviceError for what the runtime needs of this machine and is not there."""
    if row.registry == "pypi":
        _python_for(row)
        if importlib.util.find_spec("pip") is None:
            raise DeviceError(f"{row.name} is installed by pip, which is not here.", "Run: python -m ensurepip")
        return
    if shutil.which("npm") is None:
        raise DeviceError(f"{row.name} is installed by npm, which is not here.", "Install Node.js with npm.")
    if find_browser() is None:
        raise DeviceError(f"{row.name} needs Chromium or Chrome, and none is here.", "Install one of them.")


def install(row: Foreign, folder: Path) -> Installed:
    """Fills the folder. Raises DeviceError."""
    return _by_pip(row, folder) if row.registry == "pypi" else _by_npm(row, folder)


def python_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _by_pip(row: Foreign, folder: Path) -> Installed:
    _run(row, [_python_for(row), "-m", "venv", "--without-pip", str(folder)])
    own = str(python_of(folder))
    pip = [sys.executable, "-m", "pip", "--python", own, "--disable-pip-version-check", "--no-input"]
    _run(row, [*pip, "install", "--quiet", "--only-binary=:all:", "--retries=1", *row.packages])
    listed = json.loads(_run(row, [*pip, "list", "--format=json"]))
    version = _run(row, [own, "-I", "-c", "import platform; print(platform.python_version())"]).strip()
    return Installed(version, {one["name"]: one["version"] for one in listed})


def _by_npm(row: Foreign, folder: Path) -> Installed:
    npm = str(shutil.which("npm"))
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=1"]
    # Scripts of packages are not run: what is wanted are files for a page.
    _run(row, [npm, "install", "--ignore-scripts", *quiet, "--prefix", str(folder), *row.packages])
    found = {}
    for one in row.packages:
        name = one.rpartition("@")[0]
        found[name] = str(json.loads((folder / "node_modules" / name / "package.json").read_text("utf-8"))["version"])
    return Installed("", found)


def _python_for(row: Foreign) -> str:
    """This Python, or another of this machine that the runtime has wheels for."""
    assert row.pythons is not None
    oldest, newest = row.pythons
    if oldest <= sys.version_info[:2] <= newest:
        return sys.executable
    found = next(_others(oldest, newest), None)
    if found is None:
        here = _dotted(sys.version_info[:2])
        raise DeviceError(
            f"{row.name} has wheels for Python {_dotted(oldest)} to {_dotted(newest)}; this is {here}, and none of "
            "them is on the PATH.",
            f"Install Python {_dotted(newest)}, then run it again: {how_to_add(row.name)}",
        )
    return found


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def _others(oldest: Version, newest: Version) -> Iterator[str]:
    """Newest first; only those that run and say that they are what their name says."""
    for minor in range(newest[1], oldest[1] - 1, -1):
        named = shutil.which(f"python3.{minor}")
        if named is None:
            continue
        said = subprocess.run(
            [named, "-I", "-c", "import sys, venv; print(*sys.version_info[:2])"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if said.returncode == 0 and said.stdout.split() == ["3", str(minor)]:
            yield named


def _run(row: Foreign, command: Sequence[str]) -> str:
    """stdout of a step. Raises DeviceError with one sentence for what went wrong."""
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=SECONDS,
            stdin=subprocess.DEVNULL, env=_environment(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"{row.name} could not be added within half an hour.", "Try again on a faster line."
        ) from None
    if ended.returncode:
        raise _failure(row, ended.stdout + ended.stderr)
    return ended.stdout


def _environment() -> dict[str, str]:
    """One's own settings of pip and npm count; what points Python at other packages does not."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET")}


def _failure(row: Foreign, said: str) -> DeviceError:
    again = f"then run it again: {how_to_add(row.name)}"
    if OFFLINE.search(said):
        return DeviceError(
            f"{row.name} cannot be fetched: there is no way to the package registry.", f"Go online, {again}"
        )
    if FULL.search(said):
        return DeviceError(f"{row.name} cannot be added: the disk is full.", f"Free {row.about_mb} MB, {again}")
    if NO_WHEEL.search(said):
        where = f"It is made for {row.systems}." if row.systems else "Look which systems and versions it is made for."
        return DeviceError(f"There is no {' '.join(row.packages)} for this system and Python.", where)
    lines = [line for line in said.splitlines() if line.strip()] or ["nothing was said"]
    errors = [line for line in lines if "error" in line.lower()] or lines
    return DeviceError(f"{row.name} cannot be added: {errors[-1].strip()[:300]}", "Check pip, npm and the disk.")
