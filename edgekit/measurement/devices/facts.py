"""What a device is: architecture, pointer size, Python, board, disk. Asked of it, and held against itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgekit.errors import DeviceError
from edgekit.measurement.devices.answer import ask, not_understood
from edgekit.measurement.devices.connection import Connection

OLDEST_PYTHON = (3, 9)  # that the agent runs on
NEEDED_BYTES = 64 * 1024 * 1024  # for the agent, a runtime with numpy, and a file

RUNTIMES = ("ai_edge_litert", "tflite_runtime", "tensorflow")

# (class, machine) of an ELF header -> the architecture in the names of wheels. Source: the System V ABI, elf.h.
ARCHITECTURES = {
    (2, 183): "aarch64", (1, 40): "armv7l", (2, 62): "x86_64", (1, 3): "i686", (2, 243): "riscv64",
}  # fmt: skip
# What uname says where python3 has that architecture: a 64-bit kernel also runs 32-bit programs.
MACHINES = {
    "aarch64": ("aarch64",),
    "armv7l": ("armv6l", "armv7l", "armv8l", "aarch64"),
    "x86_64": ("x86_64",),
    "i686": ("i386", "i486", "i586", "i686", "x86_64"),
    "riscv64": ("riscv64",),
}

Words = Annotated[str, Field(max_length=200, pattern=r"^[^\p{C}]*$")]  # nothing that moves a terminal's cursor
Count = Annotated[int, Field(ge=0, le=2**53)]
Byte = Annotated[int, Field(ge=0, le=65535)]


class Facts(BaseModel):
    """`machine` is the kernel's word, `architecture` that of python3 itself, which decides what can run.
    `modules`: what of a measurement's needs is installed, with the version ("" unknown); None: not installed. `kept`:
    the wheels that edgekit sent there before, with their bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    machine: Words
    elf: tuple[Byte, Byte]
    pointer_bits: Literal[32, 64]
    byte_order: Literal["little"]
    python: tuple[Byte, Byte, Byte]
    libc: Words
    system: Words
    board: Words
    cores: Annotated[int, Field(ge=1, le=4096)]
    memory_bytes: Count | None
    free_bytes: Count
    modules: Annotated[dict[Words, Words | None], Field(max_length=16)]
    kept: Annotated[dict[Words, Count], Field(max_length=100)] = {}

    @property
    def architecture(self) -> str:
        return ARCHITECTURES[self.elf]

    def to_json(self) -> dict[str, Any]:
        found = {**self.model_dump(mode="json", exclude={"elf"}), "architecture": self.architecture}
        return {**found, "python": ".".join(map(str, self.python))}


def look(connection: Connection) -> Facts:
    """Asks the device. Raises DeviceError for one without python3, one whose answer is none or contradicts itself,
    and one that edgekit has nothing for."""
    name = connection.device.name
    found = ask(connection, "facts")
    given = {key: value for key, value in found.items() if key not in ("edgekit", "ok")}
    try:
        # Lists stand for tuples in JSON.
        pairs = {key: tuple(given[key]) for key in ("elf", "python") if isinstance(given.get(key), list)}
        facts = Facts.model_validate({**given, **pairs})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = str(first["loc"][0])
        where = place if place in Facts.model_fields else "a field that is not known"
        raise not_understood(name, f"{where}: {first['msg'][:100]}") from None
    _check(name, facts)
    return facts


def _check(name: str, facts: Facts) -> None:
    architecture = ARCHITECTURES.get(facts.elf)
    if architecture is None:
        raise DeviceError(
            f"{name} has a processor that edgekit has nothing for: {facts.machine}.",
            f"Known: {', '.join(MACHINES)}, with Linux.",
        )
    if facts.machine not in MACHINES[architecture] or facts.pointer_bits != 32 * facts.elf[0]:
        raise DeviceError(
            f"{name} contradicts itself: it says {facts.machine} and {facts.pointer_bits} bit, but its python3 is "
            f"{architecture}.",
            "Look what python3 is on that device.",
        )
    if facts.python[:2] < OLDEST_PYTHON:
        version = ".".join(map(str, facts.python))
        raise DeviceError(f"{name} has Python {version}, which is too old.", "Update its system: Python 3.9 is needed.")
    if facts.free_bytes < NEEDED_BYTES:
        free, needed = facts.free_bytes / 1e6, NEEDED_BYTES / 1e6
        raise DeviceError(f"{name} has {free:.0f} MB free.", f"Free at least {needed:.0f} MB of its disk.")
