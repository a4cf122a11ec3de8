"""Gradients of strided 1x1 convolutions with few channels, which oneDNN writes past its memory."""

import subprocess
import sys

import numpy as np
import pytest

from edgekit.models.backend import import_keras

import_keras("These tests")
import tensorflow as tf  # noqa: E402


def gradients(images: np.ndarray, kernel: np.ndarray, stride: int, padding: str) -> tuple[np.ndarray, np.ndarray]:
    """Of the sum of the squared outputs, in a graph."""

    @tf.function
    def of(images: tf.Tensor, kernel: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            total = tf.reduce_sum(tf.nn.conv2d(images, kernel, stride, padding) ** 2)
        return tape.gradient(total, [images, kernel])

    of_images, of_kernel = of(tf.constant(images), tf.constant(kernel))
    return np.asarray(of_images), np.asarray(of_kernel)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("side", "stride"), [(8, 2), (7, 2), (9, 3)])
@pytest.mark.parametrize("channels", [1, 8, 15, 16])
def test_gradients_are_those_of_the_product(channels: int, side: int, stride: int, padding: str) -> None:
    generator = np.random.default_rng(0)
    images = generator.normal(size=(5, side, side, channels)).astype(np.float32)
    kernel = generator.normal(size=(1, 1, channels, 6)).astype(np.float32)
    of_images, of_kernel = gradients(images, kernel, stride, padding)
    seen = images[:, ::stride, ::stride].astype(np.float64)
    outputs = 2 * seen @ kernel[0, 0]
    wanted = np.zeros(images.shape)
    wanted[:, ::stride, ::stride] = outputs @ kernel[0, 0].T
    np.testing.assert_allclose(of_images, wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(of_kernel[0, 0], np.einsum("nhwi,nhwo->io", seen, outputs), rtol=1e-4, atol=1e-3)


DIES = """
from edgekit.models.backend import import_keras
keras = import_keras("This")
import numpy as np
image = keras.Input((32, 32, 8))
x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(24, 1, strides=2)(image))
model = keras.Model(image, keras.layers.Dense(10)(x))
model.compile("sgd", "mse", jit_compile=False)
images, answers = np.ones((310, 32, 32, 8), np.float32), np.ones((310, 10), np.float32)
model.fit(images, answers, batch_size=31, epochs=3, verbose=0)
print("alive")
"""


def test_training_does_not_die_of_it() -> None:
    """With TensorFlow's own gradient the process was killed by a corrupted heap on processors with AVX-512."""
    ended = subprocess.run([sys.executable, "-c", DIES], capture_output=True, text=True, timeout=120, check=False)
    assert ended.stdout.strip().endswith("alive"), ended.stderr[-2000:]
