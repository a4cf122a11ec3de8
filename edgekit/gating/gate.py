"""Results against limits, and against an earlier run's results: what passes, what does not, by which rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import BadInput, CheckFailed, UsageError, unknown
from edgekit.evaluation.compare import paired_ci95
from edgekit.evaluation.keep import read_rows
from edgekit.evaluation.metrics import agreement
from edgekit.gating.limits import read_limits
from edgekit.gating.results import Answers, Found, read_results
from edgekit.measurement.gate import gate as measured_gate
from edgekit.rules import Checked, Figure, check, defaults, failure

if TYPE_CHECKING:
    import pandas as pd

REMEDY = "Mend it, or change the limit or the baseline on purpose."


@dataclass(frozen=True)
class Gate:
    """`checked`: every rule on every file. `baseline`: where it came from, "" without one."""

    checked: tuple[Checked, ...]
    baseline: str

    @property
    def failed(self) -> CheckFailed | None:
        return failure(self.checked, REMEDY)

    def to_frame(self) -> pd.DataFrame:
        """One row a file and rule: file, rule, measured (NaN: nothing), limit, state."""
        import pandas as pd

        rows = [(one.file, one.rule.name, one.figure and one.figure.value, one.limit, one.state)
                for one in self.checked]  # fmt: skip
        return pd.DataFrame(rows, columns=["file", "rule", "measured", "limit", "state"])

    def to_json(self) -> dict[str, Any]:
        return {"passed": self.failed is None, "baseline": self.baseline or None,
                "checked": [one.to_json() for one in self.checked]}  # fmt: skip


def gate(
    results: Sequence[str | Path], *, rules: str | Path | Mapping[str, float] | None = None,
    baseline: Sequence[str | Path] = (), files: Sequence[str] = (),
) -> Gate:  # fmt: skip
    """Checks the files of these names, or every file that `results` tell of but those that others were held against.

    `rules` are limits by the names of the rule table, or a YAML file of them; without them the defaults of the table
    count, for what was measured. `baseline`: earlier results of the same kind; files are matched by name. Accuracy is
    judged as counted, latency only where it is proven. Without a baseline `drop_points`, `class_drop_points` and
    `agreement` are with the first file of the same evaluation, or a run's float32.

    Raises BadInput for what is no result, for a file that the baseline has not, and, with both hashes, for results of
    other data; UsageError where no rule applies.
    """
    given = read_limits(Path(rules)) if isinstance(rules, (str, Path)) else rules
    before = {one.name: one for one in read_results([Path(one) for one in baseline])}
    checked: list[Checked] = []
    for now in _judged(read_results([Path(one) for one in results]), files):
        figures = dict(now.figures)
        if baseline:
            figures |= against(now, _counterpart(now, before))
        checked += check(now.file, figures, defaults(figures) if given is None else given)
    if not checked:
        raise UsageError("No rule applies to these results.", "Give --rules FILE.yaml, or a --baseline.")
    return Gate(tuple(checked), ", ".join(map(str, baseline)))


def _judged(found: Sequence[Found], files: Sequence[str]) -> list[Found]:
    known = {one.name: one for one in found}
    for name in files:
        if Path(name).name not in known:
            raise unknown("file", name, known)
    return [known[Path(name).name] for name in files] or [one for one in found if not one.reference]


def against(now: Found, before: Found) -> dict[str, Figure]:
    """What a file lost and gained since: the figures that compare, of what both were measured for."""
    found: dict[str, Figure] = {}
    for name in ("size_mb", "heap_kb"):
        if name in now.figures and name in before.figures and before.figures[name].value > 0:
            ratio = now.figures[name].value / before.figures[name].value
            found[f"{name.split('_')[0]}_growth_percent"] = Figure(round(100 * (ratio - 1), 9))
    if now.measurements and before.measurements:
        found["regression_percent"] = _slower(now, before)
    if now.answers and before.answers:
        found |= _worse(now, now.answers, before, before.answers)
    return found


def _counterpart(now: Found, before: Mapping[str, Found]) -> Found:
    if now.name not in before:
        raise BadInput(
            f"The baseline has no {now.name}; it has {', '.join(before)}.",
            "Give results of files of the same names.",
        )
    return before[now.name]


def _slower(now: Found, before: Found) -> Figure:
    """Of the setting that lost most."""
    gated = measured_gate(now.measurements, before.measurements, new_version=True)
    worst = max(gated, key=lambda one: (one.checked.state == "broken", one.figure.value))
    if len(gated) == 1:
        return worst.figure
    setting = f"threads {worst.threads}, batch {worst.batch}, XNNPACK {worst.xnnpack}"
    return Figure(worst.figure.value, worst.figure.interval, setting)


def _worse(now: Found, ours: Answers, before: Found, theirs: Answers) -> dict[str, Figure]:
    if ours.data_sha256 != theirs.data_sha256:
        raise BadInput(
            f"The results of {now.file} and of the baseline are of different images: their SHA-256 are "
            f"{ours.data_sha256} and {theirs.data_sha256}.",
            "Evaluate both on the same --data.",
        )
    drop = round(100 * (theirs.top1 - ours.top1), 9)
    if ours.rows is None or theirs.rows is None:
        return {"drop_points": Figure(drop), **_class_drop(ours.classes, theirs.classes)}
    rows, earlier = read_rows(ours.rows), read_rows(theirs.rows)
    if not rows[["name", "label"]].equals(earlier[["name", "label"]]):
        raise BadInput(f"{ours.rows} and {theirs.rows} are not of the same images.", "Evaluate both again.")
    right, was = (one["label"].to_numpy() == one["prediction"].to_numpy() for one in (rows, earlier))
    low, high = paired_ci95(int(np.sum(right & ~was)), int(np.sum(was & ~right)), len(rows))
    same = agreement(rows["prediction"].to_numpy(), earlier["prediction"].to_numpy())
    labels = rows["label"].to_numpy()
    return {
        "drop_points": Figure(drop, (-100 * high, -100 * low)),
        "agreement": Figure(same.value, same.ci95),
        **_class_drop(*(_classes(labels, hits) for hits in (right, was))),
    }


def _classes(labels: np.ndarray, hits: np.ndarray) -> dict[str, tuple[int, int]]:
    """Support and hits of each class."""
    names, group = np.unique(labels, return_inverse=True)
    counts = zip(np.bincount(group).tolist(), np.bincount(group[hits], minlength=len(names)).tolist(), strict=True)
    return dict(zip(names.tolist(), counts, strict=True))


def _class_drop(ours: Mapping[str, tuple[int, int]], theirs: Mapping[str, tuple[int, int]]) -> dict[str, Figure]:
    both = [name for name in ours if ours[name][0] and theirs.get(name, (0, 0))[0]]
    if not both:
        return {}
    recalls = {name: (theirs[name][1] / theirs[name][0], ours[name][1] / ours[name][0]) for name in both}
    worst = max(both, key=lambda name: recalls[name][0] - recalls[name][1])
    before, now = recalls[worst]
    detail = f"{worst!r} from {before:.1%} to {now:.1%} of {ours[worst][0]}"
    return {"class_drop_points": Figure(round(100 * (before - now), 9), detail=detail)}
