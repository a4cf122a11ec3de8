import json
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import BadInput, UsageError
from edgekit.recipe_names import shipped_recipes
from edgekit.recommendation import MEASURED, PUBLISHED, Asked, recommend, shipped_results

CONDITIONS = {"cpu": ["A CPU"]}


def row(model: str, size: int, ms: float, size_bytes: int, variant: str = "int8", **other: Any) -> dict[str, Any]:
    return {"model": model, "image_size": size, "classes": 10, "variant": variant, "size_bytes": size_bytes,
            "arena_bytes": 80_000, "latency_ms": {"median": ms}, "verdict": "steady", "threads": 1,
            "conditions": CONDITIONS, **other}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [row("efficientnet_lite0", 96, 3.0, 3_500_000), row("mobilenet_v3_small", 96, 1.0, 1_100_000),
            row("resnet8", 96, 0.4, 99_000),
            row("efficientnet_lite0", 224, 20.0, 3_500_000, verdict="unstable")]  # fmt: skip
    (tmp_path / "zoo.json").write_text(json.dumps({"conditions": CONDITIONS, "raw": rows}))
    recipes = {"mobilenet-int8": {"latency_ms": {"int8": 0.5}, "size_bytes": {"int8": 640_000}, "top1": {"int8": 0.98},
                                  "n": 360}}  # fmt: skip
    (tmp_path / "recipes.json").write_text(json.dumps({"conditions": CONDITIONS, "raw": recipes}))
    return tmp_path


def named(options: Any) -> list[tuple[str, int]]:
    return [(one.model, one.image_size) for one in options]


def test_the_most_accurate_that_is_known_to_fit(folder: Path) -> None:
    found = recommend(Asked(max_latency_ms=5, max_size_mb=4, images=100), folder)
    assert named(found.fitting) == [("efficientnet_lite0", 96), ("mobilenet_v3_small", 96), ("resnet8", 96)]
    first = found.fitting[0]
    assert first.recipe == "efficientnet-lite-int8"
    assert first.figures["latency_ms"].text() == "3 ms (measured here: benchmarks/zoo.py, on A CPU, 1 thread)"
    assert first.figures["top1"].origin == PUBLISHED and first.figures["size_mb"].origin == MEASURED
    assert "The runner-up is mobilenet-v3-int8" in found.why[-1]
    # Measured at other sizes only: their latency at 96 px is nobody's to tell.
    assert named(found.open) == [("mobilenet_v2", 32), ("efficientnet_lite0", 224)]
    assert all(one.unknown == ("latency",) for one in found.open)


def test_what_exceeds_the_budget_is_ruled_out_with_the_figure(folder: Path) -> None:
    found = recommend(Asked(max_size_mb=0.2), folder)
    assert named(found.fitting) == [("resnet8", 96)]
    assert found.ruled_out[0].over[0].endswith("asked at most 0.2 MB") and len(found.ruled_out) == 4
    assert recommend(Asked(min_top1=70), folder).ruled_out[0].model == "mobilenet_v3_small"


def test_a_latency_on_another_device_is_never_guessed(folder: Path) -> None:
    found = recommend(Asked(max_latency_ms=5, device="rpi"), folder)
    assert found.fitting == () and all("latency" in one.unknown for one in found.open)
    assert "nobody measured its latency at 96 px on rpi" in found.why[1]
    assert any("edgekit bench FILE --device rpi" in said for said in found.not_known)


def test_no_figure_but_those_of_the_results(folder: Path) -> None:
    """Halve every figure of the results, and every measured figure of the answer is halved."""
    before = recommend(Asked(), folder)
    document = json.loads((folder / "zoo.json").read_text())
    for one in document["raw"]:
        one["latency_ms"]["median"] /= 2
        one["size_bytes"] /= 2
    (folder / "zoo.json").write_text(json.dumps(document))
    after = {(one.model, one.image_size): one for one in recommend(Asked(), folder).fitting}
    for one in before.fitting:
        if one.recipe != "mobilenet-int8":
            for name in ("latency_ms", "size_mb"):
                assert after[one.model, one.image_size].figures[name].value == one.figures[name].value / 2


def test_nothing_fits(folder: Path) -> None:
    found = recommend(Asked(max_size_mb=0.01), folder)
    assert found.fitting == found.open == () and found.why[0].startswith("Nothing that was measured meets this budget.")


def test_a_head_start_is_told_with_its_own_figures(folder: Path) -> None:
    jobs = {"fine-tuned": {"top1": {"value": 0.7}}, "from scratch": {"top1": {"value": 0.4}}}
    (folder / "fine_tuning.json").write_text(json.dumps({"raw": {"jobs": jobs}}))
    found = recommend(Asked(images=100), folder)
    assert any("reached 70.0 % fine-tuned and 40.0 % from scratch" in said for said in found.why)
    assert not any("fine-tuned" in said for said in recommend(Asked(images=5000), folder).why)


def test_bad_input(folder: Path) -> None:
    with pytest.raises(UsageError, match="max_size_mb is -1"):
        recommend(Asked(max_size_mb=-1), folder)
    (folder / "zoo.json").write_text("[]")
    with pytest.raises(BadInput, match=r"zoo\.json is damaged"):
        recommend(Asked(), folder)


def test_the_shipped_results_name_recipes_that_there_are() -> None:
    found = recommend(Asked(image_size=32))
    assert shipped_results().is_dir() and found.fitting
    assert {one.recipe for one in found.fitting} <= set(shipped_recipes())
