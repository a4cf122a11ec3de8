"""The tables of measured claims, made from results/*.json: all of them in docs/benchmarks.md, the recipes and the
headlines in the README, the runtimes in docs/verify.md. A test holds all to the results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import grid as qat_grid
import smaller_than
import steps_grid
from record import RESULTS, units
from verify_tables import with_measured

ROOT = Path(__file__).parents[1]
README, PAGE, VERIFY = ROOT / "README.md", ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "verify.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
# Results whose claims stand in the README, with what a claim has to hold to be one of them; in this order.
HEADLINES: dict[str, tuple[str, ...]] = {
    "startup": ("--help",),
    "default_job": ("",),
    "conversion": ("MobileNetV2: freeze",),
    "evaluation": ("against one-by-one", "same prediction"),
    "evaluation_jpeg": ("against Pillow", "each image more"),
    "hard_swish": ("at 96 px, int8 rewritten, faster", "points"),
    "feeding": ("mean",),
    "qat_vs_tfmot": ("converting", "conversion", "refuse", "takes"),
    "fidelity": ("",),
    "ab": ("",),
    "busy": ("",),
    "mlperf": ("",),
    "several_devices": ("against 1",),
    "distillation_few": ("points by a teacher",),
    "halved": ("kept: ", "mobilenet_v2_035", "off the target"),
    "smaller_than": ("half_ResNet-8_learned_on",),
    "mediapipe_top1": tuple(f"efficientnet_lite0_{kind}, {way}: same top-1" for kind in ("float32", "int8_uint8")
                            for way in ("same pixels", "as they come")),
    "emulated": ("14 counts", "in a bit", "pretrainedResnet_quant.tflite, rpi"),
}  # fmt: skip
INTRODUCTION = """# Benchmarks

Every claim that edgekit makes of itself, as it was measured. `make bench` measures most of them again, and each script
under `benchmarks/` says at its top how it is run. Raw values are in `benchmarks/results`. Ratios carry over to other
machines better than seconds. This page is written by `python benchmarks/readme.py`.
"""


def results() -> dict[str, Any]:
    """What is in results/*.json, by name."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))}


def table(claims: list[dict[str, Any]]) -> str:
    """A row a claim."""
    return "\n".join(["| what | measured | asked |", "|---|---|---|", *map(_row, claims)])


def _row(claim: dict[str, Any]) -> str:
    asked = claim["asked"] + (" **not met**" if claim["met"] is False else "")
    return f"| {claim['what']} | {claim['measured']:.3g} {claim['unit']} | {asked} |"


def machine(under: dict[str, Any]) -> str:
    """What it was measured on."""
    packages = under["packages"]
    return (
        f"{', '.join(under['cpu'])}, {under['cores']} cores{units(under)}, TensorFlow {packages['tensorflow']}, "
        f"Keras {packages['keras']}, LiteRT {packages['ai-edge-litert']}"
    )


def page() -> str:
    """docs/benchmarks.md."""
    measured = results()
    sections = {name: f"{table(found['claims'])}\n\nMeasured on: {machine(found['conditions'])}.\n"
                for name, found in measured.items()}  # fmt: skip
    if record := measured.get("smaller_than"):
        sections["smaller_than"] = f"{smaller_than.table(record['raw']['rows'])}\n\n{sections['smaller_than']}"
    for grid in (qat_grid, steps_grid):
        sections[grid.FOLDER.name] = f"{summary(grid)}\n\n{grid.table(grid.FOLDER)}\n\n{machines(grid.FOLDER)}\n"
    return "\n".join([INTRODUCTION, *(f"## {name}\n\n{sections[name]}" for name in sorted(sections))])


def summary(grid: ModuleType) -> str:
    """What a grid is, as its script says."""
    about = (grid.__doc__ or "").partition("\n")[0]
    return f"{about} `python benchmarks/{Path(str(grid.__file__)).name}` fills it; `make grid` both grids."


def machines(folder: Path) -> str:
    """What the cells of a grid were measured on."""
    cells = (json.loads(path.read_text("utf-8")) for path in folder.glob("*.json"))
    return f"Measured on: {'; '.join(sorted({machine(one['conditions']) for one in cells}))}."


def headlines() -> Iterator[dict[str, Any]]:
    """The claims of the README."""
    found = results()
    for name, words in HEADLINES.items():
        for claim in found[name]["claims"] if name in found else []:
            if any(word in claim["what"] for word in words):
                yield claim


def recipes() -> str:
    """A row a recipe: what it gives on the digits, against float32 of the same run."""
    rows = results()["recipes"]["claims"]
    found: dict[str, dict[str, str]] = {}
    for one in rows:
        name, _, about = one["what"].removeprefix("recipe ").partition(": ")
        found.setdefault(name, {})[about.split(" of ")[0].split(",")[0]] = (
            f"{one['measured']:.3g} {one['unit']}".strip()
        )
    columns = {"seconds": "job", "top-1": "top-1", "points below float": "points below float", "size": "size",
               "latency": "latency over float32", "arena": "arena, estimated"}  # fmt: skip
    lines = [f"| recipe | {' | '.join(columns.values())} |", "|---" * (len(columns) + 1) + "|"]
    for name, figures in found.items():
        lines.append(f"| `{name}` | {' | '.join(figures.get(column, '') for column in columns)} |")
    return "\n".join(lines)


def with_tables(text: str) -> str:
    """The README with the tables between its two marks renewed."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{recipes()}\n\n{table(list(headlines()))}\n{END}{rest.split(END)[1]}"


def write() -> None:
    README.write_text(with_tables(README.read_text("utf-8")), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
    VERIFY.write_text(with_measured(VERIFY.read_text("utf-8"), results()["verify"]), encoding="utf-8")


if __name__ == "__main__":
    write()
