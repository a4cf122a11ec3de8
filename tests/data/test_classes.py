"""The classes of a model and those of the data."""

from pathlib import Path

import pytest

from edgekit.data.classes import Classes, read_classes
from edgekit.errors import BadInput

PETS = Classes(("dog", "cat", "fox"), {"n02084071": 0})


def test_names_and_other_names_are_matched() -> None:
    assert PETS.positions(["cat", "n02084071"], "data").tolist() == [1, 0]
    assert PETS.positions(["2", "0"], "data", counted=True).tolist() == [2, 0]


def test_a_class_that_the_model_does_not_know_is_named() -> None:
    with pytest.raises(BadInput, match=r"data has classes the model does not know: 'cow'\. .*3 .* are: dog, cat, fox"):
        PETS.positions(["cat", "cow"], "data")


def test_labels_are_a_line_each(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("dog\n\n great dane \ncat\n")
    assert read_classes(file).names == ("dog", "great dane", "cat")
    for content, message in (("dog\ncat\ndog\n", "has 'dog' twice"), ("dog\n", "has 1 classes")):
        file.write_text(content)
        with pytest.raises(BadInput, match=message):
            read_classes(file)
    with pytest.raises(BadInput, match="cannot be read"):
        read_classes(tmp_path / "absent.txt")
