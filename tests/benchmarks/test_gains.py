"""The gains that the package quotes are those that the benchmarks recorded."""

import json


def test_gains_are_the_recorded_ones() -> None:
    """On new results: python benchmarks/gains.py"""
    from gains import GAINS, gains

    assert json.loads(GAINS.read_text("utf-8")) == gains()
