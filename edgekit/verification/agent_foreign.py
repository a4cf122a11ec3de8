"""The agent for runtimes that are no TensorFlow Lite interpreter: one request on stdin, one answer on stdout.

    {"kind": "answers", "runtime": "tflm" | "mediapipe", "model": PATH, "inputs": PATH of an .npz, "outputs": how many,
     "arena_bytes": N for tflm}
    -> {"schema": 1, "ok": true, "kind": "answers", "sha256", "runtime", "outputs": [{"dtype", "shape", "data"}],
        "notes": {"arena_bytes": what TensorFlow Lite Micro's recording allocator counted}}
    -> {"schema": 1, "ok": false, "error": {"kind": "model" | "runtime", "message"}}

The arrays "0", "1", ... of the .npz are [n, ...] an input, in the file's own dtypes; for MediaPipe "0" are pictures,
uint8 [n, height, width, 3]. It runs in the runtime's own environment and imports nothing of edgekit. A file that the
runtime does not take can abort this process; then there is no answer.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import sys
import tempfile
from importlib import metadata
from typing import Any

import numpy as np

TOTAL = re.compile(r"Arena allocation total (\d+) bytes")


def tflm(given: dict, content: bytes, columns: list) -> dict:
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(content, arena_size=given["arena_bytes"])
    answers = []
    for at in range(len(columns[0])):
        for place, column in enumerate(columns):
            interpreter.set_input(column[at], place)
        interpreter.invoke()
        answers.append([np.array(interpreter.get_output(place)) for place in range(given["outputs"])])
    outputs = [np.stack([answer[place] for answer in answers]) for place in range(given["outputs"])]
    version = metadata.version("tflite_micro")
    return {"runtime": f"tflite-micro {version}", "outputs": outputs, "notes": {"arena_bytes": _recorded(interpreter)}}


def _recorded(interpreter: Any) -> Any:
    """Bytes of the arena that were used; native code prints them."""
    with tempfile.TemporaryFile() as said:
        kept = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            interpreter.print_allocations()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        said.seek(0)
        found = TOTAL.search(said.read().decode(errors="replace"))
    return int(found[1]) if found else None


def mediapipe(given: dict, content: bytes, columns: list) -> dict:
    """All scores of each picture, in the order of the classes: float32 [n, classes]."""
    from mediapipe import Image, ImageFormat
    from mediapipe.tasks.python import BaseOptions
    from mediapipe.tasks.python.vision import ImageClassifier, ImageClassifierOptions

    options = ImageClassifierOptions(base_options=BaseOptions(model_asset_buffer=content), max_results=-1)
    answers = []
    with ImageClassifier.create_from_options(options) as classifier:
        for picture in columns[0]:
            image = Image(image_format=ImageFormat.SRGB, data=np.ascontiguousarray(picture))
            scores = classifier.classify(image).classifications[0].categories
            by_class = {one.index: one.score for one in scores}
            answers.append([by_class.get(index, 0.0) for index in range(max(by_class) + 1)])
    version = metadata.version("mediapipe")
    return {"runtime": f"mediapipe {version}", "outputs": [np.array(answers, np.float32)], "notes": {}}


RUNTIMES = {"tflm": tflm, "mediapipe": mediapipe}


def answer(given: dict) -> dict:
    with open(given["model"], "rb") as file:  # noqa: PTH123
        content = file.read()
    with np.load(given["inputs"], allow_pickle=False) as held:
        columns = [held[str(at)] for at in range(len(held.files))]
    found = RUNTIMES[given["runtime"]](given, content, columns)
    return {
        **found, "schema": 1, "ok": True, "kind": "answers", "sha256": hashlib.sha256(content).hexdigest(),
        "outputs": [_encoded(one) for one in found["outputs"]],
    }  # fmt: skip


def _encoded(values: np.ndarray) -> dict:
    plain = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    data = base64.b64encode(plain.tobytes()).decode("ascii")
    return {"dtype": values.dtype.name, "shape": [int(side) for side in values.shape], "data": data}


def main() -> int:
    """Native code writes to stdout too: the answer is the last line."""
    try:
        found = answer(json.load(sys.stdin))
    except ImportError as error:
        found = _failed("runtime", error)
    except Exception as error:
        found = _failed("model", error)
    sys.stdout.flush()
    sys.stdout.write("\n" + json.dumps(found) + "\n")
    return 0 if found["ok"] else 1


def _failed(kind: str, error: Exception) -> dict:
    said = (str(error).splitlines() or [type(error).__name__])[0]
    return {"schema": 1, "ok": False, "error": {"kind": kind, "message": said}}


if __name__ == "__main__":
    sys.exit(main())
