import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekit.artifact import VARIANTS, load_artifact, sha256_of
from edgekit.data.images import normalize
from edgekit.errors import CheckFailed
from edgekit.evaluation.parity import float_operators, parity
from edgekit.exporting.convert import convert
from edgekit.exporting.export import Exporter, export
from edgekit.exporting.freeze import freeze
from edgekit.preprocess import Preprocess, preset
from edgekit.recipe import Verify
from edgekit.runtime.flatbuffer import without_metadata
from edgekit.runtime.interpreter import open_model
from edgekit.schemas import load_schema
from tests.exporting.conftest import Trained

CONVERTED = tuple(variant for variant in VARIANTS if variant != "mixed")  # which is found by measuring


def test_export_writes_verified_files_with_cards(trained: Trained, tmp_path: Path) -> None:  # R26
    import jsonschema

    loose = Verify(dynamic_agreement=0.95)  # of 180 images two may lie on the edge, others for each number of threads
    artifacts = export(trained.model, tmp_path, dataset=trained.dataset, variants=CONVERTED, limits=loose)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        name for v in CONVERTED for name in (f"tiny_{v}.tflite", f"tiny_{v}.card.json")
    )
    for artifact in artifacts:
        card = artifact.card
        assert card is not None and load_artifact(artifact.path) == artifact
        jsonschema.validate(json.loads(artifact.path.with_suffix(".card.json").read_text()), load_schema("card"))
        assert card.sha256 == sha256_of(artifact.content)
        assert card.model_sha256 == sha256_of(without_metadata(artifact.content))
        assert (card.size_bytes, [one.shape for one in (*card.inputs, *card.outputs)]) == (
            len(artifact.content), [(1, 8, 8, 3), (1, 10)])  # fmt: skip
        assert card.verification["verified"] is True
        assert card.labels == tuple("0123456789")
        assert card.preprocessing == trained.dataset.preprocess
    sizes = {a.card.variant: a.card.size_bytes for a in artifacts if a.card}
    assert max(sizes["int8"], sizes["float16"]) < sizes["float32"]  # R19


def test_the_int8_file_is_integer_throughout(trained: Trained, tmp_path: Path) -> None:  # R19
    exporter = Exporter(trained.model, trained.dataset)
    normal, raw = exporter.write(tmp_path, "int8"), exporter.write(tmp_path, "int8", "uint8")
    assert raw.artifact.path.name == "tiny_int8_uint8.tflite"
    assert normal.parity.float_ops == raw.parity.float_ops == ()
    assert normal.parity.dtypes["float32"] == 2  # the input and the output, nothing between
    assert "float32" not in raw.parity.dtypes


def test_integer_files_say_that_they_take_raw_pixels(trained: Trained, tmp_path: Path) -> None:  # R12
    """One rule feeds every file: normalize by the card's preprocessing, then quantize by the card's input."""
    exporter = Exporter(trained.model, trained.dataset)
    images = trained.dataset.test.read(range(40))
    answers = []
    for io in ("float32", "uint8", "int8"):
        card = exporter.write(tmp_path, "int8", io).artifact.card
        assert card is not None
        if io != "float32":
            assert card.preprocessing.mean == (0, 0, 0) and card.preprocessing.std == (1, 1, 1)
            assert card.normalization_in_graph is not None and card.normalization_in_graph.mean == (127.5,) * 3
        path = tmp_path / f"tiny_int8{'' if io == 'float32' else '_' + io}.tflite"
        opened = open_model(path)
        answers.append(np.concatenate([opened.run(normalize(image[None], card.preprocessing))[0] for image in images]))
    for other in answers[1:]:
        np.testing.assert_allclose(other, answers[0], atol=0.05)


@pytest.mark.parametrize("name", ["raw", "unit", "caffe", "imagenet"])
def test_every_normalization_goes_into_the_graph(trained: Trained, tmp_path: Path, name: str) -> None:
    data = replace(trained.dataset, preprocess=preset(name, 8, 8))
    made = Exporter(trained.model, data, limits=Verify(int8_agreement=0)).write(tmp_path, "int8", "uint8")
    card = made.artifact.card
    assert card is not None and (card.inputs[0].scale, card.inputs[0].zero_point) == (1.0, 0)
    assert made.parity.float_ops == ()
    assert isinstance(card.preprocessing, Preprocess) and card.preprocessing.channels == data.preprocess.channels


def test_a_file_that_says_something_else_fails_with_the_numbers(trained: Trained) -> None:
    data = trained.dataset
    inputs = normalize(data.val.read(range(50)), data.preprocess)
    content = convert(freeze(trained.model), "float32")
    right = np.concatenate([open_model(content).run(one[None])[0] for one in inputs])
    assert parity(content, "float32", (inputs,), (right,), Verify()).verified
    wrong = right[:, ::-1]
    found = parity(content, "float32", (inputs,), (wrong,), Verify())
    assert not found.verified and found.agreement < 0.5
    assert "outputs differ by" in found.failures[0] and "agrees with the model on" in found.failures[1]


def test_ties_are_not_held_against_a_file(trained: Trained) -> None:
    inputs = normalize(trained.dataset.val.read(range(20)), trained.dataset.preprocess)
    content = convert(freeze(trained.model), "float32")
    tied = np.full((20, 10), 0.1, np.float32)
    assert parity(content, "float32", (inputs,), (tied,), Verify(float32_max_relative=1e6)).agreement == 1.0


def test_float_operators_of_a_half_quantized_file_are_named(trained: Trained) -> None:
    """Dynamic-range files compute in float: an int8 claim about one must fail."""
    content = convert(freeze(trained.model), "dynamic")
    assert any(name.startswith("CONV_2D") for name in float_operators(content))
    inputs = normalize(trained.dataset.val.read(range(5)), trained.dataset.preprocess)
    reference = np.concatenate([open_model(content).run(one[None])[0] for one in inputs])
    found = parity(content, "int8", (inputs,), (reference,), Verify())
    assert any("operators still compute in float: " in failure for failure in found.failures)


def test_export_raises_with_the_numbers_and_keeps_the_files(trained: Trained, tmp_path: Path) -> None:
    strict = Verify(float32_max_relative=1e-12)
    with pytest.raises(CheckFailed, match=r"float32: outputs differ by \d\.\d+e-\d+ of the largest output"):
        export(trained.model, tmp_path, dataset=trained.dataset, variants=("float32",), limits=strict)
    card = load_artifact(tmp_path / "tiny_float32.tflite").card
    assert card is not None and card.verification["verified"] is False
