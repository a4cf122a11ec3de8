"""TFLite metadata, read and written: what goes in comes out, and what is damaged has one clause."""

from typing import Any

import flatbuffers
import numpy as np
import pytest

from edgekit.runtime.metadata_schema import ENUMS, MOST_VALUES, TABLES, UNIONS, NoMetadata, decode, encode

WHOLE: dict[str, Any] = {
    "name": "Gänse", "description": "two\nlines", "version": "v1", "author": "me", "license": "MIT",
    "min_parser_version": "1.0.0", "associated_files": [{"name": "x.bin", "type": "VOCABULARY", "locale": "en"}],
    "subgraph_metadata": [{
        "name": "main",
        "input_tensor_metadata": [{
            "name": "image", "dimension_names": ["batch", "height"],
            "content": {"content_properties": {"type": "ImageProperties", "value": {
                "color_space": "GRAYSCALE", "default_size": {"width": 3, "height": 4}}},
                "range": {"min": 1, "max": -2}},
            "process_units": [{"options": {"type": "NormalizationOptions", "value": {"mean": [127.5], "std": [1.0]}}}],
            "stats": {"min": [-1.0], "max": [1.0]},
        }],
        "output_tensor_metadata": [
            {"content": {"content_properties": {"type": "FeatureProperties", "value": {}}}},
            {"content": {"content_properties": {"type": "BoundingBoxProperties", "value": {
                "index": [0, 3], "type": "CENTER", "coordinate_type": "PIXEL"}}}},
        ],
        "output_process_units": [
            {"options": {"type": "ScoreCalibrationOptions", "value": {"default_score": 0.25}}},
            {"options": {"type": "BertTokenizerOptions", "value": {"vocab_file": [{"name": "v"}]}}},
        ],
    }],
}  # fmt: skip


def test_what_goes_in_comes_out() -> None:
    assert decode(encode(WHOLE)) == WHOLE
    assert encode(decode(encode(WHOLE))) == encode(WHOLE) and decode(encode({})) == {}


INSIDE = {"ModelMetadata", *(name for names in UNIONS.values() for name in names)}  # that no field names


def test_every_field_of_every_table_is_a_kind_that_is_known() -> None:
    kinds = {kind[0] if isinstance(kind, list) else kind for fields in TABLES.values() for kind in fields.values()}
    assert set(TABLES) >= INSIDE
    assert {kind for kind in kinds if kind[0].isupper()} == {*TABLES, *UNIONS, *ENUMS} - INSIDE


def test_a_field_that_the_schema_lacks_is_not_lost_silently() -> None:
    with pytest.raises(KeyError, match="ModelMetadata has no field 'colour'"):
        encode({"colour": "red"})


def test_damaged_metadata_raise_nothing_else() -> None:
    """Every byte changed, every length cut: a value or NoMetadata."""
    content = encode(WHOLE)
    generator, raised = np.random.default_rng(0), 0
    for at in range(len(content)):
        for harmed in (
            content[:at],
            content[:at] + bytes([content[at] ^ int(generator.integers(1, 256))]) + content[at + 1 :],
        ):
            try:
                assert isinstance(decode(harmed), dict)
            except NoMetadata as error:
                raised += bool(str(error))
    assert raised > len(content)


def test_parts_that_are_referred_to_again_and_again_are_counted() -> None:
    """1,000 graphs, all the same one, with 1,000 tensors, all the same one: 10 kB that would be a million dicts."""
    builder = flatbuffers.Builder(1024)
    builder.StartObject(7)
    tensor = builder.EndObject()
    tensors = _vector(builder, [tensor] * 1000)
    graph = _object(builder, 7, {2: tensors})
    model = _object(builder, 8, {3: _vector(builder, [graph] * 1000)})
    builder.Finish(model, b"M001")
    with pytest.raises(NoMetadata, match=f"more than {MOST_VALUES:,} values"):
        decode(bytes(builder.Output()))


def test_kinds_of_a_newer_schema_are_named() -> None:
    content = encode({"subgraph_metadata": [{"associated_files": [{"type": "VOCABULARY"}]}]})
    at = content.rindex(b"\x05")
    with pytest.raises(NoMetadata, match="AssociatedFileType 99, which this version does not know"):
        decode(content[:at] + b"\x63" + content[at + 1 :])


def _vector(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in offsets:
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _object(builder: Any, slots: int, fields: dict[int, int]) -> int:
    builder.StartObject(slots)
    for slot, offset in fields.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    return int(builder.EndObject())
