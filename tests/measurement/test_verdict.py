import numpy as np
import pytest

from edgekit.measurement.verdict import Verdict, verdict_of
from tests.measurement.test_protocol import runs

QUIET = {"voluntary": 3, "involuntary": 2}


def states(*values, name="mhz"):
    return [{"mhz": None, "celsius": None, "limit_celsius": None, "throttles": None, "firmware": None, name: value}
            for value in values]  # fmt: skip


def test_a_steady_measurement_has_no_reasons():
    found = verdict_of(
        [runs(0), runs(1)], switches=[QUIET, {}], wall_ns=[3 * 10**8] * 2, cpu_ns=[298 * 10**6] * 2,
        states=[states(None, None), states(2400.0, 2390.0)],
    )  # fmt: skip
    assert found == Verdict("steady", ())


@pytest.mark.parametrize(
    ("samples", "more", "words"),
    [
        ([runs(0) + [40_000_000] * 8], {}, "times the median"),
        ([runs(0), runs(1, median=1.3e6)], {}, "the processes disagree: medians from 0.998 to 1.3 ms"),
        ([(np.linspace(1.0, 1.4, 300) * 1e6).astype(int).tolist()], {}, "slower while it ran"),
        ([(np.linspace(1.4, 1.0, 300) * 1e6).astype(int).tolist()], {}, "faster while it ran"),
        ([runs(0)], {"switches": [{"involuntary": 60}]}, "interrupted 200 times a second"),
        ([runs(0)], {"wall_ns": [10**9], "cpu_ns": [4 * 10**8]}, "it had a core for 40% of the time only"),
    ],
)
def test_unstable_has_reasons(samples, more, words):
    found = verdict_of(samples, **more)
    assert found.name == "unstable" and len(found.reasons) == 1 and words in found.reasons[0]


def test_one_busy_process_beside_a_free_core_is_no_reason():
    """The most that benchmarks/busy.py saw of it: interruptions, a quarter of the time lost, the median as it was."""
    samples = [runs(0) + [9_000_000] * 15]
    assert 1.3 < np.mean(samples) / np.median(samples) < 1.45
    found = verdict_of(samples, switches=[{"involuntary": 60}], wall_ns=[10**9], cpu_ns=[76 * 10**7])
    assert found == Verdict("steady", ())


def test_threads_that_wait_for_each_other_are_no_reason():
    assert verdict_of([runs(0)], threads=4, wall_ns=[10**9], cpu_ns=[4 * 10**8]).name == "steady"


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (states(1800.0, 1800.0, 1200.0, 1800.0), "the clock fell from 1800 to 1200 MHz"),
        ([{"celsius": 84.0, "limit_celsius": 85.0}, {"celsius": 85.5, "limit_celsius": 85.0}], "ran at the 85 degrees"),
        (states(7, 7, 9, name="throttles"), "the processor throttled"),
        (states(0, 0b0100, 0, name="firmware"), "firmware throttled the processor"),
        (states(0, 1 << 17, name="firmware"), "firmware capped the clock"),
        (states(0x50000, 0x50001, name="firmware"), "supply voltage was too low"),
        (states(0, 1, 0, name="undervolted"), "supply voltage was too low"),
    ],
)
def test_throttled_has_reasons(seen, words):
    found = verdict_of([runs(0)], states=[seen])
    assert found.name == "throttled" and len(found.reasons) == 1 and words in found.reasons[0]


def test_what_happened_before_or_raised_the_clock_is_no_throttling():
    for seen in (
        states(600.0, 1500.0, 1500.0),
        states(7, 7, name="throttles"),
        states(0x50000, 0x50000, name="firmware"),
    ):
        assert verdict_of([runs(0)], states=[seen]).name == "steady"


def test_throttled_comes_before_unstable_and_keeps_its_reasons():
    found = verdict_of([runs(0), runs(1, median=1.3e6)], states=[states(1800.0, 900.0)] * 2)
    assert found.name == "throttled" and [reason.split()[1] for reason in found.reasons] == ["clock", "processes"]
