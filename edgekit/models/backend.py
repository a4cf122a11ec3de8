"""Keras, imported on demand: quietly, and with a clear sentence where it is not installed."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

from edgekit.errors import MissingExtra
from edgekit.runtime.quiet import captured_stderr


def require_training(what: str) -> None:
    """Raises MissingExtra if the [train] extra is not there, without the seconds that importing it takes."""
    if any(importlib.util.find_spec(name) is None for name in ("keras", "tensorflow")):
        raise MissingExtra(what, "train")


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
        raise MissingExtra(what, "train") from missing
    return keras
