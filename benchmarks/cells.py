"""A grid's cells: each runs in a process of its own and leaves a file with the hash of the code it ran on, so that a
cell that is there, of the same code, is not run again."""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def code(files: Iterable[str] | None = None) -> dict[str, Any]:
    """`files` of edgekit, by default those that this process has imported so far, and the sha256 over them."""
    if files is None:
        loaded = (module.__file__ for name, module in list(sys.modules.items()) if name.split(".")[0] == "edgekit")
        files = (Path(path).relative_to(ROOT).as_posix() for path in loaded if path)
    digest, named = hashlib.sha256(), sorted(files)
    for name in named:
        path = ROOT / name
        digest.update(name.encode() + b"\0" + (path.read_bytes() if path.exists() else b"") + b"\0")
    return {"sha256": digest.hexdigest(), "files": named}


def unchanged(done: dict[str, Any]) -> bool:
    """Whether what was measured ran on the code that is here."""
    return bool(code(done["code"]["files"]) == done["code"])


def path_of(name: str, results: Path) -> Path:
    return results / f"{name.replace(':', '_')}.json"


def known(name: str, results: Path) -> dict[str, Any] | None:
    """What is written of a cell, of whatever code."""
    path = path_of(name, results)
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def asked_for(about: str | None, names: Iterable[str], results: Path) -> argparse.ArgumentParser:
    """What every grid's command takes."""
    arguments = argparse.ArgumentParser(description=about)
    arguments.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    arguments.add_argument("--table", action="store_true", help="of what is measured; nothing is run")
    arguments.add_argument("--results", type=Path, default=results)
    arguments.add_argument("--here", action="store_true", help="one cell, in this process")
    return arguments


def run_missing(
    script: str, names: Iterable[str], results: Path, fits: Callable[[dict[str, Any]], bool], words: Sequence[str] = ()
) -> list[str]:
    """Runs `script NAME --here` with `words` for each cell that is not there, of this code and as `fits` wants it ->
    a sentence for each that did not finish."""
    failed = []
    for name in names:
        done = known(name, results)
        if done and unchanged(done) and fits(done):
            continue
        print(f"== {name}", flush=True)
        command = [sys.executable, script, name, "--here", "--results", str(results), *words]
        if subprocess.run(command).returncode:
            failed.append(f"{name}: did not finish")
    return failed


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [" | ".join(columns), " | ".join("---" for _ in columns), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)
