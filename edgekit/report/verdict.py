"""The verdict in words: which file to ship, what it gains and what it costs against float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.evaluation.gate import SAME_SPEED, as_fast
from edgekit.report import wording

Row = Mapping[str, Any]
SAME_SIZE = 1.02


@dataclass(frozen=True)
class Verdict:
    """`ok`: a variant is chosen and no check failed. `headline` is one sentence, `sentences` say more."""

    ok: bool
    headline: str
    sentences: tuple[str, ...]


def verdict(results: Mapping[str, Any]) -> Verdict:
    """What a reader who stops after three lines must know."""
    rows = results["variants"]
    chosen = next((row for row in rows if row["chosen"]), None)
    ok = chosen is not None and not results["failures"]
    if chosen is None:
        return Verdict(ok, "No variant meets the budget: there is nothing to ship yet.", (budget(results),))
    reference = rows[0]
    told = [
        _ship(chosen),
        *([] if chosen is reference or chosen["top1"] is None else [_answers(chosen, reference)]),
        _why(rows, chosen),
        budget(results),
    ]
    classes = len(results["dataset"]["class_names"])
    if chosen["top1"] and chosen["top1"]["ci95"][0] <= 1 / classes:
        told.insert(0, f"Mind that its top-1 is no better than guessing one of {classes} classes.")
    if chosen["verdict"] != "steady":
        told.append(f"Its latency is unstable: {'; '.join(chosen['doubts'])}. Measure again on an idle machine.")
    return Verdict(ok, _headline(chosen, reference), tuple(told))


def budget(results: Mapping[str, Any]) -> str:
    """The limits of the recipe."""
    limits = results["recipe"]["budget"]
    points = limits["max_drop_points"]
    arena = limits.get("max_arena_kb")
    return (
        f"The budget: at most {points:g} {'point' if points == 1 else 'points'} of top-1 below "
        f"{results['variants'][0]['variant']}, {limits['max_size_mb']:g} MB, {limits['max_latency_ms']:g} ms"
        f"{f', an arena of {arena:g} kB' if arena else ''}."
    )


def _headline(chosen: Row, reference: Row) -> str:
    if chosen is reference:
        return f"{chosen['variant']} is the one to ship: no other that meets the budget is clearly faster."
    gains = " and ".join((_size(chosen, reference), _speed(chosen, reference)))
    return f"{chosen['variant']} is {gains} {reference['variant']}, {_cost(chosen)}."


def _size(chosen: Row, reference: Row) -> str:
    ratio = reference["size_bytes"] / chosen["size_bytes"]
    if max(ratio, 1 / ratio) < SAME_SIZE:
        return "as large"
    return f"{wording.times(ratio)} smaller" if ratio > 1 else f"{wording.times(1 / ratio)} larger"


def _speed(chosen: Row, reference: Row) -> str:
    """Faster or slower only where the intervals of the medians do not overlap."""
    ours, theirs = chosen["latency_ms"], reference["latency_ms"]
    ratio = theirs["median"] / ours["median"]
    overlap = ours["ci95"][0] <= theirs["ci95"][1] and theirs["ci95"][0] <= ours["ci95"][1]
    if overlap or max(ratio, 1 / ratio) < SAME_SPEED:
        return "about as fast as"
    return f"{wording.times(ratio)} faster than" if ratio > 1 else f"{wording.times(1 / ratio)} slower than"


def _cost(chosen: Row) -> str:
    drop = chosen["drop_points"]
    if drop is None:
        return f"and {_same(chosen)}"
    if drop == 0:
        return "with the same top-1"
    return f"with {abs(drop):.2f} points {'less' if drop > 0 else 'more'} top-1"


def _same(row: Row) -> str:
    """How near the file is to the model it was made from."""
    agreed, found = row["agreement"], row["parity"]
    if agreed:
        return f"says what the model says for {wording.percent(agreed['value'])} of {agreed['n']:,} held-out images"
    noise = "" if found["sqnr_db"] is None else f" with a signal-to-noise ratio of {found['sqnr_db']:.1f} dB"
    return f"gives what the model gives{noise} on {found['n']:,} held-out samples"


def _ship(chosen: Row) -> str:
    latency, top1 = chosen["latency_ms"], chosen["top1"]
    accuracy = top1 and (
        f"top-1 {wording.percent(top1['value'])} on {top1['n']:,} test images "
        f"(95 % interval {wording.span(top1['ci95'])})"
    )
    return (
        f"Ship {chosen['file']}: {wording.size(chosen['size_bytes'])}, {accuracy or _same(chosen)}, "
        f"{wording.significant(latency['median'])} ms median."
    )


def _answers(chosen: Row, reference: Row) -> str:
    top1, agreed = chosen["top1"], chosen["agreement"]
    net = round(chosen["drop_points"] / 100 * top1["n"])
    more = f"{abs(net):,} {'fewer' if net > 0 else 'more'} right than" if net else "as many right as"
    return (
        f"Of the {top1['n']:,} test images it gets {more} {reference['variant']}; "
        f"both say the same class for {wording.percent(agreed['value'])} of them."
    )


def _why(rows: list[Row], chosen: Row) -> str:
    passing = [row for row in rows if not row["violations"]]
    if len(passing) == 1:
        return f"Of {wording.counted(len(rows), 'variant')} it is the only one that verifies and meets the budget."
    ahead = f"Of the {len(passing)} variants that verify and meet the budget it has"
    latencies = [row["latency_ms"] for row in passing]
    best = min(latencies, key=lambda one: one["median"])
    near = [one for one in latencies if as_fast(one["median"], one["ci95"], best["median"], best["ci95"])]
    if len(near) == 1:
        return f"{ahead} the lowest median latency."
    return f"{ahead} the smallest file of the {len(near)} that are as fast as the fastest, as far as was measured."
