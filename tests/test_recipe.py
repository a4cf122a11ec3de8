from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.distil_config import Distil
from edgekit.errors import BadInput, UsageError
from edgekit.models.zoo import ZOO, find
from edgekit.preprocess import Preparation
from edgekit.recipe import Data, Recipe, load_recipe
from edgekit.recipe_fields import FLAGS, parse_set
from edgekit.recipe_names import (
    DEFAULT,
    DEFAULT_RECIPES,
    OWN,
    PRETRAINED,
    default_recipe,
    shipped_recipes,
)
from edgekit.step_config import STEPS
from edgekit.train_config import Train


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_shipped_recipes_load_describe_themselves_and_name_a_real_model(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.description
    find(recipe.model.name)


def test_every_default_recipe_exists_and_suits_its_model() -> None:
    for full, row in ZOO.items():
        alone = default_recipe(full)
        assert find(load_recipe(alone).model.name)[1].family == row.family or alone in (DEFAULT, "resnet-int8"), full
        assert load_recipe(None, {"model.name": full}).model.name == full
        assert load_recipe(default_recipe(full, "imagenet")).train.fine_tune is not None
    assert {default_recipe(name) for name in ("my.keras", "models/mine", "a.h5")} == {OWN}
    assert set(DEFAULT_RECIPES.values()) | {DEFAULT, OWN, PRETRAINED} <= set(shipped_recipes())


def test_a_recipe_states_only_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("train:\n  epochs: 3\n  learning_rate: 2e-3\n")
    recipe = load_recipe(file)
    assert recipe == Recipe.model_validate({"train": {"epochs": 3, "learning_rate": 0.002}})
    assert load_recipe(file, {"train.epochs": 5}).train.epochs == 5


def test_resolved_yaml_reads_back_to_the_same_recipe(tmp_path: Path) -> None:
    recipe = load_recipe("all-variants", {"train.epochs": 3, "data.image_size": [48, 32], "seed": 7})
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.to_yaml())
    assert load_recipe(file) == recipe
    assert load_recipe(file).sha256() == recipe.sha256()


def test_the_hash_follows_the_values_and_not_the_description() -> None:
    recipe = Recipe()
    assert recipe.model_copy(update={"description": "other words"}).sha256() == recipe.sha256()
    assert recipe.model_copy(update={"seed": 1}).sha256() != recipe.sha256()


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("model:\n  nme: x", ":2:", "unknown key 'model.nme'. Nearest: 'name'"),
        ("train:\n  epochs: abc", ":2:", "train.epochs: Input should be a valid integer, not \"abc\""),
        ("train:\n  epochs: true", ":2:", "train.epochs"),
        ("\nvariants: [float32, int9]", ":2:", "variants.1"),
        ("- a", ":1:", "a recipe is a mapping of fields, not a list"),
        ("model: {", ":1:", "not valid YAML"),
        ("seed: 1\nseed: 2", ":2:", "seed is given twice"),
        ("model: 3", ":1:", "model: Input should be an object, not 3"),
        ("variants: int8", ":1:", "variants: Input should be a valid array"),
        ("train:\n  augment:\n    flp: none", ":3:", "Nearest: 'flip'"),
        ("budget: {max_size_mb: -1}", ":1:", "budget.max_size_mb: Input should be greater than 0"),
        ("bench: {devices: [gpu]}", ":1:", "bench.devices.0: Input should be 'cpu', not \"gpu\""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, text: str, where: str, says: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(BadInput) as caught:
        load_recipe(file)
    assert str(caught.value).startswith(f"{file}{where}"), caught.value
    assert says in str(caught.value)


def test_a_wrong_flag_is_blamed_on_the_command_line() -> None:
    with pytest.raises(BadInput, match=r"^the command line: train.epochs: .* not -1"):
        load_recipe(None, {"train.epochs": -1})


def test_unknown_recipe_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"Did you mean 'mobilenet-int8'\? Known: .*resnet-int8"):
        load_recipe("mobilenet-int")
    with pytest.raises(BadInput, match="is not a file"):
        load_recipe(tmp_path / "none.yaml")


def test_set_reads_values_as_yaml() -> None:
    assert parse_set(["train.epochs=3", "variants=[int8]", "train.learning_rate=1e-3", "data.source=my data"]) == {
        "train.epochs": 3,
        "variants": ["int8"],
        "train.learning_rate": 1e-3,
        "data.source": "my data",
    }
    with pytest.raises(UsageError, match="is not FIELD=VALUE"):
        parse_set(["train.epochs"])


def test_every_flag_names_a_field_of_the_recipe() -> None:
    taught = Train(distil=Distil(teacher=("a.keras",)))
    values = Recipe(data=Data(preprocess=Preparation()), train=taught).model_dump()
    values["steps"] = {name: config().model_dump() for name, config in STEPS.items()}
    for field in FLAGS.values():
        inner = values
        for part in field.split("."):
            assert part in inner, field
            inner = inner[part]


@given(st.text(max_size=200))
def test_any_text_is_a_recipe_or_bad_input(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.mktemp("r") / "any.yaml"
    file.write_text(text, encoding="utf-8")
    try:
        assert isinstance(load_recipe(file), Recipe)
    except BadInput as error:
        assert str(error).startswith(str(file))


def test_yaml_tags_build_no_objects(tmp_path: Path) -> None:
    file = tmp_path / "evil.yaml"
    file.write_text("description: !!python/object/apply:os.system ['touch pwned']")
    with pytest.raises(BadInput, match="not valid YAML"):
        load_recipe(file)


def test_calibrating_without_training_means_no_labels_unless_data_are_named() -> None:
    given = {"data.calibration": "photos", "train.epochs": 0}
    assert load_recipe("mobilenet-int8", given).data.source is None
    assert load_recipe("mobilenet-int8", {**given, "data.source": "digits"}).data.source == "digits"
    assert load_recipe("mobilenet-int8", {"data.calibration": "photos"}).data.source == "digits"
    assert load_recipe("mobilenet-int8", {"train.epochs": 0}).data.source == "digits"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("train: {fine_tune: {mod: top}}", "unknown key 'train.fine_tune.mod'. Nearest: 'mode'"),
        ("train: {epochs: 2, fine_tune: {head_epochs: 2}}", ":1: fine_tune: 2 epochs are too few for 2 with the base"),
        ("data: {preprocess: {means: 1}}", "unknown key 'data.preprocess.means'. Nearest: 'mean'"),
    ],
)
def test_blocks_that_may_be_left_out_are_complained_of_like_others(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(BadInput) as caught:
        load_recipe(file)
    assert says in str(caught.value) and "Value error" not in str(caught.value)


def test_a_recipe_of_the_zoo_leaves_the_users_own_model_as_it_is() -> None:
    """Its steps and variants count; its training, its preprocessing and its images are those of another network."""
    own = load_recipe("efficientnet-int8", {"model.name": "my.keras", "data.calibration": "photos"})
    assert (own.train.epochs, own.data.source, own.data.image_size) == (0, None, None)
    assert (own.model.name, own.model.weights, own.model.dropout) == ("my.keras", None, 0)
    asked = load_recipe("resnet-int8", {"model.name": "my.keras", "train.epochs": 3, "data.source": "photos"})
    assert (asked.train.epochs, asked.data.source, asked.train.learning_rate) == (3, "photos", 0.1)
    assert load_recipe("resnet-int8", {"model.name": "resnet20"}).train.epochs == 30


def test_the_users_own_recipe_trains_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("model: {name: my.keras}\ntrain: {epochs: 4}")
    assert load_recipe(tmp_path / "mine.yaml").train.epochs == 4
    assert load_recipe(tmp_path / "mine.yaml", {"model.name": "other.keras"}).train.epochs == 4
