"""Single fields of a recipe, set on the command line: by an option of their own, or `--set FIELD=VALUE`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from edgekit.errors import UsageError
from edgekit.step_config import STEPS
from edgekit.yaml_lines import Lines, value_of

# Command-line flag -> recipe field: the written-out table of docs/contracts.md.
FLAGS = {
    "model": "model.name",
    "alpha": "model.alpha",
    "weights": "model.weights",
    "custom": "model.custom",
    "data": "data.source",
    "labels": "data.labels",
    "image_size": "data.image_size",
    "preprocess": "data.preprocess",
    "mean": "data.preprocess.mean",
    "std": "data.preprocess.std",
    "channels": "data.preprocess.channels",
    "resize": "data.preprocess.resize",
    "antialias": "data.preprocess.antialias",
    "crop": "data.preprocess.crop",
    "calibration": "data.calibration",
    "calibration_images": "data.calibration_images",
    "calibration_method": "quantize.calibration",
    "teacher": "train.distil.teacher",
    "qat_epochs": "steps.quantize_aware.epochs",
    "epochs": "train.epochs",
    "batch_size": "train.batch_size",
    "learning_rate": "train.learning_rate",
    "optimizer": "train.optimizer",
    "schedule": "train.schedule",
    "variants": "variants",
    "io": "io",
    "max_drop_points": "budget.max_drop_points",
    "max_size_mb": "budget.max_size_mb",
    "max_latency_ms": "budget.max_latency_ms",
    "threads": "bench.threads",
    "golden": "metadata.golden",
    "seed": "seed",
}


def parse_set(assignments: Iterable[str]) -> dict[str, Any]:
    """`--set train.epochs=3`: field -> value, the value read as YAML. Raises UsageError."""
    parsed = {}
    for assignment in assignments:
        field, equals, value = assignment.partition("=")
        if not equals or not field:
            raise UsageError(f"--set {assignment!r} is not FIELD=VALUE.", "For example: --set train.epochs=3")
        try:
            parsed[field.strip()] = value_of(value)
        except yaml.YAMLError:
            raise UsageError(
                f"--set {field}: {value!r} is not a YAML value.", "Quote it: --set 'field=value'"
            ) from None
    return parsed


def put(values: dict[str, Any], lines: Lines, field: str, value: Any) -> Lines:
    """Sets a dotted field in the mapping of a recipe -> the lines of what is in its file still.

    A step is named by its position or by what it is called: steps.0.rewrite.swish, or steps.rewrite.swish, which is
    added in the usual order where there is none. Raises UsageError for a position that is not there.
    """
    place, added = _put(values, field, value)
    if added is not None:
        lines = {_moved(at, added): line for at, line in lines.items()}
    lines = {at: line for at, line in lines.items() if at[: len(place)] != place}
    for depth in range(1, len(place) + 1):
        lines.setdefault(place[:depth], None)
    return lines


def _moved(at: tuple[str, ...], added: int) -> tuple[str, ...]:
    """Where what was at `at` is since a step was added at that position."""
    if at[0] != "steps" or len(at) < 2 or not at[1].isdigit() or int(at[1]) < added:
        return at
    return ("steps", str(int(at[1]) + 1), *at[2:])


def _put(values: dict[str, Any], field: str, value: Any) -> tuple[tuple[str, ...], int | None]:
    """The field's place, and the position of the step that was added for it."""
    parts = field.split(".")
    if parts[0] == "steps" and len(parts) > 1:
        values["steps"], number, added = _with_step(values.get("steps"), parts[1])
        rest = parts[2:] if parts[1].isdigit() else parts[1:]
        if rest:
            place, _ = _put(values["steps"][number], ".".join(rest), value)
        else:
            values["steps"][number], place = value, ()
        return ("steps", str(number), *place), number if added else None
    inside = values
    for name in parts[:-1]:
        inner = inside.get(name)
        inside[name] = dict(inner) if isinstance(inner, dict) else {}
        inside = inside[name]
    inside[parts[-1]] = value
    return tuple(parts), None


def _with_step(given: Any, wanted: str) -> tuple[list[Any], int, bool]:
    """The list, each step of it a mapping of its own, where the wanted one is, and whether it was added."""
    listed = given if isinstance(given, list) else []
    steps = [{one: {}} if isinstance(one, str) else dict(one) if isinstance(one, dict) else {} for one in listed]
    if wanted.isdigit():
        if int(wanted) >= len(steps):
            raise UsageError(
                f"There is no step {wanted}; the recipe has {len(steps)}, counted from 0.", "Name the step."
            )
        return steps, int(wanted), False
    there = next((number for number, step in enumerate(steps) if wanted in step), None)
    if there is not None:
        return steps, there, False
    order = list(STEPS)
    behind = order[order.index(wanted) :] if wanted in order else []
    number = next((number for number, step in enumerate(steps) if any(name in behind for name in step)), len(steps))
    return [*steps[:number], {wanted: {}}, *steps[number:]], number, True
