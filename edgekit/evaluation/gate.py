"""Budgets, and the choice of a variant within them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.artifact import Variant
from edgekit.recipe import Budget
from edgekit.rules import Figure, check

SAME_SPEED = 1.02  # medians within 2 % of each other count as equally fast, whatever their intervals


@dataclass(frozen=True)
class Candidate:
    """What the choice looks at.

    `top1` is a fraction of 1, None without labels; `latency_ms` the median and `latency_ci95` its interval,
    `size_bytes` the whole file's, `arena_bytes` an estimate (runtime.arena), None where there is none.
    """

    variant: Variant
    verified: bool
    top1: float | None
    latency_ms: float
    latency_ci95: tuple[float, float]
    size_bytes: int
    arena_bytes: int | None = None


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


def figures(candidate: Candidate, reference: Candidate) -> dict[str, Figure]:
    """What budgets look at, by the names of the rule table; nothing for what was not measured."""
    values = {
        "drop_points": drop_points(candidate, reference),
        "size_mb": candidate.size_bytes / 1e6,
        "latency_ms": candidate.latency_ms,
        "arena_kb": None if candidate.arena_bytes is None else candidate.arena_bytes / 1e3,
    }
    found = {name: Figure(value) for name, value in values.items() if value is not None}
    return {"verification_failures": Figure(int(not candidate.verified), detail="failed verification"), **found}


def violations(candidate: Candidate, reference: Candidate, budget: Budget) -> tuple[str, ...]:
    """A clause for each limit of the budget that the candidate exceeds, and one if it is not verified."""
    limits = {"max_verification_failures": 0, **{name: limit for name, limit in budget if limit is not None}}
    checked = check(candidate.variant, figures(candidate, reference), limits)
    return tuple(one.clause("budget") for one in checked if one.state == "broken")


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
