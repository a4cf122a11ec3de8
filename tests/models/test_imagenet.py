"""The names of ImageNet's classes stand in the order of the networks' outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.models.imagenet import imagenet_labels

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def test_a_thousand_different_classes_in_the_order_of_their_ids() -> None:
    ids, names = zip(*imagenet_labels(), strict=True)
    assert len(ids) == 1000 and list(ids) == sorted(set(ids)) and all(len(wnid) == 9 for wnid in ids)
    assert len(set(names)) == 1000 and all(name == name.strip() != "" for name in names)
    assert (names[0], names[134], names[517], names[639], names[999]) == (
        "tench",
        "crane (bird)",
        "crane (machine)",
        "tank suit",
        "toilet tissue",
    )


@pytest.mark.skipif(not (DATA / "photos").is_dir(), reason="there is no ../shared/data/photos")
def test_the_photos_carry_the_same_number_and_id() -> None:
    ids = [wnid for wnid, _ in imagenet_labels()]
    photos = [path.stem.split("_") for path in (DATA / "photos").glob("*.jpg")]
    assert photos and all(ids[int(number)] == wnid for number, wnid in photos)
    listed = (DATA / "imagenet_labels.txt").read_text().splitlines()
    assert [line.split(" ")[0] for line in listed] == ids
