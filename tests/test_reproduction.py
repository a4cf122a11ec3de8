"""A file is built again from the recipe inside it; what differs, and what is missing, is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgekit.artifact import card_path
from edgekit.cli.diff_text import reproduction_text
from edgekit.errors import BadInput, UsageError
from edgekit.pipeline import compress
from edgekit.recipe import load_recipe
from edgekit.reproduction import reproduce
from tests import tiny
from tests.described import described, with_contract
from tests.test_pipeline import FIELDS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    images = tiny.folder(folder / "stripes", 180)
    given = {**FIELDS, "data.source": str(images), "train.epochs": 1}
    run = compress(load_recipe(None, given), out=folder / "run")
    return next(one.path for one in run.artifacts if one.card and one.card.variant == "int8")


def alone(made: Path, folder: Path) -> Path:
    """The file as somebody gets it: without its card."""
    return Path(shutil.copy(made, folder / made.name))


def test_the_same_bytes_are_built_again(made: Path, tmp_path: Path) -> None:
    found = reproduce(made)  # with the card beside it, whose recipe knows where the images are
    assert found.same_file and found.same_model and found.failed is None
    assert found.metrics["top1"][0] == found.metrics["top1"][1] is not None
    file = alone(made, tmp_path)
    with pytest.raises(UsageError, match=r"data\.source, that no file carries") as missing:
        reproduce(file)
    assert missing.value.remedy == "Give it: --data"
    again = reproduce(file, {"data.source": str(made.parents[2] / "stripes")}, out=tmp_path / "kept")
    assert again.same_file and again.metrics == {} and (tmp_path / "kept" / "run.json").is_file()
    assert "The same bytes." in reproduction_text(again)


def test_another_seed_is_another_model(made: Path) -> None:
    found = reproduce(made, {"seed": 1})
    assert not found.same_model and found.contract["recipe.seed"] == (0, 1) and found.failed is not None
    assert "layers differ" in found.failed.fact and found.model is not None and found.answers is not None
    assert "recipe.seed: 0 -> 1" in reproduction_text(found)


def test_nothing_that_a_strangers_recipe_names_is_opened(made: Path, tmp_path: Path) -> None:
    content = made.read_bytes()
    from edgekit.runtime.embedded import embedded_of

    contract = embedded_of(content, "m").contract
    assert contract is not None and contract.recipe is not None
    evil = {**contract.recipe, "model": {**contract.recipe["model"], "custom": "/tmp/evil.py", "name": "/etc/passwd"}}
    path = tmp_path / "evil.tflite"
    path.write_bytes(with_contract(content, recipe=evil))
    with pytest.raises(UsageError, match="model.custom") as caught:
        reproduce(path, {"data.source": "digits"})
    assert "--custom" in caught.value.remedy and "--model" in caught.value.remedy


def test_a_file_without_a_recipe(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="carries no recipe"):
        reproduce(described(tmp_path))


def test_a_card_may_not_run_python_either(made: Path, tmp_path: Path) -> None:
    import json

    from edgekit.artifact import write_json

    file = alone(made, tmp_path)
    card = json.loads(card_path(made).read_text())
    card["recipe"]["model"]["custom"] = str(tmp_path / "layers.py")
    write_json(card_path(file), card)
    with pytest.raises(UsageError, match="model.custom"):
        reproduce(file)
