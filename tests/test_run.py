import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgekit.artifact import write_text
from edgekit.errors import DeviceError
from edgekit.run import Run, open_run


class Work:
    """Writes one file and counts how often it was asked to."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.times = 0

    def __call__(self, state: Path) -> tuple[list[Path], dict[str, Any]]:
        self.times += 1
        path = self.run.file("artifacts", "a.txt")
        write_text(path, "content")
        return [path], {"answer": 42}


def test_a_finished_stage_is_not_run_again(tmp_path: Path) -> None:
    with open_run(tmp_path / "run") as run:
        work = Work(run)
        assert run.stage("one", {"x": 1}, work) == {"answer": 42}
        assert run.stage("one", {"x": 1}, work) == {"answer": 42}
    with open_run(tmp_path / "run") as run:
        assert run.stage("one", {"x": 1}, work) == {"answer": 42}
    assert work.times == 1


@pytest.mark.parametrize("harm", ["changed inputs", "changed file", "missing file", "damaged record"])
def test_a_stage_that_is_no_longer_true_is_run_again(tmp_path: Path, harm: str) -> None:
    with open_run(tmp_path) as run:
        work = Work(run)
        run.stage("one", {"x": 1}, work)
        if harm == "changed file":
            run.file("artifacts", "a.txt").write_text("other")
        elif harm == "missing file":
            run.file("artifacts", "a.txt").unlink()
        elif harm == "damaged record":
            run.file("stages", "one", "done.json").write_text("{")
        run.stage("one", {"x": 2 if harm == "changed inputs" else 1}, work)
        assert work.times == 2
        assert run.file("artifacts", "a.txt").read_text() == "content"


def test_an_unfinished_stage_keeps_its_state_and_loses_it_when_the_inputs_change(tmp_path: Path) -> None:
    def die(state: Path) -> tuple[list[Path], dict[str, Any]]:
        (state / "epoch.txt").write_text("3")
        raise KeyboardInterrupt

    def look(state: Path) -> tuple[list[Path], dict[str, Any]]:
        return [], {"found": (state / "epoch.txt").exists()}

    with open_run(tmp_path) as run:
        for inputs, kept in (({"x": 1}, True), ({"x": 2}, False)):
            with pytest.raises(KeyboardInterrupt):
                run.stage("train", {"x": 1}, die)
            assert run.stage("train", inputs, look) == {"found": kept}
            run.file("stages", "train", "done.json").unlink()


def test_two_processes_never_write_into_one_directory(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edgekit.run import open_run\n"
        "with open_run(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout and other.stdout.readline() == "in\n"
        with pytest.raises(DeviceError, match=f"being written by process {other.pid}"), open_run(tmp_path):
            pass
        other.kill()
    with open_run(tmp_path) as run:  # a killed writer leaves no lock behind
        assert json.loads(run.file("lock.json").read_text())["pid"] == os.getpid()
    assert not (tmp_path / "lock.json").exists()


def test_half_written_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / ".m.tflite.abc123").write_bytes(b"half")
    (tmp_path / "artifacts" / "m.tflite").write_bytes(b"whole")
    with open_run(tmp_path):
        assert sorted(p.name for p in (tmp_path / "artifacts").iterdir()) == ["m.tflite"]
