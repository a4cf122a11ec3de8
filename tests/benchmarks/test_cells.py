"""A cell of a grid is run again when the code it ran on is another."""

from pathlib import Path

import pytest


def test_a_cell_is_run_again_when_the_code_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cells

    imported = cells.code()
    assert "edgekit/errors.py" in imported["files"] and "edgekit/cli/device.py" not in imported["files"]
    assert cells.unchanged({"code": imported})
    monkeypatch.setattr(cells, "ROOT", tmp_path)
    assert not cells.unchanged({"code": imported})
    (tmp_path / "one.py").write_text("a = 1\n")
    done = {"code": cells.code(["one.py"])}
    (tmp_path / "two.py").write_text("a = 1\n")
    assert cells.unchanged(done)
    (tmp_path / "one.py").write_text("a = 2\n")
    assert not cells.unchanged(done)
