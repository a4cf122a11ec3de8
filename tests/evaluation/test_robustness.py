import pytest

from edgekit.data.dataset import load_images
from edgekit.evaluation.compare import paired
from edgekit.evaluation.evaluate import evaluate
from edgekit.evaluation.expects import Fed
from edgekit.evaluation.robustness import robustness
from edgekit.preprocess import preset
from tests import tiny

RAW = preset("raw", tiny.SIZE, tiny.SIZE)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return load_images(tiny.folder(tmp_path_factory.mktemp("images"), 60), RAW)


def test_the_curve_of_every_file_against_the_first(split):
    given = [Fed(tiny.path(variant), split, RAW) for variant in ("float32", "int8")]
    seen = []
    found = robustness(given, corruptions=["contrast", "shift"], progress=seen.append)
    frame = found.to_frame()
    assert len(frame) == 2 * 7 and seen[-1].done == seen[-1].total == 7
    clean = frame[frame["severity"] == 0]
    assert clean["top1"].tolist() == [1.0, 1.0] and set(clean["corruption"]) == {"none"}
    shifted = frame[frame["corruption"] == "shift"]
    assert (shifted["top1"] < 1).all()  # a stripe that moved is another class
    assert [one.against is None for one in found.points] == [True, False] * 7
    again = robustness(given, corruptions=["contrast", "shift"])
    assert again == found
    mean = found.mean_top1()[str(tiny.path("int8"))]
    own = frame[(frame["file"] == str(tiny.path("int8"))) & (frame["severity"] > 0)]
    assert mean == pytest.approx(own.groupby("corruption")["top1"].mean().mean())
    assert len(found.to_json()["points"]) == 14


def test_a_point_is_a_plain_evaluation_of_the_corrupted_images(split):
    from edgekit.data.corrupt import corrupted

    files = [tiny.path("float32"), tiny.path("int8")]
    found = robustness([Fed(file, split, RAW) for file in files], corruptions=["shift"], seed=5)
    case = list(corrupted(split, ["shift"], seed=5))[1]
    first, other = (evaluate(file, case.split, RAW) for file in files)
    points = [one for one in found.points if one.severity == 2]
    assert [one.top1 for one in points] == [first.top1, other.top1] and points[1].against == paired(first, other)
