"""The README's generated parts are what the code says."""

import re
import sys
from pathlib import Path

import pytest

from edgekit.cli import main
from edgekit.recipe_names import shipped_recipes
from edgekit.step_config import STEPS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_help_block(capsys: pytest.CaptureFixture[str]) -> None:
    """On a wanted change: python -m tests.write_readme"""
    assert main(["--help"]) == 0
    printed = "".join(f"    {line}".rstrip() + "\n" for line in capsys.readouterr().out.splitlines())
    assert README.split("<!-- help: begin -->")[1].split("<!-- help: end -->")[0].strip("\n") == printed.strip("\n")


def test_the_tables_of_measured_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """On new results: python benchmarks/readme.py"""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import readme

    assert readme.with_tables(README) == README
    assert readme.page() == (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    verify = (ROOT / "docs" / "verify.md").read_text("utf-8")
    assert readme.with_measured(verify, readme.results()["verify"]) == verify
    assert sys.modules.pop("readme")


def test_every_recipe_and_every_step_is_decoded() -> None:
    recipes, _, steps = (ROOT / "recipes" / "README.md").read_text("utf-8").partition("## Steps")
    decoded = [set(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)) for text in (recipes, steps)]
    assert decoded == [set(shipped_recipes()), set(STEPS)]


def test_the_first_two_commands_are_targets_of_the_makefile() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    commands = re.findall(r"^    make (\w+)", README, re.MULTILINE)
    assert commands[:2] == ["compress", "test"] and set(commands) <= set(targets)
