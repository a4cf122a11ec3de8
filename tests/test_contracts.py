"""docs/contracts.md against the code: a contract that nobody checks is a wish."""

import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from edgekit.artifact import VARIANTS
from edgekit.errors import BadInput, CheckFailed, DeviceError, MissingExtra, UsageError
from edgekit.evaluation.golden import TOLERANCES
from edgekit.measurement.protocol import PROTOCOLS
from edgekit.preprocess import PRESETS, Preprocess, preset
from edgekit.recipe import Verify
from edgekit.recipe_fields import FLAGS
from edgekit.rules import RULES
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


def test_tolerances_of_golden_vectors() -> None:
    documented = {
        name: float(share.removesuffix(" %")) / 100
        for cells, share in rows(section("Metadata in the file (version 1)").split("computes in:")[1])
        for name in cells.split(", ")
    }
    assert documented == pytest.approx(TOLERANCES)


def test_limits_between_runtimes() -> None:
    from edgekit.verification.difference import LIMITS

    def words(kind: str, where: str) -> str:
        limit = LIMITS[kind, where]
        share = "1e-4" if limit.relative == 1e-4 else f"{100 * limit.relative:g} %"
        return share if limit.steps is None else f"{limit.steps:g} steps, {share} without"

    documented = {kind: tuple(rest) for kinds, *rest in rows(section("The same on every runtime"))
                  for kind in kinds.split(", ")}  # fmt: skip
    assert documented == {kind: (words(kind, "cpu"), words(kind, "gpu")) for kind, _ in LIMITS}


def test_kinds_of_findings() -> None:
    from edgekit.findings.finding import KINDS

    assert dict(rows(section("Findings"))) == KINDS


def test_protocols() -> None:
    documented = {name: figures for name, *figures in rows(section("Measurements (version 1)"))}
    assert documented == {
        name: [str(one.processes), str(one.runs), f"{one.seconds:g}", f"{one.pairs} to {one.most_pairs}"]
        for name, one in PROTOCOLS.items()
    }


def test_rules() -> None:
    documented = {name: float(limit) if limit else None for name, limit, _ in rows(section("Gate (version 1)"))}
    assert documented == {name: rule.default for name, rule in RULES.items()}


def test_the_gates_workflow_is_yaml_and_its_commands_are_the_commands() -> None:
    page = (Path(__file__).parents[1] / "docs" / "ci-gate.md").read_text("utf-8")
    workflow = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    steps = workflow["jobs"]["gate"]["steps"]
    used = {step["uses"].split("@")[0] for step in steps if "uses" in step}
    assert used >= {"actions/checkout", "actions/setup-python", "github/codeql-action/upload-sarif"}
    told = [line.strip() for step in steps for line in step.get("run", "").splitlines()]
    told += [line.strip() for line in page.splitlines() if line.startswith("    edgekit ")]
    for line in told:
        if line.startswith("edgekit "):
            name, *words = shlex.split(line)[1:]
            command = importlib.import_module(f"edgekit.cli.{name}").command
            command.make_context(name, words)  # raises for a flag that is not there


@pytest.mark.parametrize("name", NAMES)
def test_schemas_are_schemas(name: str) -> None:
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(load_schema(name))


@pytest.mark.parametrize("name", ["card", "contract", "recipe"])
def test_shipped_schemas_follow_the_models(name: str) -> None:
    """On a wanted change: python -m tests.write_schemas"""
    assert load_schema(name) == json.loads(json.dumps(generated()[name]))
