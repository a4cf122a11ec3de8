import numpy as np
import pytest

from edgekit.quantize_config import Quantize
from edgekit.runtime.clipping import BINS, Histogram, clipped, least_divergence, least_squares, percentile, quantile
from edgekit.runtime.quantization import dequantize, quantize


def histogram(values: np.ndarray) -> Histogram:
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    others = values[values != 0]
    return Histogram(low, high, np.histogram(others, BINS, (low, high))[0], len(values) - len(others))


def error(values: np.ndarray, low: float, high: float) -> float:
    """Mean squared error of int8 codes for a range, computed by quantizing each value."""
    scale = (high - low) / 255
    zero_point = round(-128 - low / scale)
    return float(np.mean((values - dequantize(quantize(values, scale, zero_point, "int8"), scale, zero_point)) ** 2))


def bell(n: int = 200_000, outliers: int = 20, seed: int = 0) -> np.ndarray:
    """A normal distribution and a few values far above it."""
    generator = np.random.default_rng(seed)
    return np.concatenate([generator.normal(0.5, 1, n), generator.uniform(20, 60, outliers)])


METHODS = [Quantize(calibration=name) for name in ("minmax", "percentile", "mse", "entropy")]


@pytest.mark.parametrize("wanted", METHODS, ids=lambda one: one.calibration)
@pytest.mark.parametrize("values", [bell(), -bell(), np.abs(bell()), np.full(1000, 0.25)],
                         ids=["both", "downward", "positive", "one value"])  # fmt: skip
def test_a_range_is_within_the_values_and_holds_zero(wanted: Quantize, values: np.ndarray) -> None:
    low, high = clipped(histogram(values), wanted)
    assert min(values.min(), 0) <= low <= 0 <= high <= max(values.max(), 0) and low < high
    assert wanted.calibration != "minmax" or (low, high) == (min(values.min(), 0), max(values.max(), 0))


def test_a_quantile_counts_samples_however_far_they_go() -> None:
    ends = np.stack([np.linspace(-2, -1, 101), np.linspace(1, 3, 101)], axis=1).astype(np.float32)
    assert quantile(ends, 90) == pytest.approx((-1.9, 2.8))
    assert quantile(ends, 100) == pytest.approx((-2, 3))
    ends[-5:] *= (1, 1000)
    assert quantile(ends, 90) == pytest.approx((-1.9, 2.8))


def test_a_quantile_holds_zero_and_keeps_what_only_few_samples_have() -> None:
    above = np.array([[0.5, 1.0], [0.6, 2.0], [0.7, 3.0]], np.float32)
    assert quantile(above, 50.1) == pytest.approx((0, 2), abs=0.01)
    rare = np.zeros((100, 2), np.float32)
    rare[7] = -1, 4
    assert quantile(rare, 95) == (-1, 4)


def test_a_percentile_leaves_out_its_share_at_each_end() -> None:
    values = np.linspace(-1, 3, 400_001)
    low, high = percentile(histogram(values), 99.0)
    assert (low, high) == pytest.approx((-0.96, 2.96), abs=4 / BINS)
    assert percentile(histogram(values), 100.0) == pytest.approx((-1, 3))


def test_a_percentile_counts_zeros_and_the_other_methods_do_not() -> None:
    values = np.abs(bell())
    half = np.concatenate([values, np.zeros(len(values))])
    assert percentile(histogram(half), 99.0)[1] < percentile(histogram(values), 99.0)[1]
    for method in (least_squares, least_divergence):
        assert method(histogram(half)) == method(histogram(values))


@pytest.mark.parametrize("values", [bell(), bell(outliers=2), np.random.default_rng(0).laplace(size=100_000),
                                    np.abs(bell())], ids=["outliers", "two", "laplace", "positive"])  # fmt: skip
def test_least_squares_is_as_good_as_trying_every_range(values: np.ndarray) -> None:
    low, high = least_squares(histogram(values))
    tried = [error(values, a * min(values.min(), 0), b * values.max())
             for a in np.linspace(0.2, 1, 9) for b in np.geomspace(0.03, 1, 60)]  # fmt: skip
    assert error(values, low, high) <= 1.05 * min(tried)
    assert error(values, low, high) <= error(values, min(values.min(), 0), values.max()) * 1.001


def test_values_that_fill_their_range_are_not_clipped() -> None:
    values = np.random.default_rng(0).uniform(-1, 2, 300_000)
    full = (values.min(), values.max())
    assert least_squares(histogram(values)) == pytest.approx(full, rel=0.02)
    assert least_divergence(histogram(values)) == pytest.approx(full, rel=0.05)


def test_least_divergence_cuts_off_a_thin_tail() -> None:
    low, high = least_divergence(histogram(bell()))
    assert high < 15 and low == pytest.approx(bell().min(), rel=0.5)
