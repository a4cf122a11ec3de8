"""Requests of the kind "scores": images through the file, and its outputs as they are.

The agent loads this file from beside itself; like the agent it needs numpy and the runtime, and nothing of edgekit,
unless it decodes: then edgekit's preparing.py lies beside it, and Pillow is there.

    {"kind": "scores", "model": PATH, "threads": 1, "batch": 16, "images": 1000, "chunk": 64, "height": 96, "width": 96,
     "codes": [base64 of what each of the 256 pixel values is in the input tensor, a table a channel],
     "decode": null | {"channels", "resize", "antialias", "crop"}}

The images follow on stdin: uint8 [height, width, 3] each, or with `decode` the bytes of an image file behind their
number (4 bytes, big-endian). After each `chunk` of them, and after the last ones:

-> {"ready": images so far, "scores": base64 of the output tensor's rows, as it holds them}

and in the end the answer, with "states": what the system told of clock, temperature and voltage meanwhile. No more than
a chunk of images is in memory. Python 3.9 and newer.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

STATE_SECONDS = 2.0  # between two looks at the machine's state


def scores(given: dict, agent: Any) -> dict:
    read = _decoding(given, agent) if given["decode"] else _pixels
    if agent._find_runtime()[1].startswith("tflite-runtime"):
        # 2.14 on ARM crashes where an int8 dense layer with a scale an output gets several images at once.
        given = {**given, "batch": None}
    found: dict = agent._opened(given, lambda interpreter: {"states": _answered(interpreter, given, read, agent)})
    return found


def _answered(interpreter: Any, given: dict, read: Callable[[dict], np.ndarray], agent: Any) -> list:
    """Everything through the file -> the states of the machine."""
    run = _runner(interpreter, given)
    states, looked = [agent.state()], time.monotonic()
    total, chunk = int(given["images"]), int(given["chunk"])
    for done in range(0, total, chunk):
        images = np.stack([read(given) for _ in range(min(chunk, total - done))])
        rows = b"".join(run(images))
        said = {"ready": done + len(images), "scores": base64.b64encode(rows).decode("ascii")}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        if time.monotonic() - looked > STATE_SECONDS:
            states.append(agent.state())
            looked = time.monotonic()
    return [*states, agent.state()]


def _runner(interpreter: Any, given: dict) -> Callable[[np.ndarray], Iterator[bytes]]:
    """uint8 images [n, h, w, 3] -> the bytes of their rows of the output, a batch after the other; a last short batch
    is filled up with zeros."""
    taken, gives = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    shape, dtype = tuple(int(size) for size in taken["shape"]), np.dtype(taken["dtype"])
    tables = [np.frombuffer(base64.b64decode(text), dtype) for text in given["codes"]]

    def run(images: np.ndarray) -> Iterator[bytes]:
        for start in range(0, len(images), shape[0]):
            some = images[start : start + shape[0]]
            batch = np.zeros(shape, dtype)
            for channel, table in enumerate(tables):
                batch[: len(some), ..., channel] = table[some[..., channel]]
            interpreter.set_tensor(taken["index"], batch)
            interpreter.invoke()
            yield interpreter.get_tensor(gives["index"]).reshape(shape[0], -1)[: len(some)].tobytes()

    return run


def _pixels(given: dict) -> np.ndarray:
    height, width = int(given["height"]), int(given["width"])
    return np.frombuffer(_exactly(height * width * 3), np.uint8).reshape(height, width, 3)


def _decoding(given: dict, agent: Any) -> Callable[[dict], np.ndarray]:
    try:
        preparing = agent._module_beside("preparing")
    except ImportError as error:
        raise agent.Refused("runtime", f"images cannot be decoded there: {error}") from None
    preprocess = types.SimpleNamespace(height=int(given["height"]), width=int(given["width"]), **given["decode"])

    def read(_: dict) -> np.ndarray:
        content = _exactly(int.from_bytes(_exactly(4), "big"))
        try:
            found: np.ndarray = preparing.resize(preparing.pixels_of(io.BytesIO(content)), preprocess)
        except Exception as error:  # Pillow's decoders raise nearly every type on damaged bytes
            raise agent.Refused("device", f"an image cannot be decoded there: {type(error).__name__}") from None
        return found

    return read


def _exactly(size: int) -> bytes:
    content = sys.stdin.buffer.read(size)
    if len(content) != size:
        raise SystemExit("the host is gone")
    return content
