"""How a benchmark leaves its evidence: raw values and conditions as JSON under results/, a table on the screen."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

from without_amx import amx

from edgekit import __version__
from edgekit.artifact import write_json
from edgekit.run import now

RESULTS = Path(__file__).with_name("results")
PACKAGES = ("tensorflow", "keras", "tf_keras", "ai-edge-litert", "numpy", "pillow")


def conditions() -> dict[str, Any]:
    """The machine and the versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = {line.split(":")[1].strip() for line in lines if line.startswith("model name")}
    return {
        "edgekit": __version__,
        "cpu": sorted(names),
        "amx": amx(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "load_at_start": os.getloadavg()[0],
        "date": now(),
    }


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """(wall seconds, what `work` returned)."""
    started = perf_counter()
    result = work()
    return perf_counter() - started, result


def in_turn(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every work, round by round, one after the other: a drift of the machine meets them all alike."""
    return figures_in_turn({name: lambda work=work: timed(work)[0] for name, work in works.items()}, rounds)


def figures_in_turn(works: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """As `in_turn`, for works that tell a figure of their own."""
    figures: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            figures[name].append(work())
    return figures


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Median of the ratios round by round."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def units(measured_under: dict[str, Any]) -> str:
    """What a latency has to say of where it was measured: matrix units change it beyond what carries over."""
    return " with AMX" if measured_under.get("amx") else ""


def earlier(name: str, none: Any) -> Any:
    """The raw values of results/NAME.json, `none` where there is no such file: what a call does not measure stays."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text("utf-8"))["raw"] if path.exists() else none


def save(name: str, claims: list[dict[str, Any]], raw: Any, measured_under: dict[str, Any]) -> None:
    """Writes results/NAME.json and prints the claims.

    A claim is {"what", "asked", "measured", "unit", "met"}; the README's table is made of them.
    """
    found = {"name": name, "conditions": measured_under, "claims": claims, "raw": raw}
    write_json(RESULTS / f"{name}.json", portable(found))
    width = max(len(claim["what"]) for claim in claims)
    for claim in claims:
        met = "" if claim["met"] is None else "met" if claim["met"] else "NOT MET"
        print(f"{claim['what']:<{width}}  {claim['measured']:>9.3g} {claim['unit']:<4} {claim['asked']:<12} {met}")


def portable(value: Any) -> Any:
    """The same with the last two parts of every absolute path: the rest is of one machine."""
    if isinstance(value, dict):
        return {key: portable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [portable(one) for one in value]
    if isinstance(value, str) and value.startswith("/") and value.count("/") > 1:
        return "/".join(Path(value).parts[-2:])
    return value


def claim(
    what: str, measured: float, unit: str, *, least: float | None = None, most: float | None = None
) -> dict[str, Any]:
    """One figure, and what it has to be where there is a promise."""
    asked = f">= {least:g}" if least is not None else f"<= {most:g}" if most is not None else ""
    met = None if not asked else measured >= least if least is not None else measured <= most  # type: ignore[operator]
    return {"what": what, "asked": asked, "measured": measured, "unit": unit, "met": met}
