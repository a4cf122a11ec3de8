"""Is it the same network everywhere? One file, the same inputs, every runtime at hand, and what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.artifact import Artifact
from edgekit.errors import BadInput, CheckFailed, UsageError, unknown
from edgekit.evaluation.expects import expected
from edgekit.measurement.answers import Answers
from edgekit.measurement.emulated.boards import board_of, is_emulated
from edgekit.measurement.gpu import computes_in
from edgekit.measurement.place import require_device
from edgekit.progress import Progress, Reporter, silent
from edgekit.runtime.escape import escaped
from edgekit.runtime.probe import Probed, probe
from edgekit.verification.child import Failed
from edgekit.verification.difference import LIMITS, Arrays, Difference, Limit, difference, real_of
from edgekit.verification.ends import Ends, ends_of
from edgekit.verification.inputs import inputs_for
from edgekit.verification.rows import FIRST, ROWS, Job, Outcome, Row, Skipped, job, on_device, values
from edgekit.verification.trace import Tapped, Trace, Untraced


@dataclass(frozen=True)
class Result:
    """Of one runtime. `status`: `first` (the one that the others are held against), `equal`, `within` or `beyond` the
    limit, `failed` (it gave no answer) or `skipped` (it was not asked); `reason` and `remedy` say why. Runtimes of one
    `group` gave the same bits. `trace`: the first operator whose results differ."""

    name: str
    title: str
    status: str
    runtime: str = ""
    group: str = ""
    difference: Difference | None = None
    limit: Limit | None = None
    trace: Trace | Untraced | None = None
    notes: Mapping[str, Any] | None = None
    reason: str = ""
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        limit = None if self.limit is None else {"relative": self.limit.relative, "steps": self.limit.steps}
        trace = self.trace.to_json() if isinstance(self.trace, Trace) else None
        return {
            "name": self.name, "title": self.title, "status": self.status, "runtime": self.runtime, "group": self.group,
            "difference": self.difference.to_json() if self.difference else None, "limit": limit,
            "why": self.limit.why if self.limit and self.status in ("within", "beyond") else "",
            "first_difference": trace, "untraced": self.trace.reason if isinstance(self.trace, Untraced) else "",
            "notes": dict(self.notes or {}), "reason": self.reason, "remedy": self.remedy,
        }  # fmt: skip


@dataclass(frozen=True)
class Verification:
    """`inputs`: how many samples of each origin; `required` are names of rows that had to agree."""

    file: str
    sha256: str
    computes_in: str
    inputs: Mapping[str, int]
    results: tuple[Result, ...]
    required: tuple[str, ...]

    @property
    def failed(self) -> CheckFailed | None:
        """The error for runtimes that are beyond their limit, and for required ones that gave no answer."""
        bad = [f"{one.title}: {one.reason}" for one in self.results if one.status == "beyond"]
        bad += [
            f"{one.title} was required: {one.reason}" for one in self.results
            if one.name in self.required and one.status in ("failed", "skipped")
        ]  # fmt: skip
        if not bad:
            return None
        remedy = next((one.remedy for one in self.results if one.name in self.required and one.remedy), "")
        return CheckFailed(
            f"{escaped(self.file)} is not the same everywhere: {'; '.join(bad)}.",
            f"Try: {remedy}" if remedy else "Look at the first operator that differs, and export another variant.",
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file, "sha256": self.sha256, "computes_in": self.computes_in, "inputs": dict(self.inputs),
            "required": list(self.required), "runtimes": [one.to_json() for one in self.results],
        }  # fmt: skip


def verify(
    file: str | Path | Artifact, *, data: str | None = None, preprocess: str | Mapping[str, Any] | None = None,
    devices: Sequence[str] = (), require: Sequence[str] = (), progress: Reporter = silent,
) -> Verification:  # fmt: skip
    """The same inputs through every runtime of ROWS, and through each of `devices`, held against LiteRT's default.

    Inputs are seeded, and images of `data`; `preprocess` says how images are prepared for a file without a card.
    Raises UsageError for what no row is called, BadInput for a file that does not run here at all.
    """
    path = file.path if isinstance(file, Artifact) else Path(file)
    for name in devices:
        _check_device(name)
    rows = [*ROWS.values(), *(on_device(name) for name in devices)]
    _check_names(require, rows)
    look = expected(path, preprocess).preprocess if data is not None or preprocess is not None else None
    found = probe(path)
    inputs, ends = inputs_for(found, look, data), ends_of(found.content)
    kind = computes_in(found.content)
    with job(found.content, inputs, ends, found.seconds) as given:
        outcomes = {}
        for number, row in enumerate(rows):
            progress(Progress("verify", number, len(rows), row.title))
            outcomes[row.name] = row.run(given)
        results = _Compared(found, ends, kind, rows, outcomes, given).results()
    progress(Progress("verify", len(rows), len(rows)))
    return Verification(str(path), found.sha256, kind, inputs.to_json(), results, tuple(require))


def _check_device(name: str) -> None:
    """Raises UsageError for what is neither emulated nor of devices.toml."""
    if is_emulated(name):
        board_of(name)
    else:
        require_device(name)


def _check_names(require: Sequence[str], rows: Sequence[Row]) -> None:
    names = [row.name for row in rows]
    for name in require:
        if name not in names:
            raise unknown("runtime", name, names, UsageError)


class _Compared:
    """What each runtime gave, next to what the first one gave."""

    def __init__(
        self, found: Probed, ends: Ends, kind: str, rows: Sequence[Row], outcomes: Mapping[str, Outcome], given: Job
    ) -> None:
        self._found, self._ends, self._kind, self._rows, self._outcomes = found, ends, kind, rows, outcomes
        first = outcomes[FIRST]
        if not isinstance(first, Answers):
            why = first.reason if isinstance(first, (Failed, Skipped)) else ""
            raise BadInput(f"{found.path} gives no answer in {ROWS[FIRST].title}: {why}.", "Check the file.")
        self._held: dict[str, Arrays] = {}  # as they were given
        self._real: dict[str, Arrays] = {}
        self._problems: dict[str, Failed | Skipped] = {}
        self._taken(ROWS[FIRST], first, first.arrays())
        for row in rows:
            self._take(row)
        self._given = given
        self._tapped: dict[int, Tapped] = {}

    def _take(self, row: Row) -> None:
        outcome = self._outcomes[row.name]
        if not isinstance(outcome, Answers):
            self._problems[row.name] = outcome
            return
        arrays = values(row, outcome, self._held[FIRST])
        if isinstance(arrays, Failed):
            self._problems[row.name] = arrays
        else:
            self._taken(row, outcome, arrays)

    def _taken(self, row: Row, answer: Answers, arrays: Arrays) -> None:
        self._held[row.name] = arrays
        self._real[row.name] = real_of(arrays, self._found.outputs)

    def results(self) -> tuple[Result, ...]:
        groups = self._groups()
        return tuple(self._result(row, groups) for row in self._rows)

    def _result(self, row: Row, groups: Mapping[str, str]) -> Result:
        if row.name in self._problems:
            problem = self._problems[row.name]
            skipped = isinstance(problem, Skipped)
            remedy = problem.remedy if isinstance(problem, Skipped) else ""
            return Result(row.name, row.title, "skipped" if skipped else "failed", reason=problem.reason, remedy=remedy)
        answer = self._outcomes[row.name]
        assert isinstance(answer, Answers)
        about: dict[str, Any] = {"runtime": answer.runtime, "group": groups[row.name], "notes": answer.notes}
        if row.name == FIRST:
            return Result(row.name, row.title, "first", **about)
        apart, limit = self._apart(row.name), LIMITS[self._kind, row.numeric]
        trace = None if apart.bit_equal else self._trace(row)
        scores = trace.score_steps if isinstance(trace, Trace) else None
        broken = limit.broken(apart, scores)
        status = "beyond" if broken else "equal" if apart.bit_equal else "within"
        return Result(row.name, row.title, status, difference=apart, limit=limit, trace=trace, reason=broken, **about)

    def _apart(self, name: str) -> Difference:
        a, b = self._real[FIRST], self._real[name]
        if a[0].shape != b[0].shape:  # pictures' rows give the scores of the first output, flat
            a, b = ((one[0].reshape(len(one[0]), -1),) for one in (a, b))
        return difference(a, b, self._ends.steps[: len(a)])

    def _groups(self) -> dict[str, str]:
        """A letter for each set of equal answers, in the order of the rows; 0 and -0 are equal."""
        letters: dict[bytes, str] = {}
        found = {}
        for row in self._rows:
            if row.name in self._real:
                bits = b"".join((one.astype(np.float32) + np.float32(0)).tobytes() for one in self._real[row.name])
                found[row.name] = letters.setdefault(bits, _letter(len(letters)))
        return found

    def _trace(self, row: Row) -> Trace | Untraced:
        if not row.traced:
            return Untraced("it cannot be asked for every tensor")
        sample = self._worst(row.name)
        if sample not in self._tapped:
            self._tapped[sample] = Tapped(self._given, sample, self._found.seconds)
        bits = {
            name: [np.ascontiguousarray(one[sample]).tobytes() for one in self._held[name]]
            for name in (FIRST, row.name)
        }
        return self._tapped[sample].between(ROWS[FIRST], row, bits)

    def _worst(self, name: str) -> int:
        """The sample with the largest difference."""
        pairs = zip(self._real[FIRST], self._real[name], strict=True)
        apart = [np.abs(a - b).reshape(len(a), -1).max(axis=1) for a, b in pairs]
        return int(np.nanargmax(np.max(apart, axis=0))) if np.isfinite(apart).any() else 0


def _letter(number: int) -> str:
    return chr(ord("A") + number)
