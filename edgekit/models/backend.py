"""Keras, imported on demand: quietly, on the backend the user chose, with a clear sentence where it is missing.

Building and training work on every backend; exporting is TensorFlow's.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

from edgekit.errors import MissingExtra, UsageError
from edgekit.models.onednn import avoid_the_fault
from edgekit.runtime.quiet import captured_stderr

DEFAULT = "tensorflow"
PACKAGES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch", "openvino": "openvino", "numpy": "numpy"}


def chosen_backend() -> str:
    """The backend that Keras will take, or has taken, found without importing it: $KERAS_BACKEND, then keras.json."""
    if named := os.environ.get("KERAS_BACKEND"):
        return named
    home = os.environ.get("KERAS_HOME")
    config = (Path(home) if home else Path("~/.keras").expanduser()) / "keras.json"
    try:
        return str(json.loads(config.read_text("utf-8"))["backend"])
    except (OSError, ValueError, LookupError, TypeError):
        return DEFAULT


def require_training(what: str) -> None:
    """Raises MissingExtra without Keras, UsageError without its backend; takes none of the seconds importing takes."""
    backend = chosen_backend()
    if not _there("keras") or (backend == DEFAULT and not _there(DEFAULT)):
        raise MissingExtra(what, "train")
    if not _there(PACKAGES.get(backend, backend)):
        raise UsageError(
            f"{what} needs Keras's backend {backend}, which is not installed.",
            f"Run: pip install {PACKAGES.get(backend, backend)}, or unset KERAS_BACKEND.",
        )


def require_exporting(what: str) -> None:
    """Raises MissingExtra without TensorFlow, which exports, UsageError where Keras is on another backend."""
    if not _there("keras") or not _there(DEFAULT):
        raise MissingExtra(what, "train")
    if (backend := chosen_backend()) != DEFAULT:
        raise UsageError(
            f"{what} needs Keras on TensorFlow, and its backend is {backend}.",
            "Save the weights with model.save_weights, set KERAS_BACKEND=tensorflow, and give --weights FILE.",
        )


def _there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def forget_deferred() -> None:
    """Takes the variables that a stateless scope left without values off Keras's list of those to be given some.

    The next scope that gives values at its end would otherwise allocate all of them.
    """
    from keras.src.backend.common import global_state

    global_state.set_global_attribute("uninitialized_variables", [])


def import_keras(what: str) -> Any:
    """The keras module, with TensorFlow's native log at errors only unless the user has set a level.

    While it is imported, TensorFlow announces itself on the native stderr at any level. Raises MissingExtra, saying
    that `what` needs it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with captured_stderr():
            import keras
    except ModuleNotFoundError as missing:
        require_training(what)
        raise MissingExtra(what, "train") from missing
    if keras.backend.backend() == DEFAULT:
        avoid_the_fault()
    return keras
