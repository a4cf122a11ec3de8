import warnings
from dataclasses import replace

import numpy as np
import pytest

from edgekit.data.dataset import load_data
from edgekit.errors import EdgekitWarning
from edgekit.evaluation.examine import Examined
from edgekit.preprocess import preset
from tests.evaluation.answers import answering


@pytest.fixture(scope="module")
def split():
    return load_data("digits", preprocess=preset("raw", 8, 8)).test.take(range(30))


def said(split, found):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EdgekitWarning)
        Examined("digits", (found,)).warn(split)
    return [str(one.message) for one in caught]


def of(split, order=range(10), **fields):
    """A model that is always right, with its classes in another order."""
    return answering(np.array(order)[split.labels], split.labels, class_names=split.class_names, **fields)


def test_nothing_to_say(split):
    assert said(split, of(split)) == []


def test_images_that_are_there_twice(split):
    twice = split.take([*range(30), 4, 5])
    assert said(twice, of(twice)) == [
        f"2 of 32 images are there before, by pixels, and count again (first: {split.names[4]} is {split.names[4]})."
    ]
    labels = twice.labels.copy()
    labels[-1] = (labels[-1] + 1) % 10
    assert "; 1 of them under another class (first:" in said(replace(twice, labels=labels), of(twice))[0]


def test_classes_without_an_image(split):
    few = split.take(np.flatnonzero(split.labels > 1))
    assert said(few, of(few)) == ["2 of 10 classes have no image: '0', '1'."]


def test_classes_in_another_order_than_the_models(split):
    many = split.take(np.tile(np.arange(30), 10))
    (_, sentence) = said(many, of(many, order=[1, 2, 3, 4, 5, 6, 7, 8, 9, 0]))
    assert "'0' is answered '1'" in sentence and "0.0% of the images are right, and 100.0% would be" in sentence
