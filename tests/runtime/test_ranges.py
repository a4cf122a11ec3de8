import functools

import numpy as np
import pytest

from edgekit.models.backend import import_keras
from edgekit.runtime.clipping import BINS
from edgekit.runtime.flatbuffer import op_name, pack, parse
from edgekit.runtime.interpreter import open_model
from edgekit.runtime.ranges import SAMPLED, Observer, clippable_tensors, normalization_tensors
from tests import tiny


@functools.cache
def gated() -> bytes:
    """float32 [1,24,24,3] -> [1,4]: a convolution with 34,848 values, a sigmoid gate, a softmax behind a reshape."""
    import tensorflow as tf

    keras = import_keras("Testing")
    keras.utils.set_random_seed(0)
    image = keras.Input((24, 24, 3), batch_size=1, name="image")
    x = keras.layers.Conv2D(72, 3, activation="relu", name="conv")(keras.layers.Rescaling(1 / 255)(image))
    gate = keras.layers.Conv2D(72, 1, activation="sigmoid", name="gate")(x)
    x = keras.layers.GlobalAveragePooling2D(keepdims=True)(keras.layers.Multiply(name="product")([x, gate]))
    scores = keras.layers.Softmax()(keras.layers.Reshape((4,))(keras.layers.Conv2D(4, 1, name="logits")(x)))
    return tf.lite.TFLiteConverter.from_keras_model(keras.Model(image, scores)).convert()


def samples(n: int = 12) -> list[tuple[np.ndarray]]:
    return [(one[None],) for one in np.random.default_rng(0).uniform(0, 255, (n, 24, 24, 3)).astype(np.float32)]


def written(content: bytes) -> dict[int, str]:
    """Tensor -> the operator that writes it."""
    model = parse(content)
    return {int(op.outputs[0]): op_name(model, op) for op in model.subgraphs[0].operators}


def test_histograms_count_the_values_of_every_sample_within_their_range() -> None:
    content = tiny.tflite("raw")
    pictures = [(one[None].astype(np.float32),) for one in tiny.pictures(20)]
    observer = Observer(content, threads=1)
    ranges = observer.over(pictures)
    found = observer.histograms(pictures, ranges)
    (scores,) = (int(i) for i in parse(content).subgraphs[0].outputs)
    answers = np.concatenate([open_model(content).run(*one)[0] for one in pictures]).ravel()
    others = answers[answers != 0]
    assert (found[scores].low, found[scores].high) == (min(answers.min(), 0), max(answers.max(), 0))
    assert (found[scores].counts.sum(), found[scores].zeros) == (len(others), len(answers) - len(others))
    exact = np.histogram(others, BINS, (found[scores].low, found[scores].high))[0]
    assert np.abs(np.cumsum(found[scores].counts) - np.cumsum(exact)).max() <= 2  # values on the edge of a bin


def test_of_a_big_activation_some_values_count_of_every_channel_alike() -> None:
    observer = Observer(gated(), threads=1)
    found = observer.histograms(samples(), observer.over(samples()))
    big = next(index for index, kind in written(gated()).items() if kind == "CONV_2D")
    size = 22 * 22 * 72
    counted = int(found[big].counts.sum()) + found[big].zeros
    assert size > SAMPLED and counted == pytest.approx(12 * size / 5, rel=0.001)  # 3 and 4 share factors with the size
    every = _values(gated(), big, samples())
    assert found[big].zeros / counted == pytest.approx(np.mean(every == 0), abs=0.01)
    assert 0.2 < np.mean(every == 0) < 0.8 and (every == 0).all(axis=(0, 1, 2)).any()  # whole channels are dead


def _values(content: bytes, tensor: int, given: list[tuple[np.ndarray]]) -> np.ndarray:
    """[n, height, width, channels] of an activation."""
    model = parse(content)
    model.subgraphs[0].outputs = np.array([tensor], np.int32)
    model.signatureDefs = []
    opened = open_model(pack(model))
    return np.concatenate([opened.run(*one)[0] for one in given])


def test_what_may_saturate_is_neither_normalization_nor_ranked_nor_of_a_fixed_range() -> None:
    loose = clippable_tensors(gated(), normalization_tensors(gated()))
    kinds = written(gated())
    assert sorted(kinds[index] for index in loose) == ["CONV_2D", "CONV_2D", "MEAN", "MUL"]
    # Sigmoid, softmax, and the logits with the reshape behind them stay whole.
    kept = [kind for index, kind in kinds.items() if index not in loose]
    assert sorted(kept) == ["CONV_2D", "LOGISTIC", "RESHAPE", "SOFTMAX"]
