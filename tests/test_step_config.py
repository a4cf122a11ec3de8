"""The `steps:` of a recipe: how they are written, resolved, changed from the command line, and complained of."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from edgekit.errors import BadInput, UsageError
from edgekit.recipe import Recipe, load_recipe
from edgekit.recipe_fields import parse_set
from edgekit.step_config import QUANTIZING, STEPS, QuantizeAware, Rewrite, Step


def recipe(tmp_path: Path, text: str, *assignments: str) -> Recipe:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    return load_recipe(file, parse_set(assignments))


def refusal(tmp_path: Path, text: str, *assignments: str) -> str:
    with pytest.raises(BadInput) as caught:
        recipe(tmp_path, text, *assignments)
    return str(caught.value).replace(str(tmp_path / "mine.yaml"), "")


def test_the_table_is_the_model() -> None:
    assert list(STEPS) == list(Step.model_fields) and set(QUANTIZING) < set(STEPS)
    for name, config in STEPS.items():
        step = Step.model_validate({name: {}})
        assert (step.name, step.config, step.quantizing) == (name, config(), name in QUANTIZING)


@pytest.mark.parametrize("written", ["- rewrite", "- rewrite:", "- rewrite: {}", "- {rewrite: {hard_swish: exact}}"])
def test_a_step_may_be_its_name_alone(tmp_path: Path, written: str) -> None:
    assert recipe(tmp_path, f"steps:\n{written}").steps == (Step(rewrite=Rewrite()),)


def test_channels_without_a_target_are_half_the_macs(tmp_path: Path) -> None:
    (step,) = recipe(tmp_path, "steps: [channels: {rounds: 2}]").steps
    assert step.config.target == ("macs", 0.5) and step.trains and not step.needs_labels
    (step,) = recipe(tmp_path, "steps: [channels: {latency_ms: 3, distil: false}]").steps
    assert step.config.target == ("latency_ms", 3.0) and step.config.macs is None and step.needs_labels


def test_the_resolved_recipe_reads_as_written_and_reads_back(tmp_path: Path) -> None:
    resolved = recipe(tmp_path, "steps:\n- rewrite\n- quantize_aware: {epochs: 3, weight_bits: 4, exclude: ['head*']}")
    dumped = yaml.safe_load(resolved.to_yaml())["steps"]
    assert [list(step) for step in dumped] == [["rewrite"], ["quantize_aware"]]
    assert dumped[1]["quantize_aware"]["exclude"] == ["head*"]
    assert recipe(tmp_path, resolved.to_yaml()) == resolved
    assert recipe(tmp_path, "").steps == ()


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("steps:\n- rewrite\n- quantise_aware: {}", ":3:", "'steps.1.quantise_aware'. Nearest: 'quantize_aware'"),
        ("steps: [quantise]", ":1:", "Nearest: 'quantize_aware'"),
        ("steps:\n- quantize_aware:\n    epoch: 2", ":3:", "'steps.0.quantize_aware.epoch'. Nearest: 'epochs'"),
        ("steps:\n- quantize_aware: {weight_bits: 5}", ":2:", "quantize_aware.weight_bits: Input should be 8 or 4"),
        ("steps:\n- quantize_aware: {epochs: two}", ":2:", "quantize_aware.epochs: Input should be a valid integer"),
        ("steps:\n- rewrite: {}\n  equalize: {}", ":2:", "one of them has 2 steps in one entry, rewrite and equalize"),
        ("steps:\n- {}", ":2:", "one of them is empty"),
        ("steps: quantize_aware", ":1:", "steps: Input should be a valid array"),
        ("steps:\n- 3", ":2:", "steps.0: Input should be an object"),
        ("seed: 1\nsteps: [correct_bias, quantize_aware]", ":2:", "correct_bias and quantize_aware each make"),
        ("steps:\n- channels: {macs: 0.5, params: 0.5}", ":2:", "macs and params are both targets; keep one"),
        ("steps:\n- channels: {macs: 0.5, device: cpu}", ":2:", "nothing is measured for macs; leave device out"),
        ("steps:\n- channels: {macs: 50}", ":2:", "channels.macs: Input should be less than 1"),
        ("seed: 1\nsteps: [quantize_aware, rewrite]", ":2:", "quantize_aware comes last, behind rewrite"),
        ("steps: [quantize_aware]\nvariants: [float32]", ":1:", "int8 is not among the variants"),
        ("steps: [learn_rounding]\nvariants: [int8, mixed]", ":1:", "cannot be together with learn_rounding"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, text: str, where: str, says: str) -> None:
    said = refusal(tmp_path, text)
    assert said.startswith(where) and says in said and "Value error" not in said


@pytest.mark.parametrize(
    ("text", "assignments", "steps"),
    [
        ("", ["steps.quantize_aware.epochs=3"], [{"quantize_aware": {"epochs": 3}}]),
        ("steps: [rewrite]", ["steps.quantize_aware.epochs=3"], [{"rewrite": {}}, {"quantize_aware": {"epochs": 3}}]),
        ("steps: [quantize_aware: {epochs: 1, weight_bits: 4}]", ["steps.quantize_aware.epochs=3"],
         [{"quantize_aware": {"epochs": 3, "weight_bits": 4}}]),
        ("steps: [rewrite, equalize]", ["steps.0.rewrite.swish=relu6"],
         [{"rewrite": {"swish": "relu6"}}, {"equalize": {}}]),
        ("steps: [rewrite, equalize]", ["steps.1={quantize_aware: {}}"], [{"rewrite": {}}, {"quantize_aware": {}}]),
        ("steps: [rewrite: {hard_swish: keep}]", ["steps.rewrite={}"], [{"rewrite": {}}]),
        ("steps: [rewrite]", ["steps=[{quantize_aware: {exclude: [a, 'b*']}}]"],
         [{"quantize_aware": {"exclude": ["a", "b*"]}}]),
        ("steps: [rewrite]", ["steps=[]"], []),
    ],
)  # fmt: skip
def test_the_command_line_reaches_into_the_list(
    tmp_path: Path, text: str, assignments: list[str], steps: list[dict[str, Any]]
) -> None:
    assert recipe(tmp_path, text, *assignments).steps == Recipe.model_validate({"steps": steps}).steps


def test_what_is_wrong_on_the_command_line_is_blamed_on_it(tmp_path: Path) -> None:
    said = refusal(tmp_path, "steps: [quantize_aware]", "steps.quantize_aware.epochs=-1")
    assert said.startswith("the command line: steps.0.quantize_aware.epochs: Input should be greater")
    assert "unknown key 'steps.1.quantise_aware'" in refusal(
        tmp_path, "steps: [rewrite]", "steps.quantise_aware.epochs=1"
    )
    assert "Nearest: 'quantize_aware'" in refusal(tmp_path, "seed: 1", "steps=[quantise_aware]")
    with pytest.raises(UsageError, match="There is no step 3; the recipe has 1"):
        recipe(tmp_path, "steps: [rewrite]", "steps.3.rewrite.swish=keep")


def test_which_steps_want_what() -> None:
    def step(**fields: Any) -> Step:
        return Step(quantize_aware=QuantizeAware(**fields))

    assert (step().trains, step().needs_labels) == (True, False)
    assert (step(distil=False).trains, step(distil=False).needs_labels) == (True, True)
    assert (step(epochs=0, distil=False).trains, step(epochs=0, distil=False).needs_labels) == (False, False)
    assert Step(rewrite=Rewrite(finetune_epochs=1)).trains and not Step(rewrite=Rewrite()).trains
    assert (step(distil="teacher").needs_labels, step(distil="teacher").needs_teacher) == (True, True)
    assert not step().needs_teacher and not step(epochs=0, distil="teacher").needs_teacher


def test_a_step_learns_from_a_teacher_that_there_is(tmp_path: Path) -> None:
    text = "seed: 1\nsteps:\n- quantize_aware: {distil: teacher}"
    assert "quantize_aware learns from the teacher of train.distil, and there is none" in refusal(tmp_path, text)
    found = recipe(tmp_path, f"{text}\ntrain:\n  distil: {{teacher: [a.keras, b.keras], alpha: 0.5}}")
    assert found.train.distil is not None and found.train.distil.teacher == ("a.keras", "b.keras")
    assert recipe(tmp_path, found.to_yaml()) == found


@pytest.mark.parametrize(
    ("text", "assignment", "names"),
    [
        ("steps: [quantize_aware]", "steps.rewrite.dense=conv", ["rewrite", "quantize_aware"]),
        ("steps: [rewrite, quantize_aware]", "steps.prune.sparsity=0.5", ["rewrite", "prune", "quantize_aware"]),
        ("steps: [prune, cluster]", "steps.quantize_aware.epochs=2", ["prune", "cluster", "quantize_aware"]),
        ("", "steps.channels.macs=0.5", ["channels"]),
    ],
)
def test_a_step_that_is_set_is_added_where_it_usually_stands(
    tmp_path: Path, text: str, assignment: str, names: list[str]
) -> None:
    assert [step.name for step in recipe(tmp_path, text, assignment).steps] == names


def test_lines_are_still_those_of_the_file_where_a_step_was_added(tmp_path: Path) -> None:
    text = "steps:\n- rewrite\n- quantize_aware: {epochs: two}"
    assert refusal(tmp_path, text, "steps.prune.sparsity=0.5").startswith(":3: steps.2.quantize_aware.epochs: ")
    said = refusal(tmp_path, "steps:\n- rewrite\n- quantize_aware", "steps.prune.sparsity=two")
    assert said.startswith("the command line: steps.1.prune.sparsity: ")
