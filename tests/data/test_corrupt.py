import numpy as np
import pytest

from edgekit.data.corrupt import CORRUPTIONS, NAMES, SEVERITIES, corrupted
from edgekit.data.dataset import load_data
from edgekit.errors import UsageError
from edgekit.preprocess import preset


@pytest.fixture(scope="module")
def split():
    return load_data("digits", preprocess=preset("raw", 16, 16)).test.take(range(40))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_severity_harms_more(name, split):
    clean = split.read(range(40)).astype(float)
    harm = []
    for case in corrupted(split, [name]):
        images = case.split.read(range(40))
        assert images.shape == clean.shape and images.dtype == np.uint8
        harm.append(np.abs(images - clean).mean())
    assert len(harm) == len(SEVERITIES) and 0 < harm[0] < harm[1] < harm[2]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_chance_follows_the_picture_and_the_seed_alone(name, split):
    first, again, other = (next(corrupted(split, [name], seed)).split for seed in (0, 0, 1))
    whole = first.read(range(40))
    assert np.array_equal(whole, again.read(range(40)))
    assert np.array_equal(again.take([7, 3]).read([0, 1]), whole[[7, 3]])
    if name in ("noise", "shift"):
        assert not np.array_equal(whole, other.read(range(40)))


def test_a_shift_moves_and_repeats_the_edge(split):
    images = split.read(range(40))
    moved = [case.split.read(range(40)) for case in corrupted(split, ["shift"])][2]
    far = 2  # 0.12 of 16 pixels
    inner = slice(far, -far)
    for image, other in zip(images, moved, strict=True):
        offsets = [(y, x) for y in (-far, 0, far) for x in (-far, 0, far) if (y, x) != (0, 0)]
        shifted = [np.roll(image, offset, (0, 1))[inner, inner] for offset in offsets]
        assert any(np.array_equal(other[inner, inner], one) for one in shifted)


def test_another_resize_is_another_filter(split):
    cases = list(corrupted(split, ["resize"]))
    assert [case.strength for case in cases] == ["nearest", "bicubic", "area", "bilinear without antialiasing"]
    assert not np.array_equal(cases[0].split.read([0]), split.read([0]))
    for filter_ in ("nearest", "area", "bicubic"):
        given = load_data("digits", preprocess=preset("raw", 16, 16).model_copy(update={"resize": filter_})).test
        assert len(list(corrupted(given, ["resize"]))) == 4


def test_a_name_that_is_not_known(split):
    with pytest.raises(UsageError, match="Unknown corruption 'fog'"):
        list(corrupted(split, ["fog"]))
    assert (*CORRUPTIONS, "resize") == NAMES
