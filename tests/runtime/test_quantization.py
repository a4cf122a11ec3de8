import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.runtime.quantization import dequantize, quantize

SCALES = st.floats(2**-20, 2**13, width=32)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@given(scale=SCALES, data=st.data())
def test_r38_all_256_codes_round_trip(dtype, scale, data):
    limits = np.iinfo(dtype)
    zero_point = data.draw(st.integers(int(limits.min), int(limits.max)))
    codes = np.arange(limits.min, limits.max + 1).astype(dtype)
    assert np.array_equal(quantize(dequantize(codes, scale, zero_point), scale, zero_point, dtype), codes)


def test_r38_values_outside_saturate_and_never_wrap():
    assert quantize(np.array([1.1, -1.2, 1e30, -np.inf]), 1 / 128, 0, "int8").tolist() == [127, -128, 127, -128]


def test_r38_rounds_before_it_clips_and_half_to_even():
    assert quantize(np.array([0.5, 1.5, 2.5, -0.5, 126.6, 127.4]), 1.0, 0, "int8").tolist() == [0, 2, 2, 0, 127, 127]


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50), SCALES)
def test_error_inside_the_range_is_at_most_half_a_step(values, scale):
    real = np.array(values, np.float32)
    codes = quantize(real, scale, 0, "int16")
    inside = (codes > -32768) & (codes < 32767)
    error = np.abs(codes[inside].astype(np.float64) * scale - real[inside])
    assert np.all(error <= scale * (0.5 + 1e-6))


def test_not_a_number_has_no_code():
    with pytest.raises(ValueError, match="not-a-number"):
        quantize(np.array([np.nan]), 1.0, 0, "int8")
