"""The one rule table behind everything that passes or fails: budgets, and the gates of inspect, bench and evaluate.

A rule looks at one figure of a file. Its name is that of its limit: `max_drop_points` is the most that `drop_points`
may be, `min_agreement` the least of `agreement`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgekit.errors import CheckFailed

State = Literal["met", "broken", "unclear", "unmeasured"]


@dataclass(frozen=True)
class Rule:
    """`about`: what it asks, for people. `says(value)`: what a file did, as a clause. `default`: the limit that counts
    where none is given and the figure is known; None asks for nothing. `proven`: the figure is noisy, so that it
    breaks the rule only with an interval that excludes zero."""

    name: str
    about: str
    says: Callable[[float], str]
    unit: str = ""
    default: float | None = None
    proven: bool = False

    @property
    def figure(self) -> str:
        return self.name.split("_", 1)[1]

    @property
    def least(self) -> bool:
        return self.name.startswith("min_")


def _slower(percent: float) -> str:
    return f"is {abs(percent):.1f} % {'slower' if percent > 0 else 'faster'} than the baseline"


def _grown(what: str) -> Callable[[float], str]:
    return lambda percent: f"{what} {abs(percent):.1f} % {'more' if percent > 0 else 'less'} than the baseline"


def _reason(_: float) -> str:
    return ""  # the figure's detail is the sentence


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("max_verification_failures", "Where it does not say what the model said", _reason, default=0),
        Rule("max_drop_points", "Top-1 points below the reference", lambda v: f"loses {v:.2f} points of top-1",
             default=1.0),
        Rule("max_class_drop_points", "Points of recall that any class loses against the reference",
             lambda v: f"loses {v:.2f} points of recall in one class"),
        Rule("min_top1", "Top-1, a fraction", lambda v: f"has a top-1 of {v:.4f}"),
        Rule("min_agreement", "Share of the images on which it says what the reference says",
             lambda v: f"agrees with the reference on {v:.4f} of the images"),
        Rule("max_ece", "Expected calibration error", lambda v: f"has a calibration error of {v:.4f}"),
        Rule("max_size_mb", "The file, in MB of 1,000,000 bytes", lambda v: f"has {v:.2f} MB"),
        Rule("max_size_growth_percent", "The file, more than the baseline", _grown("has"), " %", default=5.0),
        Rule("max_latency_ms", "Median latency", lambda v: f"takes {v:.3f} ms"),
        Rule("max_regression_percent", "Latency, more than the baseline, where it is proven", _slower, " %",
             default=5.0, proven=True),
        Rule("max_heap_kb", "Memory of opening it and one inference, in kB of 1,000 bytes",
             lambda v: f"needs {v:.1f} kB of heap"),
        Rule("max_heap_growth_percent", "The same, more than the baseline", _grown("needs"), " %", default=10.0),
        Rule("max_arena_kb", "Arena of TensorFlow Lite Micro, estimated, in kB of 1,000 bytes",
             lambda v: f"needs an arena of {v:.1f} kB"),
        Rule("min_delegated_percent", "Operators that the delegate runs",
             lambda v: f"runs {v:.1f} % of its operators in the delegate", " %"),
        Rule("max_flex_operators", "Operators of TensorFlow itself", _reason, default=0),
        Rule("max_custom_operators", "Custom operators", _reason, default=0),
        Rule("max_open_sizes", "Sizes that are known only while it runs", _reason, default=0),
        Rule("max_newer_operators", "Operators newer than the runtime asked for, or that no table knows", _reason,
             default=0),
        Rule("max_refusals", "Runtimes here that refuse it", _reason, default=0),
        Rule("max_contract_problems", "What is wrong with its card and its metadata", _reason, default=0),
        Rule("max_missing_contracts", "That nothing says how images are prepared for it", _reason, default=0),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """`interval` at 95 %, in the unit of `value`; `detail` is a clause on what it is made of."""

    value: float
    interval: tuple[float, float] | None = None
    detail: str = ""


@dataclass(frozen=True)
class Checked:
    """A rule, a file, and what was found. No figure: it was not measured, which a rule that was asked for does not
    pass."""

    rule: Rule
    file: str
    limit: float
    figure: Figure | None

    @property
    def state(self) -> State:
        """A proven rule is `unclear` where it is not broken but could be: its interval reaches beyond the limit, or
        there is none."""
        if self.figure is None:
            return "unmeasured"
        value, interval = self.figure.value, self.figure.interval
        beyond = value < self.limit if self.rule.least else value > self.limit
        if not self.rule.proven:
            return "broken" if beyond else "met"
        if beyond and (interval is None or interval[0] > 0):
            return "broken"
        return "unclear" if interval is None or interval[1] > self.limit else "met"

    @property
    def failed(self) -> bool:
        return self.state in ("broken", "unmeasured")

    def clause(self, word: str = "limit") -> str:
        """What the file did, and the limit as `word`; no full stop."""
        if self.figure is None:
            return f"has no {self.rule.figure} in these results, {word} {self.limit:g}{self.rule.unit}"
        said, detail = self.rule.says(self.figure.value), self.figure.detail
        if not said:
            return detail
        ends = (f"{end:.3g}" for end in self.figure.interval or ())
        interval = f" (95 %: {' to '.join(ends)})" if self.figure.interval else ""
        return f"{said}{interval}, {word} {self.limit:g}{self.rule.unit}" + (f"; {detail}" if detail else "")

    @property
    def sentence(self) -> str:
        """Without a full stop."""
        between = " " if self.figure is None or self.rule.says(0) else ": "
        return f"{self.file}{between}{self.clause()}".rstrip(".")

    def to_json(self) -> dict[str, Any]:
        found = None if self.figure is None else {
            "value": self.figure.value, "ci95": self.figure.interval and list(self.figure.interval),
            "detail": self.figure.detail,
        }  # fmt: skip
        about = {"file": self.file, "rule": self.rule.name, "limit": self.limit, "state": self.state}
        return {**about, self.rule.figure: found, "sentence": self.sentence}


def check(file: str, figures: Mapping[str, Figure], limits: Mapping[str, float]) -> tuple[Checked, ...]:
    """Each limit, by the name of its rule, against the file's figures, in the table's order."""
    return tuple(Checked(rule, file, limits[name], figures.get(rule.figure))
                 for name, rule in RULES.items() if name in limits)  # fmt: skip


def defaults(figures: Iterable[str]) -> dict[str, float]:
    """The limits that count where none is given, of the rules whose figures are known."""
    known = set(figures)
    return {name: rule.default for name, rule in RULES.items() if rule.default is not None and rule.figure in known}


def failure(checked: Iterable[Checked], remedy: str) -> CheckFailed | None:
    """The failed check, with a sentence a rule that is not passed; None where all are."""
    found = [one.sentence for one in checked if one.failed]
    return CheckFailed("; ".join(found) + ".", remedy) if found else None
