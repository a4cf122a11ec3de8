"""What a recipe's `diagnose:` asks for: which layers quantization costs most, and how much calibration images matter.

Both are of int8 by calibration, from the model behind the float steps, as the mixed variant is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit.artifact import Variant, write_text
from edgekit.data.dataset import Dataset
from edgekit.lineage import Lineage
from edgekit.run import Made


def diagnose(lineage: Lineage, exported: Mapping[Variant, Made]) -> dict[str, Made | None]:
    """`sensitivity` and `draws`, each None where it is not asked for. The mixed variant has measured the first."""
    wanted = lineage.recipe.diagnose
    measured = exported.get("mixed", {}).get("mixed", {}).get("sensitivity")
    return {
        "sensitivity": (measured or _sensitivity(lineage)) if wanted.sensitivity else None,
        "draws": _draws(lineage, wanted.draws) if wanted.draws else None,
    }


def _sensitivity(lineage: Lineage) -> Made:
    def work(state: Path) -> tuple[list[Path], Made]:
        from edgekit.compression.sensitivity import sensitivity

        exporter, io = lineage.exporter("mixed"), lineage.recipe.io
        found = sensitivity(exporter, io=io, state=state, progress=lineage.progress)
        rows = lineage.run.file("results", "sensitivity.csv")
        write_text(rows, found.to_frame().to_csv(index=False, lineterminator="\n"))
        return [rows], {**found.to_json(), "rows": rows.relative_to(lineage.run.folder).as_posix()}

    return lineage.run.stage("sensitivity", _made_from(lineage), work)


def _draws(lineage: Lineage, draws: int) -> Made:
    def work(state: Path) -> tuple[list[Path], Made]:
        from edgekit.compression.draws import spread

        assert isinstance(lineage.data, Dataset)  # arrays are not drawn from, the pipeline says so
        exporter, io = lineage.exporter("mixed"), lineage.recipe.io
        found = spread(exporter, lineage.data, draws=draws, io=io, state=state, progress=lineage.progress)
        return [], found.to_json()

    return lineage.run.stage("draws", {**_made_from(lineage), "draws": draws}, work)


def _made_from(lineage: Lineage) -> dict[str, Any]:
    return {**lineage.exported_from("mixed"), "io": lineage.recipe.io}
