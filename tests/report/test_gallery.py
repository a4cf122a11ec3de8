import base64

import pytest

from edgekit.gallery import thumbnail
from edgekit.report.gallery import Answer, gallery_facts, looks_fact, pick, pictures


def answers(*said: tuple[str, float], label: str = "cat") -> list[Answer]:
    return [Answer(f"{place}.png", label, prediction, sure) for place, (prediction, sure) in enumerate(said)]


def test_flips_come_first_and_within_a_kind_the_surest() -> None:
    before = answers(("cat", 0.9), ("cat", 0.8), ("dog", 0.7), ("dog", 0.6), ("cat", 1.0))
    after = answers(("dog", 0.5), ("dog", 0.9), ("cat", 0.7), ("cow", 0.99), ("cat", 1.0))
    assert pick(before, after, 20) == [("lost", 1), ("lost", 0), ("gained", 2), ("error", 3)]
    assert pick(before, after, 1) == [("lost", 1)]


def test_no_kind_takes_all_the_room_unless_there_is_room() -> None:
    before = answers(*[("dog", 0.5)] * 30, ("cat", 0.5))
    after = answers(*[("dog", 0.5)] * 30, ("dog", 0.4))
    assert [kind for kind, _ in pick(before, after, 20)] == ["lost", *["error"] * 19]


def test_a_picture_is_a_small_png_and_nothing_else() -> None:
    import numpy as np

    png = thumbnail(np.full((200, 400, 3), 90, np.uint8))
    one = {"kind": "error", "name": "a.png", "label": "cat", "prediction": "dog", "confidence": 0.9, "reference": "dog",
           "reference_confidence": 0.8, "png": base64.b64encode(png).decode()}  # fmt: skip
    gallery = {"variant": "int8", "n": 9, "counts": {"lost": 1, "gained": 2, "error": 3}, "images": [one]}
    ((title, (shown,)),) = pictures(gallery)
    assert title == "Wrong in float32 too, and sure of it"
    assert shown.said == "cat: says dog, 90 %"
    assert shown.source.startswith("data:image/png;base64,")
    assert gallery_facts(gallery).startswith("Of 9 test images int8 gets 4 wrong: 3 that float32 gets wrong too, and 1")
    assert gallery_facts({**gallery, "variant": "float32"}).startswith("Of 9 test images float32 gets 3 wrong.")
    for harm in ("<script>", base64.b64encode(b"<svg onload='x'>").decode()):
        with pytest.raises(ValueError, match="a picture of the gallery"):
            pictures({**gallery, "images": [{**one, "png": harm}]})


def flip(**looks: object) -> dict[str, object]:
    import numpy as np

    png = base64.b64encode(thumbnail(np.full((20, 20, 3), 90, np.uint8))).decode()
    one = {"kind": "lost", "name": "a.png", "label": "cat", "prediction": "dog", "confidence": 0.9, "reference": "cat",
           "reference_confidence": 0.8, "png": png, "looks": looks}  # fmt: skip
    return {"variant": "int8", "against": "float32", "crop": "none", "n": 9, "images": [one],
            "counts": {"lost": 1, "gained": 0, "error": 0}, "grad_cam": {"why": None}}  # fmt: skip


def test_a_flip_has_where_both_models_look() -> None:
    gallery = flip(float32={"class": "cat", "says": "cat", "map": [[1.0, 0.0]]},
                   int8={"class": "dog", "says": "cow", "map": [[0.0, 1.0]]})  # fmt: skip
    ((title, (shown,)),) = pictures(gallery)
    assert title == "Right in float32, wrong here" and shown.said == "cat: says dog, 90 %; float32 cat, 80 %"
    assert [look.title for look in shown.looks] == ["float32: cat", "int8: dog (the Keras model says cow)"]
    assert [look.said.split(": ")[1] for look in shown.looks] == [
        "what speaks for cat is strongest at the left", "what speaks for dog is strongest at the right"]  # fmt: skip
    assert all(look.source.startswith("data:image/webp;base64,") for look in shown.looks)
    assert looks_fact(gallery).startswith("Beside each flip: what in the picture speaks for the answer")


def test_why_there_are_no_maps_is_said() -> None:
    gallery = flip()
    assert looks_fact({**gallery, "grad_cam": {"why": "flat has no convolutional feature map."}}) == (
        "No Grad-CAM beside the flips: flat has no convolutional feature map."
    )
    earlier = {name: value for name, value in gallery.items() if name not in ("grad_cam", "against", "crop")}
    assert looks_fact(earlier).startswith("No Grad-CAM beside the flips: this run has kept none; edgekit compress")
    assert pictures(earlier)[0][0] == "Right in float32, wrong here"
    assert looks_fact({**gallery, "counts": {"lost": 0, "gained": 0, "error": 1}}) == looks_fact(None) == ""
