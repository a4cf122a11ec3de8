"""A command without matrix units."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "without_amx.py"
ASKED = """
import ctypes, sys
sys.path.insert(0, sys.argv[1])
from without_amx import ARCH_PRCTL, REQUEST, TILE_DATA, amx
libc = ctypes.CDLL(None, use_errno=True)
print(amx(), libc.syscall(ARCH_PRCTL, REQUEST, TILE_DATA), ctypes.get_errno())
"""
RUNS = [sys.executable, "-c", ASKED, str(SCRIPT.parent)]


@pytest.mark.skipif((platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="x86-64 Linux refuses")
def test_what_asks_for_matrix_units_is_refused_and_all_that_it_starts() -> None:
    command = [sys.executable, str(SCRIPT)]
    found = [subprocess.run([*more, *RUNS], capture_output=True, text=True, check=True).stdout.split()
             for more in ([], command, [*command, "env"])]  # fmt: skip
    plain, refused, within = found
    assert refused == within == ["False", "-1", "1"]  # EPERM
    assert plain in (["True", "0", "0"], ["False", "-1", "22"], ["False", "-1", "95"])  # has them, or has none to give


def test_the_command_keeps_its_output_and_exit_status() -> None:
    code = "import math, sys; print(math.pi); sys.exit(3)"
    ran = subprocess.run([sys.executable, str(SCRIPT), sys.executable, "-c", code], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (3, "3.141592653589793\n", "")
    none = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True)
    assert none.returncode == 1 and "without_amx.py COMMAND" in none.stderr
