from dataclasses import replace

import pytest

from edgekit.evaluation.gate import Candidate, choose, drop_points, violations
from edgekit.recipe import Budget

FLOAT = Candidate("float32", True, 0.98, 0.40, (0.39, 0.41), 1_600_000)
INT8 = Candidate("int8", True, 0.975, 0.10, (0.099, 0.1005), 600_000, 70_000)
DYNAMIC = Candidate("dynamic", True, 0.98, 0.1015, (0.1012, 0.1018), 500_000)


def test_the_fastest_within_the_budget_is_chosen_and_near_ties_go_to_the_smallest() -> None:
    assert choose([FLOAT, INT8], Budget()).chosen == "int8"
    assert choose([FLOAT, INT8, DYNAMIC], Budget()).chosen == "dynamic"  # 1.5 % slower, smaller
    assert (
        choose([FLOAT, INT8, replace(DYNAMIC, latency_ms=0.103, latency_ci95=(0.102, 0.104))], Budget()).chosen
        == "int8"
    )  # 3 % slower


def test_noise_does_not_choose() -> None:
    """int8 8 % slower by median, but in intervals that overlap: the smaller file."""
    noisy = replace(INT8, latency_ms=0.43, latency_ci95=(0.40, 0.47))
    assert choose([FLOAT, noisy], Budget()).chosen == "int8"
    assert choose([FLOAT, replace(noisy, latency_ci95=(0.42, 0.47))], Budget()).chosen == "float32"


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        (Budget(max_drop_points=0.4), "loses 0.50 points of top-1, budget 0.4"),
        (Budget(max_size_mb=0.5), "has 0.60 MB, budget 0.5"),
        (Budget(max_latency_ms=0.05), "takes 0.100 ms, budget 0.05"),
        (Budget(max_arena_kb=64), "needs an arena of 70.0 kB, budget 64"),
    ],
)
def test_the_violated_budget_is_named(budget: Budget, sentence: str) -> None:  # R35
    assert violations(INT8, FLOAT, budget) == (sentence,)


def test_exactly_on_the_budget_is_within_it() -> None:
    assert violations(INT8, FLOAT, Budget(max_drop_points=0.5, max_size_mb=0.6, max_latency_ms=0.1)) == ()


def test_an_unverified_file_is_never_chosen() -> None:
    broken = replace(INT8, verified=False, latency_ms=0.01)
    choice = choose([FLOAT, broken], Budget())
    assert choice.chosen == "float32"
    assert choice.violations["int8"] == ("failed verification",)


def test_nothing_is_chosen_where_nothing_passes() -> None:
    assert choose([FLOAT, INT8], Budget(max_size_mb=0.1)).chosen is None


def test_a_better_candidate_has_a_negative_drop() -> None:
    assert drop_points(replace(INT8, top1=0.99), FLOAT) == -1.0


def test_default_budgets() -> None:  # R35
    assert (Budget().max_size_mb, Budget().max_latency_ms) == (50, 100)
