"""Affine quantization, the way TFLite does it: real = scale * (code - zero_point).

Source: "TensorFlow Lite 8-bit quantization specification".
"""

from __future__ import annotations

import numpy as np


def quantize(real: np.ndarray, scale: float, zero_point: int, dtype: str | np.dtype) -> np.ndarray:
    """Real values of any shape -> codes of `dtype` (int8, uint8, int16): round half to even, then clip.

    A value outside the range saturates and never wraps; not-a-number has no code and raises ValueError.
    """
    limits = np.iinfo(dtype)
    codes = np.divide(real, np.float64(scale), dtype=np.float64)
    if np.isnan(codes).any():
        raise ValueError("not-a-number cannot be quantized")
    np.rint(codes, out=codes)
    codes += zero_point
    return np.clip(codes, limits.min, limits.max, out=codes).astype(dtype)


def dequantize(codes: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Codes of any shape -> float32 of the same shape."""
    return (codes.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
