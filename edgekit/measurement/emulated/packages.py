"""Packages of another architecture, unpacked into a folder: Debian's by apt-get, wheels by pip. Nothing is installed.

Each tool checks what it loads: apt-get Debian's signatures and the hashes in its signed lists, pip its index's hashes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from edgekit.errors import DeviceError

SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"  # what Raspberry Pi OS 12 is made of
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PYTHON, GLIBC = "3.11", 36  # of that suite: 2.36, and wheels for an older one run too
TOOLS = ("apt-get", "dpkg-deb")
AGAIN = "Check the network, then run the same command again."


def require_tools() -> None:
    """Raises DeviceError where this machine cannot load packages."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise DeviceError(f"{missing[0]} is not there, which loads Debian's packages.", "Use Debian or Ubuntu.")
    if not KEYRING.is_file():
        raise DeviceError(
            f"{KEYRING} is not there, which Debian's packages are checked by.",
            "Install it: sudo apt install debian-archive-keyring",
        )
    if _run([sys.executable, "-m", "pip", "--version"]).returncode:
        raise DeviceError(f"{sys.executable} has no pip.", f"Install it: {sys.executable} -m ensurepip")


def unpack_debian(packages: Sequence[str], target: Path, work: Path) -> dict[str, str]:
    """The packages and all that they depend on, of arm64, unpacked into `target` -> name: version. `work` is a folder
    that may be thrown away. Raises DeviceError."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text(f"deb [arch=arm64 signed-by={KEYRING}] {MIRROR} {SUITE} main\n", "utf-8")
    options = {
        "APT::Architecture": "arm64", "APT::Architectures": "arm64", "APT::Install-Recommends": "false",
        "APT::Update::Error-Mode": "any", "APT::Keep-Downloaded-Packages": "true", "Acquire::Languages": "none",
        "Acquire::Retries": "3", "Debug::NoLocking": "true", "Dir::State": work, "Dir::State::lists": work / "lists",
        "Dir::State::status": work / "status", "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
    }  # fmt: skip
    apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    for words in (["update"], ["install", "--download-only", "--yes", *packages]):
        _succeed([*apt, *words], "Debian's packages cannot be loaded", AGAIN)
    found = {}
    for deb in sorted((work / "cache" / "archives").glob("*.deb")):
        told = _succeed(["dpkg-deb", "--show", str(deb)], f"{deb.name} cannot be read", AGAIN).split()
        _succeed(["dpkg-deb", "--extract", str(deb), str(target)], f"{deb.name} cannot be unpacked", "Check the disk.")
        found[told[0]] = told[1]
    return found


def unpack_wheels(requirements: Sequence[str], target: Path, work: Path) -> dict[str, str]:
    """The wheels of just these requirements, for that suite on arm64, unpacked into `target` -> name: version. Raises
    DeviceError."""
    tags = ["manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, GLIBC + 1))]
    _succeed(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps", "--only-binary", ":all:"),
            *("--implementation", "cp", "--python-version", PYTHON, "--abi", f"cp{PYTHON.replace('.', '')}"),
            *(word for tag in tags for word in ("--platform", tag)),
            *("--dest", str(work), *requirements),
        ],
        f"{requirements[0]} for arm64 cannot be loaded",
        AGAIN,
    )
    found = {}
    for wheel in sorted(work.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        found[name.replace("_", "-").lower()] = version
        with zipfile.ZipFile(wheel) as content:
            content.extractall(target)
    return found


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)


def _succeed(command: Sequence[str], failed: str, remedy: str) -> str:
    """What it says. Raises DeviceError with the last complaint it makes."""
    done = _run(command)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.upper().startswith(("E:", "ERROR"))]
        said = (errors or lines or [f"it ended with code {done.returncode}"])[-1]
        raise DeviceError(f"{failed}: {said.rstrip('.')}.", remedy)
    return done.stdout
