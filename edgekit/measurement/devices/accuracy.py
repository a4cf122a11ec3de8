"""Accuracy on a device, held against this machine image by image: the same pixels through the same file on both."""

from __future__ import annotations

import base64
import binascii
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.artifact import Artifact
from edgekit.data import preparing
from edgekit.data.pixels import Files
from edgekit.errors import DeviceError, UsageError
from edgekit.evaluation.compare import Comparison, compare
from edgekit.evaluation.evaluate import answers, codes, evaluation_of, judged
from edgekit.evaluation.expects import Fed
from edgekit.evaluation.metrics import Proportion, a_score_a_class
from edgekit.evaluation.record import Evaluation
from edgekit.measurement.devices.answer import not_understood
from edgekit.measurement.devices.remote_agent import RemoteAgent
from edgekit.measurement.devices.there import there
from edgekit.measurement.host import this_machine
from edgekit.measurement.place import HERE, SLOWER, require_device
from edgekit.measurement.verdict import slowed_by
from edgekit.preprocess import Preprocess
from edgekit.progress import Progress, Reporter, silent
from edgekit.runtime import isolate
from edgekit.runtime.probe import Probed

if TYPE_CHECKING:
    from edgekit.data.split import Split

CHUNK_BYTES = 1024 * 1024  # of pixels that are sent at a time: what is in memory, twice on either side
SECONDS_A_CHUNK, SECONDS_AN_IMAGE = 120.0, 5.0  # allowed on the device beside the inferences
_GEOMETRY = ("channels", "resize", "antialias", "crop")


@dataclass(frozen=True, eq=False)
class DeviceEvaluation:
    """`there`: the answers of the device, `here`: those of this machine to the same images. `equal`: the images whose
    outputs are the same bit for bit; `max_difference`: the largest between two outputs, in their real values.

    `decoded` is "host" or "device"; `conditions` and `states` are the device's, as in a Measurement.
    """

    device: str
    there: Evaluation
    here: Evaluation
    equal: Proportion
    max_difference: float
    decoded: str
    here_runtime: str
    conditions: dict[str, Any]
    states: tuple[dict[str, Any], ...]

    @property
    def comparison(self) -> Comparison:
        """The device against this machine."""
        return compare(self.here, self.there)

    @property
    def flips(self) -> tuple[dict[str, str], ...]:
        """The images whose predictions differ: name, label, and what either side says."""
        names = self.there.class_names
        differ = np.flatnonzero(self.there.predictions != self.here.predictions)
        return tuple(
            {
                "name": self.there.names[i], "label": names[self.there.labels[i]],
                "host": names[self.here.predictions[i]], "device": names[self.there.predictions[i]],
            }
            for i in differ
        )  # fmt: skip

    @property
    def throttled(self) -> tuple[str, ...]:
        """Reasons; they do not touch the answers, only how long they took."""
        return slowed_by([self.states])

    def to_json(self) -> dict[str, Any]:
        """The device's part of an evaluation: docs/contracts.md."""
        return {
            "device": self.device,
            "decoded": self.decoded,
            **self.comparison.to_json(),
            "flips": list(self.flips),
            "equal_outputs": self.equal.to_json(),
            "max_difference": self.max_difference,
            "host_top1": self.here.top1.to_json(),
            "host_runtime": self.here_runtime,
            "conditions": self.conditions,
            "states": list(self.states),
            "throttled": list(self.throttled),
        }


def evaluate_on(
    device: str,
    path: str | Path | Artifact,
    split: Split,
    preprocess: Preprocess | None = None,
    *,
    labels: tuple[str, ...] | None = None,
    batch_size: int | None = None,
    decode_on_device: bool = False,
    progress: Reporter = silent,
) -> DeviceEvaluation:
    """Runs every image of `split` through the file on a device that was added, and on this machine.

    This machine decodes and resizes, and sends pixels; with `decode_on_device` it sends the image files, which the same
    code decodes there. Neither side holds more than two chunks of images. The rest is as in `evaluate`. Raises
    UsageError for a device of this machine and for images that are in no files, DeviceError where the device fails.
    """
    require_device(device)
    if device in HERE:
        raise UsageError(f"{device} is of this machine.", "Leave it out, or name a device of `edgekit device list`.")
    if decode_on_device and not isinstance(split.pixels, Files):
        raise UsageError("These images are in no files that a device could decode.", "Leave out --decode-on-device.")
    preprocess = preprocess or split.preprocess
    found, class_names = judged(path, split, preprocess, labels, batch_size)
    sides = _Sides(found, split, preprocess, decode_on_device)
    code = Path(preparing.__file__)
    more = {code.name: code.read_bytes()} if decode_on_device else {}
    with (
        this_machine(progress, device),
        there(device, [found], progress, more=more, decodes=decode_on_device) as ready,
        ready.agent(found, sides.request, sides.silence, **sides.limits) as agent,
    ):
        answer = sides.run(device, agent, progress)
    here, over_there = (evaluation_of(found, split, class_names, rows) for rows in (sides.here, sides.over_there))
    return DeviceEvaluation(
        device, over_there, here, Proportion(sides.equal, len(split)), sides.max_difference,
        "device" if decode_on_device else "host", found.runtime, answer["conditions"], tuple(answer["states"]),
    )  # fmt: skip


def evaluate_files_on(
    device: str, given: Sequence[Fed], **how: Any
) -> tuple[tuple[DeviceEvaluation, ...], DeviceError | None]:
    """One file after the other, as `evaluate_on`: where the device fails, what was finished before and the error.
    Raises it where nothing was."""
    found: list[DeviceEvaluation] = []
    for one in given:
        try:
            found.append(evaluate_on(device, one.file, one.split, one.preprocess, labels=one.labels, **how))
        except DeviceError as error:
            if not found:
                raise
            return tuple(found), error
    return tuple(found), None


class _Sides:
    """The images, chunk by chunk, through the file in a worker here and in the agent there."""

    def __init__(self, found: Probed, split: Split, preprocess: Preprocess, decode: bool) -> None:
        self._found, self._split, self._preprocess, self._decode = found, split, preprocess, decode
        batches = max(1, CHUNK_BYTES // (preprocess.height * preprocess.width * 3 * found.batch))
        self._chunk = found.batch * batches
        self.here: list[np.ndarray] = []  # float32 [some, classes], in the data's order
        self.over_there: list[np.ndarray] = []
        self.equal, self.max_difference, self._done = 0, 0.0, 0

    @property
    def request(self) -> dict[str, Any]:
        feed = codes(self._preprocess, self._found.inputs[0])
        geometry = self._split.preprocess.model_dump(mode="json", include=set(_GEOMETRY))
        return {
            "kind": "scores", "threads": 1, "batch": self._found.batch, "images": len(self._split),
            "chunk": self._chunk, "height": self._preprocess.height, "width": self._preprocess.width,
            "codes": [base64.b64encode(table.tobytes()).decode("ascii") for table in feed],
            "decode": geometry if self._decode else None,
        }  # fmt: skip

    @property
    def silence(self) -> float:
        """How many seconds the agent may need for a chunk."""
        inferences = self._found.seconds * self._chunk / self._found.batch
        return SECONDS_A_CHUNK + SLOWER * inferences + (SECONDS_AN_IMAGE * self._chunk if self._decode else 0)

    @property
    def limits(self) -> dict[str, int]:
        row, chunks = self._row_bytes, math.ceil(len(self._split) / self._chunk)
        return {"largest": 1_000_000 + chunks * 200 + len(self._split) * row * 4 // 3, "lines": 1000 + chunks}

    @property
    def _row_bytes(self) -> int:
        info = self._found.outputs[0]
        return info.shape[-1] * np.dtype(info.dtype).itemsize

    def run(self, device: str, agent: RemoteAgent, progress: Reporter) -> dict[str, Any]:
        """Sends a chunk while the device works on the one before -> the agent's answer."""
        waiting: deque[tuple[np.ndarray, np.ndarray]] = deque()
        for sent, scores, labels in self._chunks():
            agent.feed(sent)
            waiting.append((scores, labels))
            if len(waiting) > 1:
                self._compare(device, agent.part(), *waiting.popleft(), progress)
        while waiting:
            self._compare(device, agent.part(), *waiting.popleft(), progress)
        answer = agent.answer()
        if answer["sha256"] != self._found.sha256:
            raise not_understood(device, "it ran another file")
        return answer

    def _chunks(self) -> Iterator[tuple[bytes, np.ndarray, np.ndarray]]:
        """(what is sent, this machine's scores, labels), read and run in a worker process."""
        n, file = len(self._split), self._found
        parts = [self._split.take(range(start, min(start + self._chunk, n))) for start in range(0, n, self._chunk)]
        calls = ((file.path, file.sha256, file.batch, part, self._preprocess, self._decode) for part in parts)
        allowed = 60 + self._chunk * (SECONDS_AN_IMAGE + 20 * file.seconds / file.batch)
        found = isolate.each(_here, calls, what=str(file.path), timeout=allowed)
        for part, (sent, scores) in zip(parts, found, strict=True):
            yield sent, scores, part.labels

    def _compare(
        self, device: str, part: dict[str, Any], scores: np.ndarray, labels: np.ndarray, progress: Reporter
    ) -> None:
        """Keeps what either side says of a chunk."""
        others = self._decoded(device, part, len(labels))
        self.here.append(scores)
        self.over_there.append(others)
        same = (scores.view(np.uint32) == others.view(np.uint32)).all(axis=1)
        self.equal += int(np.count_nonzero(same))
        self.max_difference = max(self.max_difference, float(np.abs(scores - others).max()))
        self._done += len(labels)
        progress(Progress("evaluate", self._done, len(self._split), f"{self._found.path.name} on {device}"))

    def _decoded(self, device: str, part: dict[str, Any], n: int) -> np.ndarray:
        """float32 [n, classes]. Raises DeviceError for anything but n rows of the file's outputs."""
        info = self._found.outputs[0]
        try:
            held = base64.b64decode(part["scores"], validate=True)
        except binascii.Error:
            raise not_understood(device, "its scores are not base64") from None
        if len(held) != n * self._row_bytes:
            raise DeviceError(
                f"{device} gave {len(held)} bytes of scores for {n} images, not {n * self._row_bytes}.",
                "Look what python3 is on that device.",
            )
        return np.ascontiguousarray(a_score_a_class(info.decode(np.frombuffer(held, info.dtype).reshape(n, -1))))


def _here(
    path: Path, sha256: str, batch: int, split: Split, preprocess: Preprocess, decode: bool
) -> tuple[bytes, np.ndarray]:
    """In a worker: what is sent of the images, and this machine's float32 scores [n, classes]."""
    images, scores = zip(*answers(path, sha256, batch, split, preprocess), strict=True)
    sent = _files(split) if decode else b"".join(one.tobytes() for one in images)
    return sent, np.ascontiguousarray(np.concatenate(scores))


def _files(split: Split) -> bytes:
    """The image files, each behind its length."""
    assert isinstance(split.pixels, Files)
    contents = [(split.pixels.root / path).read_bytes() for path in split.pixels.paths]
    return b"".join(len(one).to_bytes(4, "big") + one for one in contents)
