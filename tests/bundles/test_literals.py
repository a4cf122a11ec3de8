"""Strings out of a file in other languages."""

import ast

import pytest

from edgekit.bundles.literals import c_string, kotlin_string, single, swift_string

TEXT = 'a"b\\c$d${e}\\(f)\n\r\t\0\x1b é🚲??/'


def test_kotlin() -> None:
    assert kotlin_string(TEXT) == (
        '"a\\"b\\\\c\\u0024d\\u0024{e}\\\\(f)\\u000a\\u000d\\u0009\\u0000\\u001b \\u00e9\\ud83d\\udeb2??/"'
    )


def test_swift() -> None:
    assert swift_string(TEXT) == '"a\\"b\\\\c$d${e}\\\\(f)\\n\\r\\t\\u{0}\\u{1b} \\u{e9}\\u{1f6b2}??/"'


def test_c_holds_the_bytes() -> None:
    literal = c_string(TEXT + "\x1b7")
    assert literal.isascii() and "?" not in literal
    assert ast.literal_eval(f"b{literal}") == (TEXT + "\x1b7").encode()  # C's escapes are Python's


@pytest.mark.parametrize("value", [0.1, 1e-6, 123.675, 3.4028235e38])
def test_floats_are_those_of_32_bits(value: float) -> None:
    import numpy as np

    assert np.float32(float(single(value))) == np.float32(value) and float(single(value)) == float(np.float32(value))
