"""The boards that are emulated: a core that QEMU knows, and what Linux on that board says of its processor.

The runtime chooses its kernels by /proc/cpuinfo and /sys/devices/system/cpu, so it has to find there what it would find
on the board. Cores, clocks and caches: the Raspberry Pi's own documentation of the BCM2711 and BCM2712, and Arm's
technical reference manuals of the Cortex-A72 and the Cortex-A76.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import UsageError, unknown

SUFFIX = ":emulated"
CORES = 4


@dataclass(frozen=True)
class Board:
    """`core` is QEMU's name, `part` to `features` are those of /proc/cpuinfo, `caches` (level, type, kB, shared)."""

    name: str
    title: str
    core: str
    part: str
    variant: str
    revision: str
    features: str
    megahertz: int
    caches: tuple[tuple[int, str, int, bool], ...]

    @property
    def device(self) -> str:
        return self.name + SUFFIX


BOARDS = {
    "rpi4": Board(
        "rpi4", "Raspberry Pi 4 Model B Rev 1.4", "cortex-a72", "0xd08", "0x0", "3",
        "fp asimd evtstrm crc32 cpuid", 1800,
        ((1, "Data", 32, False), (1, "Instruction", 48, False), (2, "Unified", 1024, True)),
    ),
    "rpi5": Board(
        "rpi5", "Raspberry Pi 5 Model B Rev 1.0", "cortex-a76", "0xd0b", "0x4", "1",
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp", 2400,
        ((1, "Data", 64, False), (1, "Instruction", 64, False), (2, "Unified", 512, False), (3, "Unified", 2048, True)),
    ),
}  # fmt: skip
DEVICES = tuple(board.device for board in BOARDS.values())


def is_emulated(device: str) -> bool:
    """Whether the name is meant to be of an emulated board, known or not."""
    return device.endswith(SUFFIX)


def board_of(device: str) -> Board:
    """The board of NAME:emulated. Raises UsageError that lists the known ones."""
    found = BOARDS.get(device.removesuffix(SUFFIX)) if is_emulated(device) else None
    if found is None:
        raise unknown("emulated device", device, DEVICES, UsageError)
    return found


def write_processor(board: Board, root: Path) -> None:
    """proc/cpuinfo and sys/devices/system/cpu of the board, under a folder."""
    for path, text in {**_cpuinfo(board), **_topology(board)}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text + "\n", "utf-8")


def _cpuinfo(board: Board) -> dict[str, str]:
    cores = [
        f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {board.features}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: 8\nCPU variant\t: {board.variant}\nCPU part\t: {board.part}\n"
        f"CPU revision\t: {board.revision}\n"
        for core in range(CORES)
    ]
    return {"proc/cpuinfo": "\n".join([*cores, f"Model\t\t: {board.title}"])}


def _topology(board: Board) -> dict[str, str]:
    base, every = "sys/devices/system/cpu", f"0-{CORES - 1}"
    found = {f"{base}/{name}": every for name in ("possible", "present", "online")}
    found[f"{base}/kernel_max"] = "255"
    for core in range(CORES):
        here = f"{base}/cpu{core}"
        found[f"{here}/cpufreq/cpuinfo_max_freq"] = str(1000 * board.megahertz)
        found |= {f"{here}/topology/{name}_list": every for name in ("core_siblings", "package_cpus", "cluster_cpus")}
        found |= {
            f"{here}/topology/physical_package_id": "0",
            f"{here}/topology/core_id": str(core),
            f"{here}/topology/thread_siblings_list": str(core),
        }
        for index, (level, kind, kilobytes, shared) in enumerate(board.caches):
            cache = f"{here}/cache/index{index}"
            found |= {
                f"{cache}/level": str(level),
                f"{cache}/type": kind,
                f"{cache}/size": f"{kilobytes}K",
                f"{cache}/shared_cpu_list": every if shared else str(core),
                f"{cache}/coherency_line_size": "64",
            }
    return found
