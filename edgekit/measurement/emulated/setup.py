"""`edgekit device setup emulated`: what will be installed and where, and installing it, whole or not at all.

Nothing outside of one folder of the user's cache changes, and nobody needs to be root. The folder is made under another
name, and takes its own when it is complete and has run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from edgekit.artifact import write_json
from edgekit.errors import DeviceError
from edgekit.measurement.emulated.boards import BOARDS, Board, write_processor
from edgekit.measurement.emulated.emulator import Qemu, find_qemu, python_on
from edgekit.measurement.emulated.packages import require_tools, unpack_debian, unpack_wheels
from edgekit.measurement.emulated.userland import (
    MANIFEST,
    PLUGIN,
    ROOTFS,
    RUNTIMES,
    Userland,
    cache_folder,
    hash_of,
    read_userland,
)  # fmt: skip
from edgekit.measurement.host import AGENT
from edgekit.progress import Progress, Reporter, silent

# The libraries are those that the wheels need; a shell and what it is used with make a machine to log in to.
PACKAGES = (
    *("python3", "libstdc++6", "libgcc-s1", "libatomic1", "zlib1g"),
    *("bash", "dash", "coreutils", "openssh-sftp-server"),
)
# What a runtime works with; Pillow lets the bundle for a Raspberry Pi run here too.
BESIDE = {"ai-edge-litert": ("numpy", "pillow"), "tflite-runtime": ("numpy<2",)}
SOURCE = Path(__file__).with_name("instruction_count.c")
NEEDED_BYTES = 900_000_000  # while it is made
TRIAL_SECONDS = 600.0  # a busy machine compiles the modules of Python in one
STAGES = ("Debian's packages", "wheels", "the plugin", "trying it")


@dataclass(frozen=True)
class Part:
    """What is installed, and about how many megabytes are loaded and taken on the disk."""

    what: str
    loaded: int
    taken: int


@dataclass(frozen=True)
class Plan:
    """`found`: what is there already, where that is whole and as it would be made."""

    root: Path
    qemu: Qemu
    litert: str
    found: Userland | None

    @property
    def parts(self) -> tuple[Part, ...]:
        return (
            Part("Debian 12 for arm64: python3 and a shell", 35, 125),
            Part(f"LiteRT {self.litert}, numpy and Pillow for aarch64", 37, 120),
            Part("tflite-runtime and numpy 1 for aarch64", 17, 60),
        )

    @property
    def text(self) -> str:
        if self.found:
            return f"The emulated Raspberry Pi in {self.root} is whole."
        lines = [f"  {part.what}: about {part.loaded} MB to load, {part.taken} MB on the disk" for part in self.parts]
        return "\n".join(
            [
                f"An emulated Raspberry Pi is put into {self.root}:",
                *lines,
                f"  a plugin for QEMU {self.qemu.version}, compiled by cc",
                "Nothing else changes, and root is not needed.",
            ]
        )


def plan() -> Plan:
    """What would be done; nothing is loaded. Raises DeviceError for whatever this machine lacks."""
    qemu, litert, root = find_qemu(), metadata.version("ai-edge-litert"), cache_folder()
    require_tools()
    if shutil.which("cc") is None:
        raise DeviceError("cc is not there, which compiles the plugin.", "Install it: sudo apt install gcc libc6-dev")
    return Plan(root, qemu, litert, _whole(root, qemu, litert))


def install(planned: Plan, progress: Reporter = silent) -> Userland:
    """Does it, unless it is done -> what is there now. Raises DeviceError where it fails; then nothing has changed."""
    from filelock import FileLock

    root = planned.root
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(root.with_name(f"{root.name}.lock")):
        if found := _whole(root, planned.qemu, planned.litert):
            return found
        with _aside(root) as part:
            made = _make(part, planned, progress)
            write_json(part / MANIFEST, made.to_json())
            _take_place(part, root)
    found = read_userland(root)
    assert found is not None
    return found


def _whole(root: Path, qemu: Qemu, litert: str) -> Userland | None:
    """What is there, where every byte of it is as it was installed and it is what would be installed now."""
    try:
        found = read_userland(root)
    except DeviceError:
        return None
    if found is None:
        return None
    wheels = found.wheels["ai-edge-litert"]
    wanted = found.qemu == qemu.version and wheels["ai-edge-litert"] == litert and "pillow" in wheels
    return found if wanted and not found.damage(thorough=True) else None


def _make(part: Path, planned: Plan, progress: Reporter) -> Userland:
    """Everything but the manifest, in the folder, tried."""

    def at(done: int) -> None:
        progress(Progress("setup", done, len(STAGES), STAGES[done] if done < len(STAGES) else ""))

    work = part / "work"
    at(0)
    debian = unpack_debian(PACKAGES, part / ROOTFS, work / "debian")
    at(1)
    wanted = {name: [name, *others] for name, others in BESIDE.items()}
    wanted["ai-edge-litert"][0] += f"=={planned.litert}"  # the one here, whose answers it is held against
    wheels = {
        name: unpack_wheels(wanted[name], part / "sites" / folder, work / folder) for name, folder in RUNTIMES.items()
    }
    at(2)
    _compile(part / PLUGIN, planned.qemu)
    for board in BOARDS.values():
        _make_board(part / "boards" / board.name, board)
    at(3)
    shutil.rmtree(work)
    made = Userland(part, debian, wheels, planned.qemu.version, {})
    for runtime in RUNTIMES:
        _try(made, planned.qemu, runtime)
    at(4)
    return replace(made, files=_files(part))


def _compile(plugin: Path, qemu: Qemu) -> None:
    flags = ("-shared", "-fPIC", "-O2", f"-DPLUGIN_VERSION={qemu.interface}")
    done = subprocess.run(["cc", *flags, "-o", plugin, SOURCE], capture_output=True, text=True, errors="replace")
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        raise DeviceError(
            f"cc cannot compile the plugin: {said}.", "Install a C compiler: sudo apt install gcc libc6-dev"
        )


def _make_board(root: Path, board: Board) -> None:
    write_processor(board, root)
    for name in ("usr", "lib"):
        (root / name).symlink_to(Path("../..") / ROOTFS / name)


def _try(made: Userland, qemu: Qemu, runtime: str) -> None:
    """Lets the agent look for a file that is not there: by then it has imported all it needs, and Python has kept
    what it compiled of that. Raises DeviceError."""
    board = next(iter(BOARDS.values()))
    request = json.dumps({"kind": "memory", "model": "/none"})
    command, environment = python_on(board, made, qemu, runtime, str(AGENT), request)
    del environment["PYTHONDONTWRITEBYTECODE"]
    try:
        done = subprocess.run(
            command, env=environment, cwd=made.root, capture_output=True, text=True, errors="replace",
            timeout=TRIAL_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DeviceError(f"{runtime} hangs under QEMU {qemu.version}.", "Try a newer qemu-user.") from None
    if '"kind": "model"' not in done.stdout:
        said = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        raise DeviceError(f"{runtime} does not run under QEMU {qemu.version}: {said}.", "Try a newer qemu-user.")


def _files(part: Path) -> dict[str, tuple[int, str]]:
    """Path from `part` -> (bytes, SHA-256) of every file; links lead to others of them."""
    paths = (Path(folder) / name for folder, _, names in os.walk(part) for name in names)
    return {
        str(path.relative_to(part)): (path.stat().st_size, hash_of(path)) for path in paths if not path.is_symlink()
    }


@contextmanager
def _aside(root: Path) -> Iterator[Path]:
    """A folder beside, gone afterwards unless it was renamed; what a killed setup left is removed."""
    for left in root.parent.glob(f"{root.name}.making-*"):
        shutil.rmtree(left)
    part = Path(tempfile.mkdtemp(prefix=f"{root.name}.making-", dir=root.parent))
    part.chmod(0o755)
    try:
        _require_space(part)
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _require_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise DeviceError(
            f"{folder.parent} has {free / 1e6:.0f} MB free, and {NEEDED_BYTES / 1e6:.0f} are needed.",
            "Free some, or set XDG_CACHE_HOME to another disk.",
        )


def _take_place(part: Path, root: Path) -> None:
    if root.exists():
        old = Path(tempfile.mkdtemp(prefix=f"{root.name}.making-", dir=root.parent))
        root.rename(old / "old")
    part.rename(root)
    for left in root.parent.glob(f"{root.name}.making-*"):
        shutil.rmtree(left)
