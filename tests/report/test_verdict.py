from pathlib import Path

from edgekit.report.verdict import verdict
from tests.report.example import VARIANTS, make_results

TWO = {name: VARIANTS[name] for name in ("float32", "int8")}
BUDGET = "The budget: at most 1 point of top-1 below float32, 50 MB, 100 ms."


def test_the_chosen_variant_with_what_it_gains_and_costs(tmp_path: Path) -> None:
    found = verdict(make_results(tmp_path))
    assert found.ok
    assert found.headline == "int8 is 3.1 times smaller and 2.2 times faster than float32, with 0.83 points less top-1."
    assert found.sentences == (
        "Ship artifacts/mobilenet_v2_int8.tflite: 591 kB, top-1 97.78 % on 360 test images "
        "(95 % interval 95.7 to 98.9 %), 0.0999 ms median.",
        "Of the 360 test images it gets 3 fewer right than float32; both say the same class for 99.17 % of them.",
        "Of the 5 variants that verify and meet the budget it has the lowest median latency.",
        BUDGET,
    )


def test_no_variant_within_the_budget(tmp_path: Path) -> None:
    found = verdict(make_results(tmp_path, TWO, budget={"max_size_mb": 0.1}))
    assert not found.ok
    assert found.headline == "No variant meets the budget: there is nothing to ship yet."
    assert found.sentences == ("The budget: at most 1 point of top-1 below float32, 0.1 MB, 100 ms.",)


def test_the_reference_itself_is_chosen(tmp_path: Path) -> None:
    found = verdict(make_results(tmp_path, {**TWO, "int8": (591_016, 96_400, 30, True)}))
    assert found.headline == "float32 is the one to ship: no other that meets the budget is clearly faster."
    assert found.sentences[1] == "Of 2 variants it is the only one that verifies and meets the budget."


def test_equal_speed_is_not_called_faster_and_the_smaller_file_wins(tmp_path: Path) -> None:
    found = verdict(make_results(tmp_path, {name: VARIANTS[name] for name in ("float32", "float16")}))
    assert found.headline == "float16 is 2.0 times smaller and about as fast as float32, with the same top-1."
    assert found.sentences[1] == (
        "Of the 360 test images it gets as many right as float32; both say the same class for 100.00 % of them."
    )
    assert found.sentences[2].endswith(
        "it has the smallest file of the 2 that are as fast as the fastest, as far as was measured."
    )


def test_a_variant_that_failed_verification_is_a_failed_check(tmp_path: Path) -> None:
    found = verdict(make_results(tmp_path, {**TWO, "int16x8": (640_112, 402_000, 1, False)}))
    assert not found.ok
    assert found.headline.startswith("int8 is 3.1 times smaller")


def test_an_unstable_latency_is_said(tmp_path: Path) -> None:
    results = make_results(tmp_path)
    row = next(row for row in results["variants"] if row["chosen"])
    row.update(verdict="unstable", doubts=["it became 20 % slower while it ran"])
    said = "Its latency is unstable: it became 20 % slower while it ran. Measure again on an idle machine."
    assert verdict(results).sentences[-1] == said


def test_an_accuracy_of_guessing_is_said(tmp_path: Path) -> None:
    found = verdict(make_results(tmp_path, {"float32": (1_811_204, 214_000, 325, True)}))
    assert found.sentences[0] == "Mind that its top-1 is no better than guessing one of 10 classes."
