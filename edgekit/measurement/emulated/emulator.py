"""QEMU's emulation of an arm64 program: which QEMU is there, and how the userland's python3 starts as on a board."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import DeviceError
from edgekit.measurement.emulated.boards import Board
from edgekit.measurement.emulated.userland import Userland

QEMU = "qemu-aarch64"
COUNTS = "EDGEKIT_INSTRUCTIONS"  # names the file that the plugin writes


@dataclass(frozen=True)
class Qemu:
    """`version` is its own, such as 7.2.22."""

    path: Path
    version: str

    @property
    def interface(self) -> int:
        """The version of the plugin interface that is told to it: QEMU 9 refuses the first one."""
        return 1 if int(self.version.partition(".")[0]) < 9 else 2


def find_qemu() -> Qemu:
    """Raises DeviceError where there is none, or one that takes no plugins."""
    remedy = "Install it: sudo apt install qemu-user"
    path = shutil.which(QEMU)
    if path is None:
        raise DeviceError(f"{QEMU} is not installed, which emulates a Raspberry Pi's processor.", remedy)
    version = re.search(r"version (\d+(?:\.\d+)+)", _said(path, "--version"))
    if version is None:
        raise DeviceError(f"{path} does not say which version of QEMU it is.", remedy)
    if "-plugin" not in _said(path, "--help"):
        raise DeviceError(f"{path} is built without plugins, which count instructions.", remedy)
    return Qemu(Path(path), version[1])


def python_on(
    board: Board, userland: Userland, qemu: Qemu, runtime: str, *words: str, counts: Path | None = None
) -> tuple[list[str], dict[str, str]]:
    """(command, environment) of the userland's python3 with a runtime's modules, as it runs on the board. With `counts`
    the plugin writes there what it counts. The working directory has to be `userland.root`."""
    root = userland.seen_from(board)
    plugin = ["-plugin", f"./{userland.plugin.name}"] if counts else []  # a path may hold commas, which QEMU splits at
    command = [
        str(qemu.path),
        "-cpu",
        board.core,
        "-L",
        str(root),
        *plugin,
        str(root / "usr/bin/python3"),
        "-sSP",
        *words,
    ]
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": "/", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(userland.site(runtime)),
        "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1",
        **({COUNTS: str(counts)} if counts else {}),
    }  # fmt: skip
    return command, environment


def _said(path: str, word: str) -> str:
    try:
        return subprocess.run([path, word], capture_output=True, text=True, errors="replace", timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"{path} does not run: {type(error).__name__}.", "Install it again.") from None
