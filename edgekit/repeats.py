"""The same recipe over several seeds: how much of an accuracy is chance of the training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.artifact import write_json, write_text
from edgekit.errors import UsageError
from edgekit.measurement.spread import spread
from edgekit.pipeline import Compressed, compress
from edgekit.progress import Progress, Reporter, silent
from edgekit.recipe import Recipe
from edgekit.reports import make_report

if TYPE_CHECKING:
    import pandas as pd

FIGURES = ("top1", "drop_points", "agreement")


@dataclass(frozen=True)
class Repeated:
    """Finished runs of one recipe, a seed each; the first is the one that was asked for and has the others inside."""

    runs: tuple[Compressed, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row a seed and variant: seed, variant, n (test images), top1, drop_points, agreement."""
        import pandas as pd

        rows = [
            {"seed": run.recipe.seed, "variant": row["variant"], "n": row["top1"]["n"], "top1": row["top1"]["value"],
             "drop_points": row["drop_points"], "agreement": row["agreement"]["value"]}
            for run in self.runs for row in run.results["variants"]
        ]  # fmt: skip
        return pd.DataFrame(rows)

    def to_json(self) -> dict[str, Any]:
        """`seeds`, `folders`, the first run's `recipe_sha256`, and of each variant the spread of each figure: values,
        mean, sd, min, max, ci95."""
        frame = self.to_frame()
        spreads = {
            str(variant): {name: spread(rows[name].tolist()) for name in FIGURES}
            for variant, rows in frame.groupby("variant", sort=False)
        }
        seeds = [run.recipe.seed for run in self.runs]
        folders, recipe = [str(run.folder) for run in self.runs], self.runs[0].results["recipe_sha256"]
        return {"seeds": seeds, "folders": folders, "recipe_sha256": recipe, "variants": spreads}

    def text(self) -> str:
        """A line a variant."""
        found = self.to_json()
        lines = [f"Over {len(self.runs)} seeds, mean (least to most), standard deviation:"]
        for variant, figures in found["variants"].items():
            top1, drop = figures["top1"], figures["drop_points"]
            lines.append(
                f"  {variant}: top-1 {top1['mean']:.2%} ({top1['min']:.2%} to {top1['max']:.2%}), {top1['sd']:.2%}; "
                f"{drop['mean']:+.2f} points below float32 ({drop['min']:+.2f} to {drop['max']:+.2f}), {drop['sd']:.2f}"
            )
        return "\n".join(lines)


def repeat(recipe: Recipe, repeats: int, *, out: str | Path | None = None, progress: Reporter = silent) -> Repeated:
    """Runs a recipe with its seed, and with the `repeats` - 1 seeds behind it, each in a folder of its own inside of
    the first run's: repeats/seed-N. The same call continues what was interrupted.

    The splits are the same for every seed, so that figures differ by training and calibration alone. Writes
    results/repeats.json and .csv, and the first run's report again, with the spread on it. Raises UsageError for fewer
    than two repeats, for a recipe that trains nothing, and without labels.
    """
    if repeats < 2:
        raise UsageError(f"repeats is {repeats}.", "Give two or more.")
    if not recipe.train.epochs and not any(step.needs_labels for step in recipe.steps):
        raise UsageError("Nothing is trained: every seed gives the same.", "Leave --repeats out, or give --epochs.")
    runs = [compress(recipe, out=out, progress=progress)]
    inside = runs[0].folder / "repeats"
    for number in range(1, repeats):
        other = recipe.model_copy(update={"seed": recipe.seed + number})
        runs.append(compress(other, out=inside / f"seed-{other.seed}", progress=_numbered(progress, number, repeats)))
    found = Repeated(tuple(runs))
    write_json(runs[0].folder / "results" / "repeats.json", found.to_json())
    write_text(runs[0].folder / "results" / "repeats.csv", found.to_frame().to_csv(index=False, lineterminator="\n"))
    make_report([runs[0].folder])
    return found


def _numbered(progress: Reporter, number: int, of: int) -> Reporter:
    def tell(at: Progress) -> None:
        progress(replace(at, note=" ".join(part for part in (f"seed {number + 1} of {of}", at.note) if part)))

    return tell
