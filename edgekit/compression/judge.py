"""How much of a network's accuracy an integer file of it keeps: measured on held-out samples, always the same ones."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from loky import cpu_count

from edgekit.artifact import Io
from edgekit.evaluation.confidence import expected_loss, probabilities
from edgekit.evaluation.metrics import predictions
from edgekit.evaluation.parity import run_all, same_class, scores, worst_sqnr_db
from edgekit.exporting.export import Exporter
from edgekit.runtime.flatbuffer import activations, parse
from edgekit.runtime.ranges import Inputs

FILE_WORK = 3e10  # activations computed for a whole file that is tried: twenty seconds; fewer tell no tenths of a point
FILE_SAMPLES = 5000  # held-out ones that such a file is measured on, at most
FEWEST = 100  # samples, however much work one is
LARGEST_BATCH = 64
BATCH_VALUES = 4_000_000  # activations of a batch: more do not fit the caches, and batching then only costs


@dataclass(frozen=True)
class Score:
    """Of a file against the float one on the same `n` samples.

    `agreement` is a fraction, None for what is no classifier; `sqnr_db` the signal to noise of the worst output, None
    for equal values; `drop_points`: top-1 points below float, None without labels; `expected_points`: those that the
    float file's own confidence expects to be lost, and `expected_most` the upper end of their one-sided 95 % interval.
    """

    n: int
    agreement: float | None
    sqnr_db: float | None
    drop_points: float | None
    expected_points: float | None
    expected_most: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Judge:
    """`inputs` as the file takes them, an array [n, ...] an input; `reference`: the float answers, float32 [n, ...] an
    output; `labels` int64 [n], where there are some. `batch`: samples at a time."""

    inputs: Inputs
    reference: Inputs
    labels: np.ndarray | None
    classifier: bool
    batch: int

    def score(self, content: bytes) -> Score:
        """Runs a .tflite, on all cores, in batches where it can."""
        outputs = run_all(content, self.inputs, batch=self.batch, threads=cpu_count())
        noise = worst_sqnr_db(self.reference, outputs)
        if not self.classifier:
            return Score(len(self.inputs[0]), None, noise, None, None, None)
        answers = predictions(scores(outputs))
        expected = expected_loss(self._believed, answers)
        return Score(
            n=len(answers),
            agreement=float(same_class(self.reference, outputs).mean()),
            sqnr_db=noise,
            drop_points=None if self.labels is None else self._dropped(self.labels, answers),
            expected_points=expected.points,
            expected_most=expected.most,
        )

    @functools.cached_property
    def _believed(self) -> np.ndarray:
        return probabilities(scores(self.reference), self.labels)

    def _dropped(self, labels: np.ndarray, answers: np.ndarray) -> float:
        right = np.count_nonzero(predictions(scores(self.reference)) == labels) - np.count_nonzero(answers == labels)
        return round(100 * right / len(labels), 4)

    def sha256(self) -> str:
        """Of all that decides a score but the file."""
        digest = hashlib.sha256(str((self.batch, self.classifier, self.labels is not None)).encode())
        arrays = (*self.inputs, *self.reference, *(() if self.labels is None else (self.labels,)))
        for values in arrays:
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()


def judge_of(exporter: Exporter, io: Io, most: int, *, work: float, against: bytes | None = None) -> Judge:
    """A judge of the files that an exporter makes with this `io`, on its held-out samples.

    At most `most` of them, and so many that `work` activations are computed for a file, but FEWEST at least. The float
    answers are those of the calibrated file, or of `against`, a float32 .tflite that takes what the model takes.
    """
    content = exporter.calibrated(io).content
    values = _activations(content)
    count = min(most, max(FEWEST, int(work / values)))
    taken = exporter.samples.reference(count)
    fed = exporter.samples.as_fed(taken, io)
    batch = max(1, min(LARGEST_BATCH, BATCH_VALUES // values))
    source, given = (content, fed) if against is None else (against, taken)
    reference = run_all(source, given, batch=batch, threads=cpu_count())
    return Judge(fed, reference, exporter.samples.answers(len(taken[0])), exporter.classifier, batch)


def _activations(content: bytes) -> int:
    """How many values the network computes for one sample."""
    model = parse(content)
    tensors = model.subgraphs[0].tensors
    return max(1, sum(int(np.prod(tensors[index].shape)) for index in activations(model)))
