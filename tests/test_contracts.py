"""docs/contracts.md against the code: a contract that nobody checks is a wish."""

import json
import re
from pathlib import Path

import pytest

from edgekit.artifact import VARIANTS
from edgekit.errors import BadInput, CheckFailed, DeviceError, MissingExtra, UsageError
from edgekit.preprocess import PRESETS, Preprocess, preset
from edgekit.recipe import FLAGS, Verify
from edgekit.schemas import NAMES, generated, load_schema

DOCUMENT = (Path(__file__).parents[1] / "docs" / "contracts.md").read_text("utf-8")


def section(title: str) -> str:
    return DOCUMENT.split(f"## {title}")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of each table row, code marks off, without the heading."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_flag_table() -> None:
    documented = {flag.removeprefix("--").replace("-", "_"): field for flag, field in rows(section("Flags"))}
    assert documented == FLAGS


def test_flags_are_the_commands_own() -> None:
    from edgekit.cli.compress import command

    options = {option for parameter in command.params for option in parameter.opts}
    assert {f"--{name.replace('_', '-')}" for name in FLAGS} <= options


def test_exit_codes() -> None:
    documented = {int(code) for code, _ in rows(section("Exit codes"))}
    families = {kind.exit_code for kind in (CheckFailed, UsageError, MissingExtra, BadInput, DeviceError)}
    assert documented == families | {0, 130}


def test_variants() -> None:
    assert [row[0] for row in rows(section("Variants"))] == list(VARIANTS)


def test_presets() -> None:
    for name, mean, std, *rest in rows(section("Preprocessing block").split("Presets:")[1]):
        made = preset(name, 8, 8)
        assert [float(v) for v in mean.split(",")] in ([*map(float, made.mean)], [made.mean[0]]), name
        assert [float(v) for v in std.split(",")] in ([*map(float, made.std)], [made.std[0]]), name
        assert [made.channels, made.resize, made.crop] == rest
    assert {row[0] for row in rows(section("Preprocessing block").split("Presets:")[1])} == set(PRESETS)


def test_preprocessing_fields() -> None:
    named = re.findall(
        r"`(\w+)`",
        " ".join(
            line.split("|")[1] for line in section("Preprocessing block").splitlines() if line.startswith("| `")
        ).split("`raw`")[0],
    )
    assert set(named) == set(Preprocess.model_fields)


def test_verification_limits() -> None:
    limits = Verify()
    text = section("Verification limits")
    assert "<= 1e-4" in text and limits.float32_max_relative == 1e-4
    asked = {
        name: float(share) / 100
        for cells, what in rows(text)
        for name in cells.split(", ")
        for share in re.findall(r">= (\d+) %", what)
    }
    assert asked == {"float16": 0.99, "dynamic": 0.99, "int8": 0.95, "int16x8": 0.95, "mixed": 0.95}
    assert asked == {name: getattr(limits, f"{name}_agreement") for name in asked}
    assert "up to 500" in text and limits.images == 500


@pytest.mark.parametrize("name", NAMES)
def test_schemas_are_schemas(name: str) -> None:
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(load_schema(name))


@pytest.mark.parametrize("name", ["card", "recipe"])
def test_shipped_schemas_follow_the_models(name: str) -> None:
    """On a wanted change: python -m tests.write_schemas"""
    assert load_schema(name) == json.loads(json.dumps(generated()[name]))
