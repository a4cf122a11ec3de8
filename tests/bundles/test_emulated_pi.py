"""The bundle for a Raspberry Pi as a Pi 4 and a Pi 5 run it: real arm64 wheels in an arm64 Debian, under QEMU."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgekit.bundles.bundle import bundle
from edgekit.measurement.emulated.boards import BOARDS
from edgekit.measurement.emulated.emulator import find_qemu, python_on
from edgekit.measurement.emulated.userland import read_userland


def missing() -> str:
    """Why it cannot be run here, "" where it can."""
    userland = read_userland()
    if shutil.which("qemu-aarch64") is None or userland is None:
        return "needs qemu-user and edgekit device setup emulated"
    ready = "pillow" in userland.wheels["ai-edge-litert"]
    return "" if ready else "the emulated Pi is of an older edgekit: edgekit device setup emulated"


pytestmark = [pytest.mark.pi, pytest.mark.skipif(bool(missing()), reason=missing())]


@pytest.mark.parametrize(("board", "kind"), [("rpi4", "fixed_uint8_io"), ("rpi5", "fixed")])
def test_its_self_check_passes(classifiers: dict[str, Path], tmp_path: Path, board: str, kind: str) -> None:
    folder = Path(bundle(classifiers[kind], "rpi", tmp_path / "app").folder)
    said = _client(board, folder, "--self-check", "--json", str(folder / "golden" / "1.png"))
    wanted = json.loads((folder / "model.json").read_text())["golden"]
    *checks, verdict, answer = said.splitlines()
    assert [one.split()[:3] for one in checks] == [[f"{one['image']}:", "pixels", "equal,"] for one in wanted]
    assert len(wanted) == 3 and all(one.endswith("same class: passed") for one in checks)
    assert verdict.startswith("self-check: passed")
    assert np.allclose(json.loads(answer)["scores"], wanted[1]["scores"], rtol=0, atol=1e-3)


def _client(board: str, folder: Path, *arguments: str) -> str:
    userland = read_userland()
    assert userland is not None
    program = str(folder / "classify.py")
    command, environment = python_on(BOARDS[board], userland, find_qemu(), "ai-edge-litert", program, *arguments)
    command[command.index("-sSP")] = "-sS"  # as a user starts it, who has its other files beside it
    ended = subprocess.run(
        command, env=environment, cwd=userland.root, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
