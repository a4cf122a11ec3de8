"""Exports carry their contract: what the card says, no path of the machine, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.artifact import sha256_of
from edgekit.evaluation.golden import checked, fed
from edgekit.exporting.export import Exporter
from edgekit.metadata_config import Metadata
from edgekit.recipe import Recipe
from edgekit.runtime.embedded import embedded_of, golden_vectors
from edgekit.runtime.flatbuffer import without_metadata
from edgekit.runtime.interpreter import open_model
from tests.exporting.conftest import Trained

RECIPE = Recipe.model_validate({
    "model": {"name": "/home/jo/secret/my.keras", "custom": r"C:\\Users\\jo\\layers.py"},
    "data": {"source": "/home/jo/photos", "labels": "names/labels.txt"},
    "metadata": {"author": "Jo", "license": "MIT"},
})  # fmt: skip


@pytest.mark.parametrize(
    ("variant", "io"), [("float32", "float32"), ("int8", "float32"), ("int8", "uint8"), ("int8", "int8")]
)
def test_every_kind_of_file_says_what_its_card_says(variant: str, io: str, trained: Trained, tmp_path: Path) -> None:
    exporter = Exporter(trained.model, trained.dataset, metadata=RECIPE.metadata)
    artifact = exporter.write(tmp_path, variant, io, RECIPE).artifact
    content, card = artifact.content, artifact.card
    found = embedded_of(content, "m")
    assert card is not None and found.contract is not None and found.standard is not None
    for name in ("model", "variant", "io", "model_sha256", "preprocessing", "normalization_in_graph", "output_meaning"):
        assert getattr(found.contract, name) == getattr(card, name), name
    assert found.labels == card.labels and found.standard["author"] == "Jo"
    assert (card.size_bytes, card.sha256) == (len(content), sha256_of(content))
    assert card.model_bytes == len(without_metadata(content)) < card.size_bytes
    graph = found.standard["subgraph_metadata"][0]
    options = graph["input_tensor_metadata"][0]["process_units"][0]["options"]["value"]
    assert options == {"mean": [127.5 if io == "float32" else 0.0], "std": [127.5 if io == "float32" else 1.0]}
    model = open_model(content)
    for vector in golden_vectors(found, "m"):
        assert checked(model.run(*fed(vector, card.preprocessing)), vector, found.contract.golden.tolerance).within


def test_the_same_bytes_and_no_folder_of_the_machine(trained: Trained, tmp_path: Path) -> None:
    exporter = Exporter(trained.model, trained.dataset, metadata=RECIPE.metadata)
    first, second = (exporter.write(tmp_path / name, "float32", recipe=RECIPE).artifact.content for name in "ab")
    assert first == second
    assert not any(word in first for word in (b"/home", b"secret", b"Users", b"photos/"))
    recipe = embedded_of(first, "m").contract.recipe
    assert (recipe["model"]["name"], recipe["model"]["custom"]) == ("my.keras", "layers.py")
    assert recipe["data"]["source"] == "photos" and recipe["variants"] == ["float32"] and "budget" not in recipe
    assert Recipe.model_validate(recipe).train == RECIPE.train


def test_golden_vectors_can_be_left_out(trained: Trained, tmp_path: Path) -> None:
    exporter = Exporter(trained.model, trained.dataset, metadata=Metadata(golden=False))
    found = embedded_of(exporter.write(tmp_path, "float32").artifact.content, "m")
    assert list(found.files) == ["labels.txt", "edgekit.json"]
    assert found.contract is not None and found.contract.golden is None and found.contract.recipe is None


def test_the_file_answers_as_the_bare_one(trained: Trained, tmp_path: Path) -> None:
    content = Exporter(trained.model, trained.dataset).write(tmp_path, "int8").artifact.content
    image = np.random.default_rng(0).uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32)
    whole, bare = (open_model(one).run(image)[0] for one in (content, without_metadata(content)))
    assert whole.tobytes() == bare.tobytes()
