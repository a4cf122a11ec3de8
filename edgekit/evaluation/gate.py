"""Budgets, and the choice of a variant within them: the one rule table behind what is shipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekit.artifact import Variant
from edgekit.recipe import Budget

SAME_SPEED = 1.02  # medians within 2 % of each other count as equally fast, whatever their intervals


@dataclass(frozen=True)
class Candidate:
    """What the choice looks at.

    `top1` is a fraction of 1, None without labels; `latency_ms` the median and `latency_ci95` its interval,
    `size_bytes` the whole file's.
    """

    variant: Variant
    verified: bool
    top1: float | None
    latency_ms: float
    latency_ci95: tuple[float, float]
    size_bytes: int


@dataclass(frozen=True)
class Choice:
    """`chosen` is None if no candidate passes; `violations` gives the sentences for each that does not."""

    chosen: Variant | None
    violations: dict[Variant, tuple[str, ...]]


def drop_points(candidate: Candidate, reference: Candidate) -> float | None:
    """Top-1 points lost against the reference; negative where the candidate is better, None without labels."""
    if candidate.top1 is None or reference.top1 is None:
        return None
    return round(100 * (reference.top1 - candidate.top1), 9)


# What is measured, its limit in the budget, and the sentence when it is exceeded.
RULES: tuple[tuple[Callable[[Candidate, Candidate], float | None], str, str], ...] = (
    (drop_points, "max_drop_points", "loses {:.2f} points of top-1, budget {:g}"),
    (lambda c, _: c.size_bytes / 1e6, "max_size_mb", "has {:.2f} MB, budget {:g}"),
    (lambda c, _: c.latency_ms, "max_latency_ms", "takes {:.3f} ms, budget {:g}"),
)


def violations(candidate: Candidate, reference: Candidate, budget: Budget) -> tuple[str, ...]:
    """A sentence for each limit of the budget that the candidate exceeds, and one if it is not verified."""
    found = () if candidate.verified else ("failed verification",)
    measured = ((rule(candidate, reference), getattr(budget, limit), text) for rule, limit, text in RULES)
    return found + tuple(text.format(value, limit) for value, limit, text in measured
                          if value is not None and value > limit)  # fmt: skip


def choose(candidates: Sequence[Candidate], budget: Budget) -> Choice:
    """Of the candidates that verify and meet every budget, the fastest; of those as fast as it, the smallest file.

    As fast means a median within 2 % of the lowest, or an interval that overlaps the fastest one's: noise does not
    choose. The first candidate is the reference (float32) that the drop is measured from.
    """
    found = {one.variant: violations(one, candidates[0], budget) for one in candidates}
    passing = [one for one in candidates if not found[one.variant]]
    if not passing:
        return Choice(None, found)
    best = min(passing, key=lambda one: one.latency_ms)
    tied = [one for one in passing if as_fast(one.latency_ms, one.latency_ci95, best.latency_ms, best.latency_ci95)]
    return Choice(min(tied, key=lambda one: one.size_bytes).variant, found)


def as_fast(median: float, ci95: Sequence[float], fastest: float, fastest_ci95: Sequence[float]) -> bool:
    """Whether a latency counts as no slower than the lowest one; ms, each with its 95 % interval."""
    return median <= fastest * SAME_SPEED or ci95[0] <= fastest_ci95[1]
