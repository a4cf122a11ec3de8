from pathlib import Path

import pytest

from edgekit.compression.journal import Journal


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    first = Journal(tmp_path / "state", "a" * 64)
    assert [first.once(name, lambda name=name: {"n": len(name)}) for name in ("x", "long", "x")] == [
        {"n": 1}, {"n": 4}, {"n": 1}]  # fmt: skip
    again = Journal(tmp_path / "state", "a" * 64)
    assert again.once("long", pytest.fail) == {"n": 4}
    other = Journal(tmp_path / "state", "b" * 64)
    assert other.once("long", lambda: 5) == 5


def test_a_torn_line_is_measured_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "a" * 64)
    journal.once("one", lambda: 1)
    journal.once("two", lambda: 2)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-4])
    again = Journal(tmp_path, "a" * 64)
    assert (again.once("one", pytest.fail), again.once("two", lambda: 22)) == (1, 22)
    assert Journal(tmp_path, "a" * 64).once("two", pytest.fail) == 22


def test_without_a_folder_it_remembers_while_it_lives() -> None:
    journal = Journal(None, "a" * 64)
    assert journal.once("x", lambda: 1) == journal.once("x", pytest.fail) == 1
