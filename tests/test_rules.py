"""The one rule table: states, sentences, defaults."""

import pytest

from edgekit.recipe import Budget
from edgekit.rules import RULES, Checked, Figure, check, defaults, failure


def checked(name, limit, *figure, **more):
    return Checked(RULES[name], "a.tflite", limit, Figure(*figure, **more) if figure else None)


@pytest.mark.parametrize(
    ("name", "limit", "value", "state"),
    [
        ("max_drop_points", 1, 1.0, "met"),
        ("max_drop_points", 1, 1.01, "broken"),
        ("max_drop_points", 0, -0.5, "met"),
        ("min_agreement", 0.95, 0.95, "met"),
        ("min_agreement", 0.95, 0.9499, "broken"),
        ("max_flex_operators", 0, 1, "broken"),
    ],
)
def test_on_the_limit_is_within_it(name, limit, value, state):
    assert checked(name, limit, value).state == state


@pytest.mark.parametrize(
    ("value", "interval", "state"),
    [
        (10, (8, 12), "broken"),
        (10, (-1, 21), "unclear"),
        (3, (1, 4), "met"),
        (3, (-1, 7), "unclear"),
        (10, None, "broken"),
        (3, None, "unclear"),
    ],
)
def test_latency_breaks_a_rule_only_where_it_is_proven(value, interval, state):
    assert checked("max_regression_percent", 5, value, interval).state == state


def test_what_was_counted_is_judged_as_counted():
    assert checked("max_drop_points", 1, 2, (-1, 5)).state == "broken"


def test_sentences():
    assert checked("max_drop_points", 1, 2.0, (0.5, 3.5)).sentence == (
        "a.tflite loses 2.00 points of top-1 (95 %: 0.5 to 3.5), limit 1"
    )
    assert checked("max_regression_percent", 5, -3.0, (-4, -2)).sentence == (
        "a.tflite is 3.0 % faster than the baseline (95 %: -4 to -2), limit 5 %"
    )
    assert checked("max_size_growth_percent", 5, 10).sentence == "a.tflite has 10.0 % more than the baseline, limit 5 %"
    assert checked("max_open_sizes", 0, 1, detail="Its sizes are not fixed.").sentence == (
        "a.tflite: Its sizes are not fixed"
    )
    assert checked("max_latency_ms", 20).sentence == "a.tflite has no latency_ms in these results, limit 20"


def test_what_is_asked_for_and_not_measured_does_not_pass():
    assert checked("max_latency_ms", 20).state == "unmeasured" and checked("max_latency_ms", 20).failed
    assert not checked("max_regression_percent", 5, 3, (-1, 7)).failed  # unclear warns


def test_every_rule_is_named_after_its_figure_and_says_what_it_asks():
    for name, rule in RULES.items():
        assert name == rule.name and name == f"{'min' if rule.least else 'max'}_{rule.figure}" and rule.about
    assert set(Budget.model_fields) <= set(RULES)


def test_defaults_are_of_what_is_known():
    assert defaults(["drop_points", "latency_ms", "flex_operators"]) == {
        "max_drop_points": 1.0,
        "max_flex_operators": 0,
    }


def test_failure_names_every_rule_that_is_broken():
    figures = {"size_mb": Figure(2.0), "drop_points": Figure(0.1), "latency_ms": Figure(30.0)}
    found = check("a.tflite", figures, {"max_latency_ms": 20, "max_size_mb": 1, "max_drop_points": 1})
    assert [one.rule.name for one in found] == ["max_drop_points", "max_size_mb", "max_latency_ms"]
    failed = failure(found, "Mend it.")
    assert failed is not None and failed.exit_code == 1
    assert failed.fact == "a.tflite has 2.00 MB, limit 1; a.tflite takes 30.000 ms, limit 20."
    assert failure(found[:1], "Mend it.") is None
