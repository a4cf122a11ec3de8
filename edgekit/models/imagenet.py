"""The 1000 classes of ImageNet (ILSVRC 2012) in the order of every published network's outputs.

The order is that of the WordNet ids. Ids and names are from timm 1.0.31 (github.com/huggingface/pytorch-image-models,
Apache-2.0: data/_info/imagenet_synsets.txt, imagenet_synset_to_lemma.txt), whose names are those of WordNet 3.0
(Princeton University, wordnet.princeton.edu/license-and-commercial-use). Of several names the first is kept; of the
two maillots the second one is the tank suit, and the two cranes are told apart in brackets.
"""

from __future__ import annotations

import functools
from importlib import resources

from edgekit.data.classes import Classes


@functools.cache
def imagenet_labels() -> tuple[tuple[str, str], ...]:
    """(WordNet id, readable name) of each class; all of them different."""
    lines = resources.files("edgekit.models").joinpath("imagenet.tsv").read_text("utf-8").splitlines()
    return tuple((wnid, name) for wnid, name in (line.split("\t") for line in lines))


@functools.cache
def imagenet_classes() -> Classes:
    """By their readable names; a data set may also call them by their WordNet ids, as ImageNet does."""
    labels = imagenet_labels()
    return Classes(tuple(name for _, name in labels), {wnid: place for place, (wnid, _) in enumerate(labels)})
