"""Builds a file again from the recipe that it carries, or that its card has, and says what became different."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.artifact import write_json
from edgekit.data.sources import BUILT_IN
from edgekit.difference import Side, changed, side_of
from edgekit.errors import BadInput, CheckFailed, UsageError
from edgekit.evaluation.answers_apart import Apart, answers_apart
from edgekit.models.backend import require_exporting
from edgekit.models.weights import IMAGENET
from edgekit.pipeline import compress
from edgekit.progress import Reporter, silent
from edgekit.recipe import Recipe, load_recipe
from edgekit.recipe_names import is_path
from edgekit.runtime.model_difference import ModelDifference, model_difference

METRICS = ("top1", "top5", "agreement")  # of a card; latency is another machine's
# What is measured decides nothing of the file, and no budget is to fail.
QUICK = {"bench": {"processes": 1, "runs": 1, "seconds": 0.0}}
NO_LIMITS = {"max_drop_points": 100.0, "max_size_mb": 1e6, "max_latency_ms": 1e9}


@dataclass(frozen=True)
class Reproduction:
    """`contract`: dotted field -> (of the file, of the one that was built now), versions and data among them;
    `metrics`: name -> the values, where the file has a card. `model` and `answers` are None where the models are the
    same."""

    file: Path
    rebuilt_sha256: str
    same_file: bool
    same_model: bool
    contract: dict[str, tuple[Any, Any]]
    metrics: dict[str, tuple[float | None, float | None]]
    model: ModelDifference | None
    answers: Apart | None

    @property
    def failed(self) -> CheckFailed | None:
        if self.same_model:
            return None
        assert self.model is not None
        differ = sum(not one.same for one in self.model.layers)
        why = [name for name in self.contract if name.startswith(("versions.", "data.sha256"))]
        because = f" with other {', '.join(why)}" if why else " with the same versions and data"
        return CheckFailed(
            f"{self.file} was not reproduced: {differ} of {len(self.model.layers)} layers differ{because}.",
            "Install the versions that it names, and give the data it was made of; another processor may differ too.",
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "file": str(self.file),
            "rebuilt_sha256": self.rebuilt_sha256,
            "same_file": self.same_file,
            "same_model": self.same_model,
            "contract": {name: list(values) for name, values in self.contract.items()},
            "metrics": {name: list(values) for name, values in self.metrics.items()},
            "model": self.model and self.model.to_json(),
            "answers": self.answers and self.answers.to_json(),
        }


def reproduce(
    path: str | Path,
    given: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    progress: Reporter = silent,
) -> Reproduction:
    """Builds the file again, in the run directory `out` or one that is removed again.

    `given`: recipe fields for what is the user's own: the data, a model, weights. A recipe that travels in a file may
    be a stranger's: none of the paths that it names is opened, and no Python file that it or its card names. Raises
    BadInput for a file without a recipe, UsageError where something of the user's own has to be given.
    """
    require_exporting("Reproducing")
    side = side_of(Path(path))
    recipe = _recipe(side, dict(given or {}))
    with ExitStack() as kept:
        folder = Path(kept.enter_context(tempfile.TemporaryDirectory()) if out is None else out)
        built = compress(recipe, out=folder, progress=progress)
        made = next(one for one in built.artifacts if one.card and one.card.variant == recipe.variants[0])
        return _compared(side, side_of(made.path))


def _recipe(side: Side, given: dict[str, Any]) -> Recipe:
    path, contract = side.probed.path, side.embedded.contract
    values = side.card.recipe if side.card else contract.recipe if contract else None
    said = side.card or contract
    if not values or said is None or said.variant is None:
        raise BadInput(
            f"{path} carries no recipe, and has no card.", "Only files that `edgekit compress` made have one."
        )
    missing = [field for field in _own(values, bool(side.card)) if field not in given]
    if missing:
        raise UsageError(
            f"{path} was made with something of your own, {missing[0]}, that no file carries.",
            f"Give it: {' '.join(OPTIONS[field] for field in missing)}",
        )
    budget = {**NO_LIMITS, **(values.get("budget", {}) if said.variant == "mixed" else {})}
    whole = {**values, **QUICK, "budget": budget, "variants": [said.variant], "io": said.io or "float32"}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        write_json(file, whole)  # which is YAML too
        return load_recipe(file, given)


# Recipe field -> the option that gives it.
OPTIONS = {
    "model.name": "--model", "model.weights": "--weights", "model.custom": "--custom", "data.source": "--data",
    "data.calibration": "--calibration", "data.labels": "--labels", "train.distil.teacher": "--teacher",
    "train.distil.preprocess": "--set train.distil.preprocess=...",
}  # fmt: skip


def _own(values: Mapping[str, Any], trusted: bool) -> list[str]:
    """The fields that name files of the user's own; of a card, which lies beside the file, only what would be run."""
    model, data, train = (values.get(name) or {} for name in ("model", "data", "train"))
    taught = train.get("distil") or {}
    paths = {
        "model.custom": model.get("custom"),
        "model.name": is_path(str(model.get("name"))),
        "model.weights": model.get("weights") not in (None, IMAGENET),
        "data.source": data.get("source") not in (None, *BUILT_IN),
        "data.calibration": data.get("calibration"),
        "data.labels": data.get("labels"),
        "train.distil.teacher": any(is_path(str(one)) for one in taught.get("teacher") or ()),
        "train.distil.preprocess": str(taught.get("preprocess")).endswith(".json"),
    }
    return [field for field, named in paths.items() if named and (field == "model.custom" or not trusted)]


def _compared(side: Side, now: Side) -> Reproduction:
    same = side.model_sha256 == now.model_sha256
    return Reproduction(
        file=side.probed.path,
        rebuilt_sha256=now.probed.sha256,
        same_file=side.probed.sha256 == now.probed.sha256,
        same_model=same,
        contract={name: values for name, values in changed(side.says, now.says).items() if _told(name)},
        metrics=_metrics(side, now),
        model=None if same else model_difference(side.probed, now.probed),
        answers=None if same else answers_apart(side.probed, now.probed, (side.look, now.look)),
    )


def _told(name: str) -> bool:
    """What was changed here on purpose is no difference."""
    return not name.startswith(("recipe.bench", "recipe.budget", "recipe.variants"))


def _metrics(side: Side, now: Side) -> dict[str, tuple[float | None, float | None]]:
    if side.card is None or now.card is None:
        return {}
    before, after = side.card.metrics, now.card.metrics
    found = {name: (before.get(name), after.get(name)) for name in METRICS if before.get(name) or after.get(name)}
    return {name: (a and a["value"], b and b["value"]) for name, (a, b) in found.items()}
