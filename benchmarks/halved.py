"""Half of a trained network's channels' work removed, learned back from a teacher, int8: what is lost, what is gained.

python benchmarks/halved.py CIFAR_FOLDER TEACHER.keras NETWORK.keras --work FOLDER [--preprocess raw]

CIFAR_FOLDER holds train/CLASS/*.jpg and test/CLASS/*.jpg. NETWORK is a classifier trained on it, that takes images
prepared as --preprocess says. It goes through `edgekit compress` as it is, then to half of its MACs and to 0.6 of its
measured latency; the int8 files are then timed side by side. Runs are kept under --work: an interrupted benchmark goes
on. The figures of other networks stay.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

from paired import against, line
from record import RESULTS, claim, conditions, save

from edgekit.data.dataset import Dataset, load_data
from edgekit.errors import BadInput
from edgekit.evaluation.evaluate import evaluate
from edgekit.measurement.bench import bench
from edgekit.pipeline import Compressed, compress
from edgekit.preprocess import PRESETS, preset
from edgekit.recipe import Recipe

FASTER = 1.6
LATENCY, NEAR = 0.6, 0.05
TARGETS: dict[str, dict[str, float]] = {"half of the MACs": {"macs": 0.5}, "0.6 of the latency": {"latency": LATENCY}}


def recipe(given: argparse.Namespace, target: dict[str, float] | None) -> Recipe:
    """Nothing is trained but within the step."""
    step = {"channels": {**(target or {}), "importance": "taylor", "rounds": 2, "finetune_epochs": given.epochs,
                         "distil": "teacher"}}  # fmt: skip
    augment = {"flip": "horizontal", "shift": 0.125}
    taught = {"teacher": str(given.teacher), "preprocess": given.teacher_preprocess, "answers": "once", "alpha": 0.9}
    return Recipe.model_validate({
        "model": {"name": str(given.network)},
        "data": {"source": str(given.cifar), "preprocess": given.preprocess},
        "train": {"epochs": 0, "batch_size": 64, "augment": augment, "distil": taught},
        "steps": [step] if target else [],
        "bench": {"seconds": 3.0},
    })  # fmt: skip


def compared(name: str, before: Compressed, after: Compressed, data: Dataset) -> dict[str, Any]:
    """Claims and raw values of one network and one target."""
    files = [{one.card.variant: one for one in run.artifacts if one.card}["int8"] for run in (before, after)]
    lost = against(*(evaluate(file, data.test) for file in files))
    print(line(name, lost))
    speeds = bench([file.path for file in files], processes=5, min_seconds=3.0)
    share = speeds[1].latency_ms.median / speeds[0].latency_ms.median
    first, last = after.results["ledger"][0], after.results["ledger"][-1]
    claims = [
        claim(f"{name}: points of int8 top-1 against before", lost["points"], "", least=-1),
        claim(f"{name}: int8 latency, times faster", 1 / share, "x", least=FASTER),
        claim(f"{name}: MACs left", last["macs"] / first["macs"], "x"),
        claim(f"{name}: bytes left", last["model_bytes"] / first["model_bytes"], "x"),
    ]
    figures = after.results["steps"][0]["figures"]
    if "latency_ms" in figures:
        claims.append(claim(f"{name}: latency off its target", abs(share / LATENCY - 1), "x", most=NEAR))
    told = {key: figures[key] for key in ("asked", "macs", "params", "latency_ms") if key in figures}
    timed = [speed.summary() for speed in speeds]
    return {"claims": claims, "test": lost, "latency": timed, "ledger": after.results["ledger"], "step": told}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("cifar", type=Path)
    arguments.add_argument("teacher", type=Path, help="a .keras file")
    arguments.add_argument("network", type=Path, help="a .keras file")
    arguments.add_argument("--work", type=Path, required=True, help="where runs are kept")
    arguments.add_argument("--preprocess", default="raw", choices=PRESETS)
    arguments.add_argument("--teacher-preprocess", default="tf", choices=PRESETS)
    arguments.add_argument("--epochs", type=int, default=3, help="after each of the two rounds")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under, network = conditions(), given.network.stem
    kept = RESULTS / "halved.json"
    raw = json.loads(kept.read_text("utf-8"))["raw"] if kept.exists() else {}
    data = load_data(given.cifar, preprocess=preset(given.preprocess, 32, 32))
    before = compress(recipe(given, None), out=given.work / network)
    for about, target in TARGETS.items():
        name = f"{network}, {about}"
        print(f"== {name}", flush=True)
        try:
            after = compress(recipe(given, target), out=given.work / f"{network}-{'-'.join(target)}")
        except BadInput as refused:
            found = {"claims": [claim(f"{name}: {refused.fact}", 0, "", least=1)], "refused": str(refused)}
        else:
            found = compared(name, before, after, data)
        raw[name] = {**found, "conditions": measured_under}
    save("halved", [one for name in sorted(raw) for one in raw[name]["claims"]], raw, measured_under)


if __name__ == "__main__":
    main()
