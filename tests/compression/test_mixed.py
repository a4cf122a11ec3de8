import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.artifact import load_artifact
from edgekit.compression.mixed import Mixed, mix
from edgekit.compression.sensitivity import sensitivity
from edgekit.errors import UsageError
from edgekit.evaluation.parity import parity
from edgekit.exporting.convert import convert
from edgekit.exporting.export import Exporter, export
from edgekit.exporting.freeze import freeze
from edgekit.recipe import Verify
from edgekit.runtime.flatbuffer import op_name, parse, without_metadata
from edgekit.runtime.interpreter import open_model
from tests.compression.unbalanced import SPOILED, digits, network


@pytest.fixture(scope="module")
def exporter() -> Exporter:
    dataset = digits()
    return Exporter(network(dataset), dataset)


@pytest.fixture(scope="module")
def mixed(exporter: Exporter, tmp_path_factory: pytest.TempPathFactory) -> Mixed:
    return mix(exporter, tmp_path_factory.mktemp("mixed"), max_drop_points=2.0)


def test_the_two_layers_that_spoil_it_stay_float_and_no_others(mixed: Mixed) -> None:
    report = mixed.report
    assert mixed.reached and report["by"] == "top1" and report["lost"] <= 2.0 < 30 < report["int8_lost"]
    assert {one["layer"] for one in report["float_layers"]} == {SPOILED, "narrow"}
    assert report["score"]["agreement"] > 0.95 and report["sensitivity"]["layers"][0]["layer"] in (SPOILED, "narrow")
    assert mixed.sentence == (
        f"The mixed file is within the budget: {report['lost']:.2f} top-1 points lost, budget 2, "
        f"with 2 layers in float ({', '.join(one['layer'] for one in report['float_layers'])})."
    )
    json.dumps(report, allow_nan=False)


def test_the_file_is_int8_but_for_them_and_its_card_says_so(mixed: Mixed, exporter: Exporter) -> None:
    card = load_artifact(mixed.exported.artifact.path).card
    assert card is not None and card.variant == "mixed" and card.verification["verified"]
    assert mixed.exported.artifact.path.name == "unbalanced_mixed.tflite"
    left = {one["tensor"] for one in mixed.report["float_layers"]}
    assert set(card.verification["float_layers"]) == left
    model = parse(mixed.exported.artifact.content)
    kernels = {op_name(model, op) + str(model.subgraphs[0].tensors[op.inputs[1]].type)
               for op in model.subgraphs[0].operators if len(op.inputs) > 2}  # fmt: skip
    assert kernels == {"CONV_2D0", "CONV_2D9", "FULLY_CONNECTED9"}
    assert mixed.report["float_ops"] == len(card.verification["float_ops"]) == 4  # and what leads to them and away
    assert mixed.report["int8_bytes"] < mixed.report["model_bytes"] == card.model_bytes


def test_verification_refuses_a_float_layer_that_nobody_named(mixed: Mixed, exporter: Exporter) -> None:
    inputs, outputs = exporter._reference
    content, (first, second) = mixed.exported.artifact.content, mixed.exported.parity.float_layers
    assert parity(content, "mixed", inputs, outputs, Verify(), float_layers=(first, second)).verified
    (failure,) = parity(content, "mixed", inputs, outputs, Verify(), float_layers=(first,)).failures
    assert failure == f"1 operators still compute in float: CONV_2D {second}"
    assert not parity(content, "int8", inputs, outputs, Verify()).verified
    spoiled = exporter.integer()
    (failure,) = parity(spoiled, "mixed", inputs, outputs, Verify()).failures
    assert failure.startswith("agrees with the model on ") and failure.endswith("limit 95.0%")


def test_a_budget_that_int8_meets_leaves_nothing_float(exporter: Exporter, tmp_path: Path) -> None:
    found = mix(exporter, tmp_path, max_drop_points=95.0)
    assert found.reached and found.report["float_layers"] == [] and found.report["float_ops"] == 0
    assert found.report["model_bytes"] == found.report["int8_bytes"]
    assert without_metadata(found.exported.artifact.content) == without_metadata(exporter.integer())


def test_raw_pixels_are_taken_too(exporter: Exporter, tmp_path: Path) -> None:
    found = mix(exporter, tmp_path, io="uint8", max_drop_points=2.0)
    (entry,) = open_model(found.exported.artifact.path).inputs
    assert (entry.dtype, entry.scale, entry.zero_point) == ("uint8", 1.0, 0)
    assert found.reached and {one["layer"] for one in found.report["float_layers"]} == {SPOILED, "narrow"}


def test_a_budget_no_mix_reaches_gives_the_closest(exporter: Exporter, tmp_path: Path) -> None:
    """Against a better network's float32 file: even this one in float is too far from that."""
    data = digits()
    worse = network(data)
    kernel, bias = worse.get_layer("logits").get_weights()
    worse.get_layer("logits").set_weights([kernel[:, ::-1], bias[::-1]])
    better = convert(freeze(exporter.model), "float32")
    found = mix(Exporter(worse, data), tmp_path, max_drop_points=0.5, against=better)
    assert not found.reached and found.report["lost"] > 30
    assert found.sentence.startswith("The mixed file is the closest to the budget that any mix comes: ")
    assert found.exported.artifact.path.is_file()


def test_without_labels_the_confidence_of_the_float_file_counts(exporter: Exporter, tmp_path: Path) -> None:
    data = replace(digits(), class_names=())
    found = mix(Exporter(exporter.model, data), tmp_path, max_drop_points=2.0)
    assert found.reached and found.report["by"] == "confidence" and found.report["score"]["drop_points"] is None
    assert found.report["score"]["expected_points"] < found.report["lost"] == found.report["score"]["expected_most"]
    assert {one["layer"] for one in found.report["float_layers"]} == {SPOILED, "narrow"}


def test_what_is_no_classifier_is_brought_back_to_its_signal_to_noise_ratio(exporter: Exporter, tmp_path: Path) -> None:
    given = Exporter(exporter.model, digits(), softmax=False, classifier=False, limits=Verify(min_sqnr_db=25))
    found = mix(given, tmp_path)
    assert found.reached and found.report["by"] == "sqnr_db" and found.report["score"]["sqnr_db"] >= 25
    assert {SPOILED, "narrow"} <= {one["layer"] for one in found.report["float_layers"]}


def test_a_killed_search_continues_and_comes_out_the_same(mixed: Mixed, exporter: Exporter, tmp_path: Path) -> None:
    state = tmp_path / "state"
    sensitivity(exporter, state=state)
    first = mix(exporter, tmp_path, max_drop_points=2.0, state=state)
    lines = next(state.iterdir()).read_text()
    again = mix(exporter, tmp_path, max_drop_points=2.0, state=state)
    assert next(state.iterdir()).read_text() == lines
    assert again.report == first.report == mixed.report
    assert again.exported.artifact.content == mixed.exported.artifact.content


def test_export_says_who_makes_the_mixed_variant(exporter: Exporter, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="The mixed variant is found by measuring"):
        export(exporter.model, tmp_path, dataset=digits(), variants=("mixed",))
