"""What `edgekit device setup emulated` has put into the user's cache: where it is, and whether it is whole.

$XDG_CACHE_HOME/edgekit/emulated/
    rootfs/          Debian for arm64: python3, its libraries, a shell
    sites/RUNTIME/   the aarch64 wheels of a runtime and its numpy, unpacked
    boards/NAME/     what a program on the board sees: the processor in proc and sys, links to rootfs for the rest
    plugin.so        counts instructions
    manifest.json    what all that is, with the size and the hash of every file; written last
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import DeviceError
from edgekit.measurement.emulated.boards import Board

FORMAT = 1  # of the folder; another one is made anew
MANIFEST, PLUGIN, ROOTFS = "manifest.json", "plugin.so", "rootfs"
SETUP = "Run: edgekit device setup emulated"
RUNTIMES = {"ai-edge-litert": "litert", "tflite-runtime": "tflite-runtime"}  # distribution -> folder under sites


@dataclass(frozen=True)
class Userland:
    """`debian` and `wheels`: name -> version; `qemu` is the one that the plugin was made for. `files`: path from `root`
    -> (bytes, SHA-256)."""

    root: Path
    debian: dict[str, str]
    wheels: dict[str, dict[str, str]]
    qemu: str
    files: dict[str, tuple[int, str]]

    @property
    def rootfs(self) -> Path:
        return self.root / ROOTFS

    @property
    def plugin(self) -> Path:
        return self.root / PLUGIN

    def site(self, runtime: str) -> Path:
        """The folder with the modules of a runtime (its distribution) and numpy."""
        return self.root / "sites" / RUNTIMES[runtime]

    def seen_from(self, board: Board) -> Path:
        """The root of the file system as programs on the board see it."""
        return self.root / "boards" / board.name

    @property
    def size_bytes(self) -> int:
        return sum(size for size, _ in self.files.values())

    def damage(self, thorough: bool = False) -> str:
        """The first file that is missing or not as it was installed, "" where there is none. `thorough` reads all."""
        for name, (size, sha256) in self.files.items():
            path = self.root / name
            if not path.is_file() or path.stat().st_size != size:
                return name
            if thorough and hash_of(path) != sha256:
                return name
        return ""

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT, "debian": self.debian, "wheels": self.wheels, "qemu": self.qemu,
            "files": {name: list(facts) for name, facts in self.files.items()},
        }  # fmt: skip


def cache_folder() -> Path:
    """edgekit/emulated in the user's cache (XDG Base Directory)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgekit" / "emulated"


def read_userland(root: Path | None = None) -> Userland | None:
    """What is installed, None where nothing is that this edgekit made. Raises DeviceError for a damaged manifest."""
    root = root or cache_folder()
    try:
        found = json.loads((root / MANIFEST).read_text("utf-8"))
        if found["format"] != FORMAT:
            return None
        files = {name: (int(size), str(sha256)) for name, (size, sha256) in found["files"].items()}
        return Userland(root, found["debian"], found["wheels"], found["qemu"], files)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise DeviceError(f"The emulated Raspberry Pi is damaged: {root / MANIFEST}.", SETUP) from None


def require_userland(runtime: str, root: Path | None = None) -> Userland:
    """What is installed, whole, and with this version of the runtime ("ai-edge-litert 2.3.0"). Raises DeviceError."""
    found = read_userland(root)
    if found is None:
        raise DeviceError("The emulated Raspberry Pi is not set up.", SETUP)
    if broken := found.damage():
        raise DeviceError(f"The emulated Raspberry Pi is damaged: {found.root / broken}.", SETUP)
    name, _, version = runtime.partition(" ")
    theirs = found.wheels.get(name, {}).get(name)
    if theirs != version:
        raise DeviceError(
            f"The emulated Raspberry Pi has {name} {theirs}, and this machine {version or 'none'}.", SETUP
        )
    return found


def hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
