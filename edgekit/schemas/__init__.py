"""JSON Schemas of what edgekit writes and reads (docs/contracts.md). `card`, `contract` and `recipe` follow models."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

NAMES = ("card", "contract", "envelope", "recipe", "run")


def load_schema(name: str) -> dict[str, Any]:
    """The schema called `name`, one of NAMES."""
    schema: dict[str, Any] = json.loads(resources.files(__name__).joinpath(f"{name}.json").read_text("utf-8"))
    return schema


def generated() -> dict[str, dict[str, Any]]:
    """The schemas that follow from pydantic models; a test holds the shipped files to them."""
    from edgekit.artifact import Card
    from edgekit.recipe import Recipe
    from edgekit.runtime.contract import Contract

    schemas = {name: kind.model_json_schema(by_alias=True) for name, kind in (("card", Card), ("contract", Contract))}
    return {**schemas, "recipe": Recipe.model_json_schema()}
