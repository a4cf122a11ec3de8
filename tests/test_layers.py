"""The architecture, held: imports point downward only, and nothing heavy is imported before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import edgekit

PACKAGE = Path(edgekit.__file__).parent

# From the ground up. A module may import rooms of the layers below its own, and its own room.
LAYERS = (
    ("errors", "progress", "step_config", "quantize_config", "distil_config", "metadata_config", "measurement.agent"),
    ("train_config", "preprocess", "rules", "measurement.protocol"),
    ("artifact", "recipe_names", "yaml_lines"),
    ("recipe_fields",),
    ("recipe",),
    ("runtime", "data"),
    ("models", "schemas"),
    ("training", "evaluation"),
    ("exporting",),
    ("bundles", "compression"),
    ("measurement",),
    ("report", "gating", "verification"),
    ("findings",),
    ("subject", "run", "stopwatch", "recommendation"),
    ("results", "lineage", "gallery", "grad_cam", "evidence", "reports"),
    ("diagnosis", "trials", "looks", "evaluation_page", "ledger", "difference"),
    ("pipeline",),
    ("reproduction", "repeats"),
    ("cli",),
)
LEVELS = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
# What a bundle puts into an app runs there, without edgekit: templates are no modules of it.
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if not {"_shipped", "templates"} & set(path.parts))


def room_of(module: str) -> str | None:
    """The longest row of LEVELS that the dotted name (without the leading `edgekit.`) lies in."""
    rooms = [room for room in LEVELS if module == room or module.startswith(f"{room}.")]
    return max(rooms, key=len) if rooms else None


def imported(path: Path) -> set[str]:
    """The edgekit modules a file imports anywhere, without the leading `edgekit.`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("edgekit."):
            found.add(node.module.removeprefix("edgekit."))
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("edgekit.") for a in node.names if a.name.startswith("edgekit.")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_point_downward(path: Path) -> None:
    own = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    if own in ("__init__", "__main__"):
        return
    room = room_of(own)
    assert room, f"{own} is in no room: add it to LEVELS"
    for target in imported(path):
        other = room_of(target)
        assert other, f"{own} imports {target}, which is in no room"
        assert other == room or LEVELS[other] < LEVELS[room], f"{own} ({room}) imports {target} ({other})"


@pytest.mark.parametrize("module", ["edgekit", "edgekit.cli"])
def test_import_is_light(module: str) -> None:
    heavy = ("tensorflow", "keras", "torch", "jax", "pandas", "altair", "numpy", "pydantic", "ai_edge_litert")
    code = f"import sys, {module}; print(*[m for m in {heavy} if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""


def test_only_one_module_imports_an_interpreter() -> None:
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if any(name in path.read_text("utf-8") for name in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"))
    }
    # The agent is sent to devices alone, without the rest of edgekit.
    assert importers == {"runtime/interpreter.py", "measurement/agent.py"}


def test_only_one_module_calls_the_converter() -> None:
    assert {p.name for p in MODULES if "TFLiteConverter" in p.read_text("utf-8")} == {"convert.py"}


def test_no_module_is_a_catch_all() -> None:
    assert not {path.name for path in MODULES} & {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}


def test_every_public_name_loads_and_survives_the_import_of_every_submodule() -> None:
    """A subpackage must not shadow the function of the same name."""
    code = (
        "import importlib, pkgutil, edgekit as ek\n"
        "for m in pkgutil.walk_packages(ek.__path__, 'edgekit.'):\n"
        "    if m.name not in ('edgekit.__main__', 'edgekit.measurement.agent'): importlib.import_module(m.name)\n"
        "functions = ['load_data', 'build', 'train', 'export', 'evaluate', 'bench', 'compress']\n"
        "assert all(callable(getattr(ek, name)) for name in functions), functions\n"
        "assert all(getattr(ek, name) is not None for name in ek.__all__)\n"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
