"""Whether a measurement can be trusted: steady, unstable or throttled, with the reasons. Pure, over raw samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.measurement.protocol import MS, Samples, drift, pooled

# On an idle machine processes differ by about 1 % (sd). The limits on the mean and on the share of a core lie between
# what benchmarks/busy.py saw on two cores: beside one busy process a mean of at most 1.43 medians and 76 % of a core,
# beside four at least 2.3 medians and at most 43 %. The median stays where it was in both. The rate of switches does
# not tell them apart (up to 103 and from 58 a second): it is a reason only where the share of a core says nothing.
MEAN_OVER_MEDIAN = 1.75
PROCESSES_DIFFER = 0.10
DRIFT = 0.10
SWITCHES_A_SECOND = 50.0
OWN_CORE = 0.60  # the least share of the time that one thread has to have a core
SLOWED = 0.90  # a frequency below this share of what it was once warm

State = Mapping[str, float | None]


@dataclass(frozen=True)
class Verdict:
    """`name` is steady, unstable or throttled; a throttled processor is named first. One sentence a reason."""

    name: str
    reasons: tuple[str, ...]


def verdict_of(
    samples: Samples,
    *,
    threads: int = 1,
    switches: Sequence[Mapping[str, int]] = (),
    wall_ns: Sequence[int] = (),
    cpu_ns: Sequence[int] = (),
    states: Sequence[Sequence[State]] = (),
) -> Verdict:
    """One entry a process in each: nanoseconds of every run; context switches while it was timed; how long that was and
    how much of it the calling thread had a core; what the system told before, in between and after. Where it is not
    known it is empty, and then no reason."""
    slowed = slowed_by(states)
    unsteady = tuple(_disturbed(samples)) + tuple(_interrupted(samples, threads, switches, wall_ns, cpu_ns))
    name = "throttled" if slowed else "unstable" if unsteady else "steady"
    return Verdict(name, slowed + unsteady)


def _disturbed(samples: Samples) -> Iterator[str]:
    """What the samples alone say."""
    together = pooled(samples)
    ratio = together.mean() / np.median(together)
    if ratio > MEAN_OVER_MEDIAN:
        yield f"the mean is {ratio:.2f} times the median: something else ran at times"
    medians = [float(np.median(process)) for process in samples]
    low, high = np.quantile(medians, [0.1, 0.9])  # of thirty processes one may be odd
    if high > (1 + PROCESSES_DIFFER) * low:
        yield f"the processes disagree: medians from {min(medians) * MS:.3g} to {max(medians) * MS:.3g} ms"
    if abs(moved := drift(samples)) > DRIFT:
        yield f"it became {abs(moved):.0%} {'slower' if moved > 0 else 'faster'} while it ran"


def _interrupted(
    samples: Samples,
    threads: int,
    switches: Sequence[Mapping[str, int]],
    wall_ns: Sequence[int],
    cpu_ns: Sequence[int],
) -> Iterator[str]:
    """What the scheduler says. Several threads wait for each other, so a share of a core says nothing of them."""
    if threads == 1 and any(wall_ns):
        share = sum(cpu_ns) / sum(wall_ns)
        if share < OWN_CORE:
            yield f"it had a core for {share:.0%} of the time only: other processes wanted it too"
        return
    together = pooled(samples)
    rate = sum(one.get("involuntary", 0) for one in switches) / (together.sum() * 1e-9)
    if rate > SWITCHES_A_SECOND and len(together) >= 30:
        yield f"it was interrupted {rate:.0f} times a second by other processes"


def slowed_by(states: Sequence[Sequence[State]]) -> tuple[str, ...]:
    """What the system says of each process: the clock, the temperature, the voltage, counts and bits of throttling."""
    found = (reason for process in states if process for reason in _slowed_in(process))
    return tuple(dict.fromkeys(found))  # once each


def _slowed_in(process: Sequence[State]) -> Iterator[str]:
    first = process[0]
    speeds = [one["mhz"] for one in process if one.get("mhz")]
    if speeds and min(speeds) < SLOWED * speeds[0]:  # type: ignore[type-var, operator]
        yield f"the clock fell from {speeds[0]:.0f} to {min(speeds):.0f} MHz"  # type: ignore[type-var]
    hot = [one for one in process if one.get("celsius") and one.get("limit_celsius")]
    if any(one["celsius"] >= one["limit_celsius"] for one in hot):  # type: ignore[operator]
        yield f"it ran at the {hot[0]['limit_celsius']:.0f} degrees at which the system slows the processor down"
    counts = [int(one["throttles"]) for one in process if one.get("throttles") is not None]  # type: ignore[arg-type]
    if counts and counts[-1] > counts[0]:
        yield "the processor throttled while it ran"
    bits = [int(one["firmware"]) for one in process if one.get("firmware") is not None]  # type: ignore[arg-type]
    since_start = int(first.get("firmware") or 0)
    told = {
        name for value in bits for bit, name in FIRMWARE.items() if value >> bit & 1 or _new(value, since_start, bit)
    }
    if any(one.get("undervolted") for one in process):
        told.add(FIRMWARE[0])
    yield from sorted(told)


def _new(value: int, before: int, bit: int) -> bool:
    """Bit 16 + n tells that bit n was set at some time since the board was started."""
    return bool(value >> (16 + bit) & 1) and not before >> (16 + bit) & 1


# Bits of a Raspberry Pi's get_throttled.
FIRMWARE = {
    0: "the board's supply voltage was too low",
    1: "the board's firmware capped the clock",
    2: "the board's firmware throttled the processor",
    3: "the board reached its soft temperature limit",
}
