"""What a recipe's `diagnose:` asks of the finished files: their answers where images are not as they should be, and
where in the network they part. Both hold a file against float32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit.artifact import Variant, load_artifact, sha256_of, write_text
from edgekit.data.dataset import Dataset
from edgekit.errors import BadInput
from edgekit.evaluation.expects import Fed
from edgekit.lineage import Lineage
from edgekit.run import Made


def trials(lineage: Lineage, files: Mapping[Variant, Path]) -> dict[str, Made | None]:
    """`robustness` and `layers` of the files, float32 first; each None where it is not asked for, or has no images with
    labels."""
    wanted, labelled = lineage.recipe.diagnose, bool(lineage.data.class_names)
    return {
        "robustness": _robustness(lineage, files) if wanted.robustness and labelled else None,
        "layers": _layers(lineage, files) if wanted.layers and labelled and len(files) > 1 else None,
    }


def _robustness(lineage: Lineage, files: Mapping[Variant, Path]) -> Made:
    """Robustness.to_json with variants for files, and `rows`, the same as results/robustness.csv."""

    def work(_: Path) -> tuple[list[Path], Made]:
        from edgekit.evaluation.robustness import robustness

        found = robustness(_fed(lineage, files), seed=lineage.recipe.seed, progress=lineage.progress)
        names = {str(path): name for name, path in files.items()}
        rows = lineage.run.file("results", "robustness.csv")
        frame = found.to_frame()
        frame["file"] = frame["file"].map(names)
        write_text(rows, frame.to_csv(index=False, lineterminator="\n"))
        told = found.to_json()
        return [rows], {
            "rows": rows.relative_to(lineage.run.folder).as_posix(),
            "mean_top1": {names[file]: value for file, value in told["mean_top1"].items()},
            "points": [{**one, "file": names[one["file"]]} for one in told["points"]],
        }

    return lineage.run.stage("robustness", {**_made_from(lineage, files), "seed": lineage.recipe.seed}, work)


def _layers(lineage: Lineage, files: Mapping[Variant, Path]) -> Made:
    """Layers.to_json with variants for files and `why` None, and results/layers.csv; or `why` alone, a sentence, where
    the files have no tensor of one name."""

    def work(_: Path) -> tuple[list[Path], Made]:
        from edgekit.evaluation.layers import layers

        (reference, other), names = _fed(lineage, files), list(files)
        try:
            found = layers(reference, other)
        except BadInput as error:
            return [], {"why": error.fact}
        rows = lineage.run.file("results", "layers.csv")
        write_text(rows, found.to_frame().to_csv(index=False, lineterminator="\n"))
        return [rows], {**found.to_json(), "reference": names[0], "other": names[1], "why": None}

    return lineage.run.stage("layers", _made_from(lineage, files), work)


def _fed(lineage: Lineage, files: Mapping[Variant, Path]) -> tuple[Fed, ...]:
    assert isinstance(lineage.data, Dataset)  # it has labels
    split = lineage.data.test
    return tuple(Fed(path, split, load_artifact(path).card.preprocessing) for path in files.values())  # type: ignore[union-attr, arg-type]


def _made_from(lineage: Lineage, files: Mapping[Variant, Path]) -> dict[str, Any]:
    return {"files": [sha256_of(path.read_bytes()) for path in files.values()], "data": lineage.data.sha256}
