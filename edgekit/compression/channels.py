"""Structured pruning: the channels that matter least are removed, so that a smaller network of the same kind is left.

In one go, or in rounds: each removes some channels and lets the network learn again what it lost (Molchanov et al.
2019, arXiv:1906.10771, and Fang et al. 2023, arXiv:2301.12900, do so too).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from edgekit.compression.channel_cost import Cost, macs_cost, params_cost
from edgekit.compression.channel_groups import ChannelGraph, channel_groups
from edgekit.compression.choose_channels import Counts, Ladders, Point, best_places, path, to_cost, to_latency
from edgekit.compression.fine_tune import taught
from edgekit.compression.importance import Importance, by_bn, by_l1
from edgekit.compression.journal import Journal
from edgekit.compression.remove_channels import removed
from edgekit.compression.step import Note, Stepped
from edgekit.compression.step_context import StepContext
from edgekit.compression.taylor import Evidence, by_taylor, evidence_of, given_evidence
from edgekit.data.arrays import ArrayData
from edgekit.data.dataset import Dataset
from edgekit.errors import BadInput, UsageError
from edgekit.progress import Progress, Reporter, silent
from edgekit.step_config import Channels
from edgekit.training.state import fingerprint

NEAR = 0.01  # of the whole model: a share that is missed by no more is reached

Measure = Callable[[Any], float]


@dataclass(frozen=True)
class _Aim:
    """What a target is `said` to be, the name of its figure, and the unit of one that is measured; one that is counted
    from the layers has none."""

    said: str
    figure: str
    unit: str = ""


AIMS = {
    "macs": _Aim("MACs", "macs"),
    "params": _Aim("parameters", "params"),
    "latency": _Aim("latency", "latency_ms", "ms"),
    "latency_ms": _Aim("latency", "latency_ms", "ms"),
    "instructions": _Aim("instructions", "instructions_millions", "million instructions"),
}


def channels(
    model: Any,
    data: Dataset | ArrayData | np.ndarray | tuple[np.ndarray, ...] | None = None,
    *,
    macs: float | None = None,
    params: float | None = None,
    latency: float | None = None,
    latency_ms: float | None = None,
    importance: Literal["l1", "bn", "taylor"] = "l1",
    multiple: int = 8,
    exclude: Collection[str] = (),
    measure: Measure | None = None,
    seed: int = 0,
) -> Stepped:
    """A smaller model of a functional or sequential Keras model, in one go, to be fine-tuned by your own script.

    One of `macs`, `params` and `latency` is the share that is to be left, or `latency_ms` the time in ms; none is half
    the MACs. `measure` gives the latency of a model in ms, and is called some ten times for a target of latency. `data`
    is for taylor alone: a data set, or an array [n, ...] for each input, as the model takes it. Layers that `exclude`
    names, or fits as a pattern, keep all channels. The model is lowered (`lower`); layers keep their names.
    `Stepped.skipped` says which channels could not go; for the figures see `take_channels`. Raises BadInput for a
    target that cannot be reached and for a model that is no graph of layers, UsageError where something is missing.
    """
    try:
        config = Channels(macs=macs, params=params, latency=latency, latency_ms=latency_ms, importance=importance,
                          multiple=multiple, exclude=tuple(exclude), finetune_epochs=0)  # fmt: skip
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "channels"
        raise UsageError(f"{where}: {first['msg']}.", "Give one target; a share is between 0 and 1.") from None
    evidence = given_evidence(model, data, seed) if importance == "taylor" else None
    return _Job(model, config, evidence, measure, silent).run(None)


def take_channels(model: Any, config: Channels, context: StepContext) -> Stepped:
    """The step of a recipe: rounds of removing and fine-tuning. `model` is on logits where it is a classifier.

    Its figures: `asked`; `macs`, `params` and, where one was measured, `latency_ms` or `instructions_millions`, each
    {before, after}, and `device`; `groups`, a row each {group, layers, before, after, blocked}; `rounds`, a row each
    {round, macs, params, what was measured, training}, and `training`, that of the last round. What was chosen and
    trained is kept in `context.state`, so that a call after an interruption continues. Raises BadInput, UsageError.
    """
    evidence = evidence_of(context) if config.importance == "taylor" else None
    device = config.measured_on
    measure = None if device is None or context.meter is None else context.meter(device)
    return _Job(model, config, evidence, measure, context.progress).run(context)


@dataclass(frozen=True)
class _Start:
    """What the model had before: channels by the name of their group, MACs and parameters; where something is measured
    also what it takes, in ms or million instructions, and what it takes with the fewest channels."""

    sizes: dict[str, int]
    macs: int
    params: int
    takes: float = 0.0
    fewest_take: float = 0.0


class _Job:
    """One call: the rounds, and what is written down about them."""

    def __init__(
        self, model: Any, config: Channels, evidence: Evidence | None, measure: Measure | None, progress: Reporter
    ) -> None:
        self._model, self._config, self._evidence, self._progress = model, config, evidence, progress
        self._what, self._asked = config.target
        self._aim = AIMS[self._what]
        self._measures = bool(self._aim.unit)
        if self._measures and measure is None:
            raise UsageError(
                f"channels with {self._what} needs a device to measure on, and there is none.",
                "Name one, or set macs or params.",
            )
        self._measure = measure
        self._notes: dict[Note, None] = {}
        self._known: tuple[ChannelGraph, Importance] | None = None

    def run(self, context: StepContext | None) -> Stepped:
        """All rounds; without a context nothing is trained."""
        journal = Journal(None, "") if context is None else Journal(context.state, self._key(context))
        found = channel_groups(self._model, self._config.exclude)
        start = self._start(found, journal)
        model, rounds, now = found.model, [], start.takes
        for number in range(1, self._config.rounds + 1):
            if number > 1:
                found = channel_groups(model, self._config.exclude)
            self._progress(Progress("channels", number - 1, self._config.rounds, "choosing channels"))
            chosen = journal.once(f"round {number}", partial(self._chosen, found, start, number, now))
            now = chosen["measured"] or now
            self._notes.update(dict.fromkeys(Note(*pair) for pair in chosen["notes"]))
            model, sizes = removed(found, chosen["keep"]), _sizes(found, chosen["keep"])
            training = self._tuned(model, number, context) if chosen["keep"] else None
            took = {self._aim.figure: chosen["measured"]} if self._measures else {}
            rounds.append({"round": number, **_costs(found, sizes), **took, "training": training})
        self._progress(Progress("channels", self._config.rounds, self._config.rounds))
        return Stepped(model, self._done(start, sizes), self._left(found, start, rounds),
                       self._figures(found, start, sizes, rounds))  # fmt: skip

    def _key(self, context: StepContext) -> str:
        data = fingerprint(self._model, context.train, context.data.sha256, context.seed)
        return hashlib.sha256(f"{data}{self._config.model_dump_json()}".encode()).hexdigest()

    # ---- before anything is removed ------------------------------------------------------------------------------

    def _start(self, found: ChannelGraph, journal: Journal) -> _Start:
        """Raises BadInput where nothing can be removed, or never enough."""
        if not found.free:
            whys = dict.fromkeys(f"{group.name}: {group.blocked}" for group in found.groups if group.layers)
            raise BadInput(
                f"{found.model.name} has no channels that could be removed ({'; '.join(list(whys)[:3])}).",
                "Leave the step channels out.",
            )
        ladders = Ladders.of(found, self._config.multiple)
        start = _Start(_sizes(found), **_costs(found, _sizes(found)))
        if self._measures:
            fewest = {group.name: range(count) for group, count in zip(found.groups, ladders.least, strict=True)}
            before = journal.once("before", lambda: self._taken(found.model))
            closest = journal.once("fewest", lambda: self._taken(removed(found, fewest)))
            start = replace(start, takes=before, fewest_take=closest)
        else:
            closest = journal.once("closest", lambda: self._closest(found, ladders, start))
        whole, limit = self._whole(start), self._limit(start, self._config.rounds)
        missed = closest - limit if self._measures else abs(closest - limit) - NEAR * whole
        if missed > 0:
            raise _unreachable(self._what, self._asked, closest / whole, closest)
        return start

    def _closest(self, found: ChannelGraph, ladders: Ladders, start: _Start) -> int:
        """The MACs or parameters nearest to the limit that are found."""
        cost, limit = self._cost(found), self._limit(start, self._config.rounds)
        steps = path(found, self._importance(found), cost, ladders)
        return cost.of(np.array(to_cost(steps, cost, ladders, limit, NEAR * self._whole(start))))

    def _whole(self, start: _Start) -> float:
        return start.takes if self._measures else float(getattr(start, self._what))

    def _limit(self, start: _Start, number: int) -> float:
        """MACs, parameters or what is measured after so many rounds: each leaves the same share of what it finds."""
        whole = self._whole(start)
        share = self._asked / whole if self._what == "latency_ms" else self._asked
        return whole * float(share ** (number / self._config.rounds))

    def _cost(self, found: ChannelGraph) -> Cost:
        return params_cost(found) if self._what == "params" else macs_cost(found)

    def _taken(self, model: Any) -> float:
        assert self._measure is not None
        return float(self._measure(model))

    # ---- a round -------------------------------------------------------------------------------------------------

    def _chosen(self, found: ChannelGraph, start: _Start, number: int, now: float) -> dict[str, Any]:
        """JSON: `keep`, for each group that loses channels the places of those that stay; `measured`; `notes`.

        `now`: what the model takes before this round.
        """
        importance = self._importance(found)
        ladders = Ladders.of(found, self._config.multiple, start.sizes)
        cost, limit = self._cost(found), self._limit(start, number)
        steps = path(found, importance, cost, ladders)

        def nearest(wanted: float) -> Counts:
            return to_cost(steps, cost, ladders, wanted, NEAR * start.macs / 4)

        def measured(counts: Counts) -> Point:
            smaller = removed(found, best_places(found, importance, counts))
            return Point(cost.of(np.array(counts)), self._taken(smaller))

        counts, taken = steps[0], now
        if not self._measures:
            counts = to_cost(steps, cost, ladders, limit, NEAR * self._whole(start))
        elif limit < now:
            low = Point(cost.of(np.array(ladders.least)), start.fewest_take)
            high = Point(cost.of(np.array(counts)), now)
            best = to_latency(nearest, measured, low, high, limit) or (ladders.least, low)
            counts, taken = best[0], best[1].taken
        notes = [[note.layer, note.text] for note in importance.notes]
        keep = best_places(found, importance, counts)
        return {"keep": keep, "measured": taken if self._measures else None, "notes": notes}

    def _importance(self, found: ChannelGraph) -> Importance:
        """Measured once for the same graph."""
        if self._known is None or self._known[0] is not found:
            if self._evidence is not None:
                self._known = found, by_taylor(found, self._evidence)
            else:
                self._known = found, (by_l1 if self._config.importance == "l1" else by_bn)(found)
        return self._known[1]

    def _tuned(self, model: Any, number: int, context: StepContext | None) -> dict[str, Any] | None:
        """Fine-tunes in place, in a folder of the round's own; what training did."""
        config = self._config
        if context is None or not config.finetune_epochs:
            return None
        teacher = context.teaching(self._model, config.distil)
        own = replace(context, state=context.state / f"round-{number}")
        return taught(
            "channels", model, teacher, config.finetune_epochs, config.learning_rate, own, how=config.finetune
        )

    # ---- the report ----------------------------------------------------------------------------------------------

    def _done(self, start: _Start, sizes: dict[str, int]) -> tuple[Note, ...]:
        changed = {name: (before, sizes[name]) for name, before in start.sizes.items() if sizes[name] != before}
        return tuple(Note(name, f"{before} -> {after} channels") for name, (before, after) in changed.items())

    def _figures(
        self, found: ChannelGraph, start: _Start, sizes: dict[str, int], rounds: list[dict[str, Any]]
    ) -> dict[str, Any]:
        last, aim = rounds[-1], self._aim
        took = {"before": start.takes, "after": last[aim.figure]}
        measured = {aim.figure: took, "device": self._config.measured_on} if self._measures else {}
        groups = [
            {
                "group": one.name,
                "layers": list(one.layers),
                "before": start.sizes[one.name],
                "after": sizes[one.name],
                "blocked": one.blocked,
            }
            for one in found.groups
            if one.layers
        ]
        return {
            "asked": {self._what: self._asked},
            "importance": self._config.importance,
            "macs": {"before": start.macs, "after": last["macs"]},
            "params": {"before": start.params, "after": last["params"]},
            **measured,
            "groups": groups,
            "rounds": rounds,
            "training": last["training"],
        }

    def _left(self, found: ChannelGraph, start: _Start, rounds: list[dict[str, Any]]) -> tuple[Note, ...]:
        notes = [
            Note(one.name, f"its channels stay: {one.blocked}") for one in found.groups if one.blocked and one.layers
        ]
        notes += [Note(name, "its MACs are not counted: its kind is not known") for name in macs_cost(found).uncounted]
        limit, whole = self._limit(start, self._config.rounds), self._whole(start)
        after = rounds[-1][self._aim.figure]
        if self._measures and limit >= whole:
            notes.append(Note(found.model.name, f"left as it is: it takes {whole:.3g} {self._aim.unit} already"))
        elif after - limit > NEAR * whole or (not self._measures and limit - after > NEAR * whole):
            missed = f"{after / whole:.1%} of the {self._aim.said} are left, not {limit / whole:.1%}"
            notes.append(Note(found.model.name, f"{missed}: the rounds before left nothing nearer"))
        return (*found.notes, *notes, *self._notes)


def _sizes(found: ChannelGraph, keep: Mapping[str, Sequence[int]] | None = None) -> dict[str, int]:
    """How many channels each group keeps."""
    return {group.name: len((keep or {}).get(group.name, range(group.size))) for group in found.groups}


def _costs(found: ChannelGraph, sizes: Mapping[str, int]) -> dict[str, int]:
    counts = np.array([sizes[group.name] for group in found.groups])
    return {"macs": macs_cost(found).of(counts), "params": params_cost(found).of(counts)}


def _unreachable(what: str, asked: float, share: float, value: float) -> BadInput:
    if what == "latency_ms":
        said, closest, remedy = f"{asked:.3g} ms", f"{value:.3g} ms", f"{value * 1.02:.3g} or more"
    else:
        said, closest, remedy = f"{asked:.1%} of the {AIMS[what].said}", f"{share:.1%}", f"{share:.3f}"
    return BadInput(
        f"The target, {said}, cannot be reached by removing channels: the closest is {closest}.",
        f"Set {what} to {remedy}, or a smaller multiple, or exclude fewer layers.",
    )
