"""Writes metadata into any .tflite, and proves that the model computes what it computed before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from edgekit import __version__
from edgekit.artifact import (
    Card,
    Io,
    TensorSpec,
    card_path,
    load_artifact,
    read_card,
    save_artifact,
    sha256_of,
    write_bytes,
)
from edgekit.errors import BadInput, CheckFailed, UsageError
from edgekit.evaluation.expects import given_preprocess
from edgekit.evaluation.golden import make_golden
from edgekit.evaluation.metrics import scores_fit
from edgekit.exporting.metadata import contract_files, merged, of_file, standard_of
from edgekit.metadata_config import Metadata
from edgekit.runtime import isolate
from edgekit.runtime.contract import BLOCK, LABELS, Contract, Meaning, contract_of
from edgekit.runtime.embedded import Embedded, embedded_of, label_file, with_embedded
from edgekit.runtime.flatbuffer import without_metadata
from edgekit.runtime.interpreter import open_model
from edgekit.runtime.probe import TIMEOUT, Probed, probe, random_inputs
from edgekit.runtime.validate import validate

TEXTS = tuple(name for name in Metadata.model_fields if name != "golden")
SEEDS = (0, 1, 2)  # of the inputs that the file is proven on


@dataclass(frozen=True)
class Changes:
    """What is to be written; what is None, or not in `texts` (by the fields of Metadata), stays as it is.

    `preprocess`: a preset's name or a block; `card`: a card's file. `golden` (None: yes) makes golden vectors anew, or
    takes them out; `fresh` drops what the file has.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None
    preprocess: str | Mapping[str, Any] | None = None
    output_meaning: Meaning | None = None
    card: Path | None = None
    golden: bool | None = None
    fresh: bool = False


def set_metadata(path: str | Path, changes: Changes, out: str | Path | None = None) -> Path:
    """Writes the file with its new metadata to `out`, which must not exist, or in its own place; gives the path.

    Of a card beside the file (or `changes.card`, which has to be this model's) everything is taken that the changes do
    not say. Raises BadInput for a file that does not run, whose own metadata are damaged or another model's (unless
    they are dropped), and for labels that do not fit; CheckFailed where the new file answers differently. Nothing is
    written then.
    """
    path, target = Path(path), Path(path if out is None else out)
    if changes == Changes():
        raise UsageError("There is nothing to set.", "Give --labels, --preprocess, --author, ...")
    if out is not None and target.exists():
        raise UsageError(f"{target} exists already.", "Give another path with --out.")
    _checked(changes.texts)
    found, beside = probe(path), load_artifact(path).card
    if out is not None and beside is not None and card_path(target).exists():
        raise UsageError(f"{card_path(target)} exists already.", "Give another path with --out.")
    given = beside if changes.card is None else read_card(changes.card)
    whole: bytes = isolate.call(_described, found, given, changes, what=str(path), timeout=TIMEOUT)
    validate(whole, str(path))
    if not isolate.call(same_answers, found.content, whole, what=str(path), timeout=TIMEOUT):
        raise CheckFailed(f"{path} would answer differently with its metadata.", "Nothing was written.")
    if beside is None:
        write_bytes(target, whole)
    else:
        save_artifact(target, whole, of_file(beside, whole))
    return target


def _checked(texts: Mapping[str, str]) -> None:
    try:
        Metadata.model_validate(texts)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"--{first['loc'][0]}: {first['ctx']['error']}.", "Give plain text.") from None


def _described(found: Probed, card: Card | None, changes: Changes) -> bytes:
    """In a worker: the file with its new metadata, which is read back."""
    name = str(found.path)
    held = Embedded(None, {}, None) if changes.fresh else embedded_of(found.content, name)
    contract = _with_changes(_known(found, card, held), found, changes)
    labels = changes.labels or (card.labels if card else ()) or held.labels
    _check_labels(found, labels)
    golden, vectors = (None, {}) if changes.golden is False else make_golden(found.content, contract.preprocessing)
    contract = contract.model_copy(update={"golden": golden, "labels": LABELS if labels else None})
    before = dict(held.standard or {})
    texts: dict[str, Any] = {**{one: before.pop(one, None) for one in TEXTS}, **changes.texts}
    ends = tuple(tuple(TensorSpec(**one.__dict__) for one in end) for end in (found.inputs, found.outputs))
    files = {**contract_files(contract, labels, vectors), **_others(held, labels)}
    about = Metadata.model_construct(**texts)  # texts of others stay as they are, whatever they hold
    standard = merged(before, standard_of(contract, about, labels, (ends[0], ends[1]), files), contract, labels)
    whole = with_embedded(found.content, standard, files)
    embedded_of(whole, name)
    return whole


def _known(found: Probed, card: Card | None, held: Embedded) -> Contract:
    """What the card says, or the contract in the file. Raises BadInput for the card of another model."""
    own = sha256_of(without_metadata(found.content))
    if card is None:
        return held.contract or Contract(edgekit=__version__, model=found.path.stem, model_sha256=own)
    if card.model_sha256 != own:
        raise BadInput(
            f"The card is another model's than {found.path}: their SHA-256 differ.",
            f"Give {card_path(found.path).name}, or say what is in it by the other options.",
        )
    return contract_of(card, None, held.contract.recipe if held.contract else None, None)


def _with_changes(contract: Contract, found: Probed, changes: Changes) -> Contract:
    new: dict[str, Any] = {}
    if changes.preprocess is not None:
        io: Io | None = next((one for one in get_args(Io) if found.inputs[0].dtype == one), None)
        new |= {"preprocessing": given_preprocess(changes.preprocess, found), "io": io}
    if changes.output_meaning is not None:
        new["output_meaning"] = changes.output_meaning
    return contract.model_copy(update=new)


def _check_labels(found: Probed, labels: Sequence[str]) -> None:
    scores = found.outputs[0].shape[-1] if found.outputs[0].shape else 1
    if labels and not scores_fit(scores, len(labels)):
        raise BadInput(
            f"{found.path} gives {scores} scores and there are {len(labels)} labels.",
            "Give a label for each of its outputs, in their order.",
        )


def _others(held: Embedded, labels: Sequence[str]) -> dict[str, bytes]:
    """The associated files that are neither edgekit's nor replaced."""
    golden = held.contract.golden if held.contract else None
    vectors = [one.file for each in golden.vectors for one in (*each.inputs, *each.outputs)] if golden else []
    replaced = {BLOCK, *vectors, *((LABELS, label_file(held.standard)) if labels else ())}
    return {name: content for name, content in held.files.items() if name not in replaced}


def same_answers(first: bytes, second: bytes) -> bool:
    """Bit for bit, on seeded inputs, and the very same graph."""
    models = [open_model(content) for content in (first, second)]
    for seed in SEEDS:
        inputs = random_inputs(models[0].inputs, seed)
        ours, theirs = (model.run(*inputs) for model in models)
        if [one.tobytes() for one in ours] != [one.tobytes() for one in theirs]:
            return False
    return without_metadata(first) == without_metadata(second)
