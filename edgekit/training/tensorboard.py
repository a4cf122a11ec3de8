"""Curves for TensorBoard, on the TensorFlow backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras

Write = Callable[[dict[str, float]], None]


def curve_writer(folder: Path | None) -> Write:
    """A function that adds one epoch's row of the history to the event file in `folder`/tensorboard.

    The events are written by TensorFlow's own op, so that the tensorboard package is needed to look at them
    only (the Keras callback needs it to write). Does nothing without a folder and on other backends.
    """
    if folder is None or keras.backend.backend() != "tensorflow":
        return lambda row: None
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(folder / "tensorboard"))
    kind = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    metadata = tf.compat.v1.SummaryMetadata(plugin_data=kind)

    def write(row: dict[str, float]) -> None:
        with writer.as_default(step=int(row["epoch"])):
            for name in row.keys() - {"epoch"}:
                tf.summary.write(name, tf.constant(row[name], tf.float32), metadata=metadata)
        writer.flush()

    return write
