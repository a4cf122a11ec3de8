"""What a device still needs before it can run a .tflite: nothing, or wheels of these names. Pure, over its facts.

64 bit takes LiteRT, and tflite-runtime where LiteRT has no wheel; 32 bit takes tflite-runtime, which wants numpy < 2.
PyPI has no numpy for 32-bit ARM: there the system's own has to be installed. What is installed is used as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from edgekit.errors import DeviceError
from edgekit.measurement.devices.facts import RUNTIMES, Facts

NEWEST_OF_TFLITE = (3, 11)  # the last Python that tflite-runtime has wheels for
OLDEST_NUMPY_OF_LITERT = (1, 23, 2)
OLDEST_PILLOW = (10, 3)  # that edgekit decodes with (pyproject.toml)
OLDEST_GLIBC = 17  # glibc 2.17, of manylinux2014: no wheel wants less

Choice = tuple[str, ...]  # requirements as pip takes them; an empty one: what is installed serves


@dataclass(frozen=True)
class Needs:
    """`choices` in the order in which they are tried: the first that has wheels for the device is taken."""

    choices: tuple[Choice, ...]
    remedy: str = ""  # where none of them has


def needs_of(name: str, facts: Facts, *, decodes: bool = False) -> Needs:
    """What `name` lacks to run a .tflite, and with `decodes` to read images too. Raises DeviceError, with the reason,
    for a device that nothing serves."""
    runtime = _runtime(name, facts)
    images = _pillow(name, facts) if decodes else ((),)
    return Needs(tuple((*one, *pillow) for one in runtime.choices for pillow in images), runtime.remedy)


def summary_of(name: str, facts: Facts) -> dict[str, Any]:
    """What a bench would do about a runtime: `sends` names the distributions (none: what is installed serves), or
    `refused` says why nothing serves."""
    try:
        first = needs_of(name, facts).choices[0]
    except DeviceError as error:
        return {"sends": [], "refused": str(error)}
    return {"sends": [re.split(r"[=<>]", one)[0] for one in first], "refused": None}


def _runtime(name: str, facts: Facts) -> Needs:
    installed = [one for one in RUNTIMES if facts.modules.get(one) is not None]
    numpy = facts.modules.get("numpy")
    if installed and numpy is not None:
        return Needs(((),))
    if facts.architecture == "armv7l":
        return _runtime_of_32_bit(name, facts, installed)
    _require_wheels(name, facts)
    if installed:
        return Needs((("numpy<2" if installed[0] == "tflite_runtime" else "numpy",),))
    litert = ("numpy",) if numpy is None or version(numpy) < OLDEST_NUMPY_OF_LITERT else ()
    choices = [(exact, *litert) for exact in _same_as_here("ai-edge-litert")] + [("ai-edge-litert", *litert)]
    if facts.python[:2] <= NEWEST_OF_TFLITE:
        choices.append(("tflite-runtime", *(() if numpy is not None and version(numpy) < (2,) else ("numpy<2",))))
    return Needs(tuple(choices), "Install one there: python3 -m pip install numpy ai-edge-litert")


def _runtime_of_32_bit(name: str, facts: Facts, installed: list[str]) -> Needs:
    numpy = facts.modules.get("numpy")
    if facts.machine == "armv6l":
        raise DeviceError(
            f"{name} has an ARMv6 processor, and no runtime for .tflite files has a wheel for it.",
            "Take a Raspberry Pi 2 or newer.",
        )
    if facts.python[:2] > NEWEST_OF_TFLITE and not installed:
        python = ".".join(map(str, facts.python[:2]))
        raise DeviceError(
            f"{name} has a 32-bit Python {python}, and no runtime for .tflite files has a wheel for it.",
            "Use the 64-bit Raspberry Pi OS.",
        )
    if numpy is None:
        raise DeviceError(
            f"{name} has a 32-bit system without numpy, and there is no wheel of numpy for it.",
            "Install it there: sudo apt install python3-numpy",
        )
    if version(numpy) >= (2,):
        raise DeviceError(
            f"{name} has numpy {numpy}, and tflite-runtime, the only runtime for 32 bit, needs numpy 1.",
            "Install it there: sudo apt install python3-numpy",
        )
    return Needs((("tflite-runtime",),), "Use the 64-bit Raspberry Pi OS.")


def _require_wheels(name: str, facts: Facts) -> None:
    """Raises DeviceError where no wheel of a runtime can fit."""
    if facts.architecture not in ("aarch64", "x86_64"):
        raise DeviceError(
            f"{name} has no numpy or no runtime for .tflite files, and there are no wheels for {facts.architecture}.",
            "Install both there.",
        )
    if glibc_minor(facts) is None:
        raise DeviceError(
            f"{name} has no numpy or no runtime for .tflite files, and wheels need glibc, not "
            f"{facts.libc or 'another C library'}.",
            "Use a system with glibc, such as Raspberry Pi OS.",
        )


def _pillow(name: str, facts: Facts) -> tuple[Choice, ...]:
    """This machine's version, so that both decode alike; else one that is new enough."""
    installed = facts.modules.get("PIL")
    if installed is not None and version(installed) >= OLDEST_PILLOW:
        return ((),)
    if facts.architecture == "armv7l":
        raise DeviceError(
            f"{name} has no Pillow {'.'.join(map(str, OLDEST_PILLOW))} or newer, and there is no wheel of it for 32 "
            "bit.",
            "Leave out --decode-on-device: this machine decodes then.",
        )
    _require_wheels(name, facts)
    return (*((exact,) for exact in _same_as_here("pillow")), ("pillow>=" + ".".join(map(str, OLDEST_PILLOW)),))


def _same_as_here(distribution: str) -> list[str]:
    """The requirement of the version that this machine has, so that both sides run the same; none where it has none."""
    try:
        return [f"{distribution}=={metadata.version(distribution)}"]
    except metadata.PackageNotFoundError:
        return []


def tags_of(facts: Facts) -> tuple[str, ...]:
    """The platforms whose wheels the device takes, newest first: PEP 600."""
    minor = glibc_minor(facts) or OLDEST_GLIBC
    newest_first = (f"manylinux_2_{one}_{facts.architecture}" for one in range(minor, OLDEST_GLIBC - 1, -1))
    return (*newest_first, f"manylinux2014_{facts.architecture}", f"linux_{facts.architecture}")


def glibc_minor(facts: Facts) -> int | None:
    """36 of glibc 2.36; None for another C library."""
    found = re.fullmatch(r"glibc 2\.(\d{1,3})(\.\d+)?", facts.libc)
    return int(found[1]) if found else None


def version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version; one that is not known ("") counts as old."""
    return tuple(int(one) for one in re.findall(r"\d+", re.split(r"[^\d.]", text)[0])[:3])
