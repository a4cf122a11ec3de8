"""Half of a trained network's work removed with its channels, learned back from a teacher, int8: what is lost and won.

python benchmarks/halved.py CIFAR_FOLDER TEACHER.keras NETWORK.keras --work FOLDER [--preprocess raw]

CIFAR_FOLDER holds train/CLASS/*.jpg and test/CLASS/*.jpg. NETWORK is a classifier trained on it, that takes images
prepared as --preprocess says. It goes through `edgekit compress` as it is, then to half of its MACs; the int8 files are
timed side by side, and their instructions are counted on an emulated Raspberry Pi 4 (`edgekit device setup emulated`).
Then it goes to 0.6 of its measured latency and of its instructions there, with an epoch of training each: how near is
the target met? Runs are kept under --work: an interrupted benchmark goes on. The figures of other networks, and of
other layers whose channels all stay (--exclude, for the half alone), are kept. Where the processor has matrix units,
without_amx.py before it measures what a phone would.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paired import against, int8_of, line
from record import claim, conditions, earlier, save, units

from edgekit.data.dataset import Dataset, load_data
from edgekit.errors import BadInput
from edgekit.evaluation.evaluate import evaluate
from edgekit.measurement.bench import bench
from edgekit.measurement.emulated.count import count_instructions
from edgekit.pipeline import Compressed, compress
from edgekit.preprocess import PRESETS, preset
from edgekit.recipe import Recipe

PI = "rpi4:emulated"
FASTER, SHARE, NEAR = 1.6, 0.6, 0.05


def recipe(
    given: argparse.Namespace, target: dict[str, float] | None, epochs: int = 1, exclude: Sequence[str] = ()
) -> Recipe:
    """Nothing is trained but within the step."""
    rounds, whom = (given.rounds, "teacher") if epochs > 1 else (1, True)  # an epoch alone learns its own answers
    learned = {"finetune": "as_trained", "finetune_epochs": epochs, "learning_rate": given.learning_rate}
    chosen = {**(target or {}), "importance": given.importance, "exclude": exclude, "rounds": rounds}
    step = {"channels": {**chosen, **learned, "distil": whom}}
    augment = {"flip": "horizontal", "shift": 0.125}
    taught = {"teacher": str(given.teacher), "preprocess": given.teacher_preprocess, "answers": "once"}
    return Recipe.model_validate({
        "model": {"name": str(given.network)},
        "data": {"source": str(given.cifar), "preprocess": given.preprocess},
        "train": {"epochs": 0, "batch_size": 64, "optimizer": "sgd", "weight_decay": 3e-4, "augment": augment,
                  "distil": taught},
        "steps": [step] if target else [],
        "bench": {"seconds": 3.0},
    })  # fmt: skip


def halved(name: str, before: Compressed, after: Compressed, data: Dataset, under: dict[str, Any]) -> dict[str, Any]:
    """Claims and raw values of half of the MACs, measured `under` these conditions."""
    files = int8_of(before.folder), int8_of(after.folder)
    lost = against(*(evaluate(file, data.test) for file in files))
    print(line(name, lost), flush=True)
    speeds = bench([file.path for file in files], processes=5, min_seconds=3.0)
    counts = count_instructions([file.path for file in files], device=PI, processes=1, operators=False)
    first, last = after.results["ledger"][0], after.results["ledger"][-1]
    faster = speeds[0].latency_ms.median / speeds[1].latency_ms.median
    claims = [
        claim(f"{name}: points of int8 top-1 against before", lost["points"], "", least=-1),
        claim(f"{name}: int8 latency{units(under)}, times faster", faster, "x", least=FASTER),
        claim(f"{name}: instructions of int8 on a Raspberry Pi 4 (emulated), times fewer",
              counts[0].instructions / counts[1].instructions, "x", least=FASTER),
        claim(f"{name}: MACs left", last["macs"] / first["macs"], "x"),
        claim(f"{name}: bytes left", last["model_bytes"] / first["model_bytes"], "x"),
    ]  # fmt: skip
    return {"claims": claims, "test": lost, "latency": [speed.summary() for speed in speeds],
            "instructions": [one.summary() for one in counts], **told(after)}  # fmt: skip


def aimed(name: str, before: Compressed, after: Compressed, what: str) -> dict[str, Any]:
    """Claims and raw values of a target that is measured: how near it is met, by the files that the runs wrote."""
    paths = [int8_of(run.folder).path for run in (before, after)]
    if what == "latency":
        speeds = bench(paths, processes=5, min_seconds=3.0)
        share = speeds[1].latency_ms.median / speeds[0].latency_ms.median
        measured = [speed.summary() for speed in speeds]
    else:
        counts = count_instructions(paths, device=PI, processes=1, operators=False)
        share, measured = counts[1].instructions / counts[0].instructions, [one.summary() for one in counts]
    print(f"{name}: {share:.3f} are left", flush=True)
    return {"claims": [claim(f"{name}: off the target", abs(share / SHARE - 1), "x", most=NEAR)],
            "share": share, what: measured, **told(after)}  # fmt: skip


def told(run: Compressed) -> dict[str, Any]:
    """By the run itself: its ledger, its recipe, and what the step reached."""
    figures = run.results["steps"][0]["figures"]
    shown = ("asked", "macs", "params", "latency_ms", "instructions_millions", "device", "groups", "rounds")
    return {"ledger": run.results["ledger"], "recipe": run.recipe.model_dump(mode="json"),
            "step": {key: figures[key] for key in shown if key in figures}}  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("cifar", type=Path)
    arguments.add_argument("teacher", type=Path, help="a .keras file")
    arguments.add_argument("network", type=Path, help="a .keras file")
    arguments.add_argument("--work", type=Path, required=True, help="where runs are kept")
    arguments.add_argument("--preprocess", default="raw", choices=PRESETS)
    arguments.add_argument("--teacher-preprocess", default="tf", choices=PRESETS)
    arguments.add_argument("--importance", default="taylor", choices=["l1", "bn", "taylor"])
    arguments.add_argument("--exclude", nargs="*", default=[], help="layers that keep their channels")
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--epochs", type=int, default=60, help="of fine-tuning after each round")
    arguments.add_argument("--learning-rate", type=float, default=0.1, help="of the fine-tuning, its peak")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under, network = conditions(), given.network.stem
    raw = earlier("halved", {})
    data = load_data(given.cifar, preprocess=preset(given.preprocess, *size_of(given.network)))
    before = compress(recipe(given, None), out=given.work / network)

    def keep(name: str, found: dict[str, Any]) -> None:
        raw[name] = {**found, "conditions": measured_under}
        save("halved", [one for key in sorted(raw) for one in raw[key]["claims"]], raw, measured_under)

    whole = " and ".join(given.exclude)
    name = f"{network}, half of the MACs" + (f", all channels of {whole} kept" if whole else "")
    half = recipe(given, {"macs": 0.5}, given.epochs, given.exclude)
    after = compress(half, out=given.work / f"{network}-macs{'-'.join(['', *given.exclude])}")
    keep(name, halved(name, before, after, data, measured_under))
    for what, about in {"latency": "latency", "instructions": "Raspberry Pi 4's instructions"}.items():
        name = f"{network}, {SHARE} of the {about}"
        try:
            after = compress(recipe(given, {what: SHARE}), out=given.work / f"{network}-{what}")
        except BadInput as refused:
            print(f"{name}: {refused}", flush=True)
            keep(name, {"claims": [claim(f"{name}: {refused.fact}", 0, "", least=1)], "refused": str(refused)})
        else:
            keep(name, aimed(name, before, after, what))


def size_of(network: Path) -> tuple[int, int]:
    """Height and width of the images that it takes."""
    from edgekit.models.backend import import_keras

    _, height, width, _ = import_keras("This benchmark").saving.load_model(network, compile=False).input_shape
    return height, width


if __name__ == "__main__":
    main()
