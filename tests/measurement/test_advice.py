"""Advice on real files: what is slow in them, and nothing on those that are not."""

import pytest
import yaml

from edgekit.measurement.advice import RULES, advice, gains
from edgekit.measurement.profile import profile
from edgekit.recipe import Recipe
from tests.measurement import slow_ops

SHORT = {"min_runs": 20, "min_seconds": 0.05}


def advised(*about):
    found = profile(slow_ops.path(*about), **SHORT)
    return found, {one.name: one for one in advice(found)}


def test_hard_swish_in_eight_bits():
    found, said = advised("int8")
    hard = said["hard-swish-int8"]
    assert hard.share == pytest.approx(sum(one.share for one in found.operators if one.op == "HARD_SWISH"))
    assert len(hard.operators) == 2 and hard.share > 0.05
    assert hard.gains and all(gain.times > 1 for gain in hard.gains)
    assert f"{100 * hard.share:.0f} % of the time, 2 operators" in hard.text() and "times as fast" in hard.text()


@pytest.mark.parametrize(
    ("about", "name"),
    [
        (("dynamic",), "dynamic-range-x86"),
        (("float16",), "float16-weights"),
        (("int16x8", "relu"), "int16x8"),
        (("int8", "relu", 13), "odd-channels-int8"),
    ],
)
def test_what_is_slow_is_named_with_its_share(about, name):
    found, said = advised(*about)
    if name == "dynamic-range-x86" and found.conditions["machine"] not in ("x86_64", "AMD64"):
        pytest.skip("not an x86 machine")
    assert name in said and 0 < said[name].share <= 1 + 1e-9 and said[name].step


def test_swish_that_the_delegate_makes_one_kernel_of_is_not_slow():
    """LiteRT 2.3 looks x * sigmoid(x) up in a table; its operators are found, and take no time worth an advice."""
    found, said = advised("int8", "silu")
    (rule,) = (one for one in RULES if one.name == "swish-int8")
    assert [one.op for one in rule.finds(found)] == ["LOGISTIC", "MUL"] * 2
    assert "swish-int8" not in said


def test_nothing_on_what_is_fast():
    assert advised("float32")[1] == {} and advised("int8", "relu")[1] == {}


def test_every_step_is_one_that_a_recipe_takes():
    for rule in RULES:
        taken = Recipe.model_validate(yaml.safe_load(rule.step.split(", or")[0]))
        assert taken.steps or taken.variants == ("int8",)


def test_gains_are_of_rules():
    assert set(gains()) <= {rule.name for rule in RULES}
