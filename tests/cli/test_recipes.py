import json

import pytest
import yaml

from edgekit.cli import main
from edgekit.recipe import Recipe, load_recipe
from edgekit.recipe_names import shipped_recipes


def test_list_show_and_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "--json"]) == 0
    assert (
        set(json.loads(capsys.readouterr().out)["result"])
        == set(shipped_recipes())
        >= {"mobilenet-int8", "resnet-int8", "all-variants"}
    )
    assert main(["recipes", "show", "resnet-int8"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["model"] == {"name": "resnet8"}
    assert main(["recipes", "show", "resnet-int8", "--resolved"]) == 0
    assert capsys.readouterr().out == load_recipe("resnet-int8").to_yaml()
    assert main(["recipes", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == Recipe.model_json_schema()


def test_an_unknown_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "show", "resnet"]) == 3
    assert "Did you mean 'resnet-int8'?" in capsys.readouterr().err
