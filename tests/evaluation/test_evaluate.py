from dataclasses import replace

import numpy as np
import pytest

from edgekit.data.dataset import load_images
from edgekit.errors import BadInput, UsageError
from edgekit.evaluation.compare import agreement, compare, paired_ci95
from edgekit.evaluation.evaluate import batch_for, evaluate
from edgekit.preprocess import preset
from edgekit.runtime.interpreter import open_model
from tests import tiny

RAW = preset("raw", tiny.SIZE, tiny.SIZE)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return load_images(tiny.folder(tmp_path_factory.mktemp("images"), 240), RAW)


def one_by_one(variant, split):
    loaded = open_model(tiny.path(variant))
    return np.concatenate([loaded.run(split.read([i]).astype(np.float32))[0] for i in range(len(split))])


@pytest.mark.parametrize("variant", ["float32", "int8", "int8_io", "uint8_io", "raw", "fixed"])
def test_answers_are_those_of_one_image_after_the_other(variant, split):
    scores = one_by_one(variant, split)
    found = evaluate(tiny.path(variant), split, RAW)
    assert found.predictions.tolist() == scores.argmax(axis=1).tolist()
    assert found.names == split.names and np.array_equal(found.labels, split.labels)
    if variant != "raw":
        assert found.confidence == pytest.approx(scores.max(axis=1), abs=1e-6)
    assert found.top1.value == 1.0 and found.top1.n == 240 and found.ci95[1] == 1.0
    assert found.top5 is not None and found.top5.value == 1.0


@pytest.mark.parametrize("variant", ["float32", "int8", "int8_io"])
def test_workers_and_batches_change_nothing(variant, split):
    alone = evaluate(tiny.path(variant), split, RAW, workers=1, batch_size=1)
    for workers, batch in [(1, None), (2, None), (2, 7), (2, 100), (1, 64)]:
        found = evaluate(tiny.path(variant), split, RAW, workers=workers, batch_size=batch)
        assert np.array_equal(found.predictions, alone.predictions)
        assert np.array_equal(found.top5_hits, alone.top5_hits)
        assert found.confidence == pytest.approx(alone.confidence, abs=1e-6)


def test_the_same_whatever_the_workers_to_the_last_bit(split):
    one, two = (evaluate(tiny.path("float32"), split, RAW, workers=n) for n in (1, 2))
    assert np.array_equal(one.confidence, two.confidence)


def test_scores_that_are_large_lie_in_a_file(split, monkeypatch):
    whole = evaluate(tiny.path("int8"), split, RAW)
    monkeypatch.setattr("edgekit.evaluation.evaluate.IN_MEMORY", 0)
    mapped = evaluate(tiny.path("int8"), split, RAW)
    assert isinstance(mapped.scores, np.memmap) and not isinstance(whole.scores, np.memmap)
    assert mapped.to_json() == whole.to_json()


def test_the_hash_of_the_data_is_of_pixels_and_classes(split):
    found = evaluate(tiny.path("int8"), split, RAW)
    renamed = replace(split, names=tuple(f"other/{name}" for name in split.names))
    assert evaluate(tiny.path("float32"), renamed, RAW).data_sha256 == found.data_sha256
    assert split.take(range(239)).sha256 != found.data_sha256
    assert split.take([1, 0, *range(2, 240)]).sha256 != found.data_sha256
    assert replace(split, labels=np.roll(split.labels, 1)).sha256 != found.data_sha256


def test_logits_become_probabilities_and_probabilities_stay(split):
    logits = one_by_one("raw", split)
    expected = np.exp(logits).max(axis=1) / np.exp(logits).sum(axis=1)
    assert evaluate(tiny.path("raw"), split, RAW).confidence == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["unit", "tf", "caffe", "imagenet"])
def test_r12_normalization_is_the_data_rooms(name, split):
    """The table of 256 values feeds what normalize() gives for every pixel."""
    from edgekit.data.images import normalize
    from edgekit.evaluation.evaluate import _scores, codes

    preprocess = preset(name, tiny.SIZE, tiny.SIZE)
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    for variant in ("float32", "int8_io"):
        loaded = open_model(tiny.path(variant), batch=3)
        table = codes(preprocess, loaded.inputs[0])
        direct = loaded.inputs[0].encode(normalize(images, preprocess))
        assert np.array_equal(np.stack([table[c][images[..., c]] for c in range(3)], axis=-1), direct)
        assert np.array_equal(_scores(loaded, table, images), loaded.run(direct)[0])


def test_a_file_with_its_batch_wired_in_runs_one_by_one_and_says_so(split):
    found = evaluate(tiny.path("fixed"), split, RAW)
    assert found.batch == 1 and found.batch_note


def test_batches_are_for_small_images():
    assert batch_for(preset("raw", 32, 32)) == 85
    assert batch_for(preset("raw", 8, 8)) == 100
    assert batch_for(preset("raw", 224, 224)) == 1


def test_progress_reaches_the_end(split):
    seen = []
    evaluate(tiny.path("int8"), split, RAW, progress=seen.append)
    assert seen[-1].done == seen[-1].total == 240


def test_frame_and_summary(split):
    found = evaluate(tiny.path("int8"), split, RAW)
    frame = found.to_frame()
    assert list(frame.columns) == ["name", "label", "prediction", "correct", "top5", "confidence"]
    assert frame["label"].tolist() == frame["prediction"].tolist() and frame["label"].nunique() == 6
    summary = found.summary()
    assert summary["top1"] == {"value": 1.0, "n": 240, "ci95": list(found.ci95)} and summary["classes"] == 6


def test_r15_another_size_is_refused_and_the_expected_one_named(split):
    with pytest.raises(BadInput, match="expects 8x8 images, not 16x16"):
        evaluate(tiny.path("int8"), split, preset("raw", 16, 16))


def test_labels_that_do_not_match_the_outputs(split):
    with pytest.raises(BadInput, match="gives 6 scores and there are 3 labels"):
        evaluate(tiny.path("int8"), split, RAW, labels=("a", "b", "c"))
    with pytest.raises(BadInput, match="tells apart a, b, c, d, e and 1 more"):
        evaluate(tiny.path("int8"), split, RAW, labels=tuple("abcdef"))


@pytest.mark.parametrize("name", ["workers", "batch_size"])
def test_counts_below_one(name, split):
    with pytest.raises(UsageError, match=f"{name} is 0"):
        evaluate(tiny.path("int8"), split, RAW, **{name: 0})


def test_no_images(split):
    with pytest.raises(BadInput, match="no images"):
        evaluate(tiny.path("int8"), split.take([]), RAW)


def test_an_image_that_was_damaged_meanwhile_is_named(tmp_path):
    folder = tiny.folder(tmp_path, 12)
    split = load_images(folder, RAW)
    (folder / "row3" / "003.png").write_bytes(b"gone")
    with pytest.raises(BadInput, match=r"003\.png"):
        evaluate(tiny.path("int8"), split, RAW)


def test_comparison_is_paired(split):
    right = evaluate(tiny.path("float32"), split, RAW)
    wrong = evaluate(tiny.path("float32"), split, preset("caffe", 8, 8).model_copy(update={"mean": (400.0,) * 3}))
    assert wrong.top1.value < 0.5
    found = compare(right, wrong)
    assert (found.gained, found.lost) == (0, int((~wrong.correct).sum()))
    assert found.difference == pytest.approx(wrong.top1.value - right.top1.value)
    assert found.ci95[0] < found.difference < found.ci95[1] < 0
    assert found.agreement == agreement(right, wrong) and agreement(right, right).value == 1.0
    with pytest.raises(BadInput, match="not evaluated on the same labelled images"):
        compare(right, evaluate(tiny.path("float32"), split.take(range(100)), RAW))


def test_paired_interval_covers_what_it_should():
    generator = np.random.default_rng(0)
    up, down, n, trials = 0.06, 0.03, 300, 4000
    draws = generator.multinomial(n, [up, down, 1 - up - down], size=trials)
    limits = np.array([paired_ci95(int(gained), int(lost), n) for gained, lost, _ in draws])
    covered = np.mean((limits[:, 0] <= up - down) & (up - down <= limits[:, 1]))
    assert 0.94 < covered < 0.97
