"""TFLite Model Metadata, the flatbuffer inside a .tflite that MediaPipe Tasks and ML Kit read: the schema as tables.

Values are plain: a table is a dict of the fields that are there, a vector a list, an enum its name, a union the table
that it holds with its name under "type". Reading believes nothing: every offset is checked, and the work is bounded.
Source: tensorflow_lite_support/metadata/metadata_schema.fbs, version 1.1.0, identifier M001.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

IDENTIFIER = b"M001"
MOST_VALUES = 100_000  # tables, strings and numbers of one file: small files can refer to the same part again and again
MOST_TEXT = 4_000_000  # bytes of all strings, for the same reason

# Scalars: struct's code and bytes.
SCALARS = {"int": ("<i", 4), "uint": ("<I", 4), "float": ("<f", 4), "byte": ("<b", 1)}
ENUMS = {
    "AssociatedFileType": ("UNKNOWN", "DESCRIPTIONS", "TENSOR_AXIS_LABELS", "TENSOR_VALUE_LABELS",
                           "TENSOR_AXIS_SCORE_CALIBRATION", "VOCABULARY"),
    "ColorSpaceType": ("UNKNOWN", "RGB", "GRAYSCALE"),
    "BoundingBoxType": ("UNKNOWN", "BOUNDARIES", "UPPER_LEFT", "CENTER"),
    "CoordinateType": ("RATIO", "PIXEL"),
    "ScoreTransformationType": ("IDENTITY", "LOG", "INVERSE_LOGISTIC"),
}  # fmt: skip
UNIONS = {
    "ContentProperties": ("FeatureProperties", "ImageProperties", "BoundingBoxProperties"),
    "ProcessUnitOptions": ("NormalizationOptions", "ScoreCalibrationOptions", "ScoreThresholdingOptions",
                           "BertTokenizerOptions", "SentencePieceTokenizerOptions"),
}  # fmt: skip
# Table -> its fields in the order of the schema; a list is a vector of its element.
TABLES: dict[str, dict[str, str | list[str]]] = {
    "ModelMetadata": {
        "name": "string", "description": "string", "version": "string", "subgraph_metadata": ["SubGraphMetadata"],
        "author": "string", "license": "string", "associated_files": ["AssociatedFile"],
        "min_parser_version": "string",
    },
    "SubGraphMetadata": {
        "name": "string", "description": "string", "input_tensor_metadata": ["TensorMetadata"],
        "output_tensor_metadata": ["TensorMetadata"], "associated_files": ["AssociatedFile"],
        "input_process_units": ["ProcessUnit"], "output_process_units": ["ProcessUnit"],
    },
    "TensorMetadata": {
        "name": "string", "description": "string", "dimension_names": ["string"], "content": "Content",
        "process_units": ["ProcessUnit"], "stats": "Stats", "associated_files": ["AssociatedFile"],
    },
    "AssociatedFile": {"name": "string", "description": "string", "type": "AssociatedFileType", "locale": "string"},
    "Content": {"content_properties": "ContentProperties", "range": "ValueRange"},
    "ValueRange": {"min": "int", "max": "int"},
    "FeatureProperties": {},
    "ImageProperties": {"color_space": "ColorSpaceType", "default_size": "ImageSize"},
    "ImageSize": {"width": "uint", "height": "uint"},
    "BoundingBoxProperties": {"index": ["uint"], "type": "BoundingBoxType", "coordinate_type": "CoordinateType"},
    "ProcessUnit": {"options": "ProcessUnitOptions"},
    "NormalizationOptions": {"mean": ["float"], "std": ["float"]},
    "ScoreCalibrationOptions": {"score_transformation": "ScoreTransformationType", "default_score": "float"},
    "ScoreThresholdingOptions": {"global_score_threshold": "float"},
    "BertTokenizerOptions": {"vocab_file": ["AssociatedFile"]},
    "SentencePieceTokenizerOptions": {
        "sentencePiece_model": ["AssociatedFile"], "vocab_file": ["AssociatedFile"],
    },
    "Stats": {"max": ["float"], "min": ["float"]},
}  # fmt: skip
KIND = "type"  # of a union's value


class NoMetadata(ValueError):
    """One clause on why the bytes are no metadata of this schema."""


def decode(content: bytes) -> dict[str, Any]:
    """The ModelMetadata in a flatbuffer. Raises NoMetadata for what is damaged, too large, or newer than the schema."""
    if content[4:8] != IDENTIFIER:
        raise NoMetadata("its identifier is not M001")
    reader = _Reader(content)
    return reader.table("ModelMetadata", reader.offset(0))


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._values, self._text = MOST_VALUES, MOST_TEXT

    def table(self, name: str, at: int) -> dict[str, Any]:
        self._count(1)
        slots = at - self._number("<i", 4, at)
        size = self._number("<H", 2, slots)
        found: dict[str, Any] = {}
        place = 4  # in the table of slots, behind its own size and the object's
        for field, kind in TABLES[name].items():
            offset = self._number("<H", 2, slots + place) if place + 2 <= size else 0
            place += 2
            if isinstance(kind, str) and kind in UNIONS:
                value = self._number("<H", 2, slots + place) if place + 2 <= size else 0
                place += 2
                if offset and value:
                    found[field] = self._union(kind, at + offset, self.offset(at + value))
            elif offset:
                found[field] = self._value(kind, at + offset)
        return found

    def offset(self, at: int) -> int:
        """What the reference at `at` points to; references only ever point forward."""
        return at + int(self._number("<I", 4, at))

    def _value(self, kind: str | list[str], at: int) -> Any:
        if isinstance(kind, list):
            return self._vector(kind[0], self.offset(at))
        if kind in SCALARS:
            self._count(1)
            return self._number(*SCALARS[kind], at)
        if kind in ENUMS:
            return self._enum(kind, at)
        return self._string(self.offset(at)) if kind == "string" else self.table(kind, self.offset(at))

    def _vector(self, kind: str, at: int) -> list[Any]:
        length = int(self._number("<I", 4, at))
        self._count(length)
        width = SCALARS[kind][1] if kind in SCALARS else 4
        return [self._value(kind, at + 4 + width * place) for place in range(length)]

    def _string(self, at: int) -> str:
        length = int(self._number("<I", 4, at))
        self._count(1)
        self._text -= length
        if self._text < 0 or at + 4 + length > len(self._content):
            raise NoMetadata("a text reaches beyond its end")
        return self._content[at + 4 : at + 4 + length].decode("utf-8", "replace")

    def _enum(self, kind: str, at: int) -> str:
        value = int(self._number("<b", 1, at))
        if not 0 <= value < len(ENUMS[kind]):
            raise NoMetadata(f"it has the {kind} {value}, which this version does not know")
        return ENUMS[kind][value]

    def _union(self, kind: str, tag: int, at: int) -> dict[str, Any]:
        number = int(self._number("<B", 1, tag))
        if not 1 <= number <= len(UNIONS[kind]):
            raise NoMetadata(f"it has the {kind} {number}, which this version does not know")
        name = UNIONS[kind][number - 1]
        return {KIND: name, "value": self.table(name, at)}

    def _number(self, code: str, size: int, at: int) -> Any:
        if not 0 <= at <= len(self._content) - size:
            raise NoMetadata("an offset points outside")
        return struct.unpack_from(code, self._content, at)[0]

    def _count(self, values: int) -> None:
        self._values -= values
        if self._values < 0:
            raise NoMetadata(f"it has more than {MOST_VALUES:,} values")


def encode(metadata: Mapping[str, Any]) -> bytes:
    """The flatbuffer of a ModelMetadata, as `decode` gives it. Raises KeyError for what the schema does not know."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(_written(builder, "ModelMetadata", metadata), IDENTIFIER)
    return bytes(builder.Output())


def _written(builder: Any, name: str, value: Mapping[str, Any]) -> int:
    """A table's parts first, then the table: a flatbuffer is built from its leaves."""
    fields = TABLES[name]
    strange = [field for field in value if field not in fields]
    if strange:
        raise KeyError(f"{name} has no field {strange[0]!r}")
    slots: list[tuple[str, Any]] = []  # in the order of the schema: the scalar's kind or "offset", and what it is
    for field, kind in fields.items():
        given = value.get(field)
        if isinstance(kind, str) and kind in UNIONS:
            tag = 0 if given is None else 1 + UNIONS[kind].index(given[KIND])
            part = None if given is None else _written(builder, given[KIND], given["value"])
            slots += [("tag", tag or None), ("offset", part)]
        elif given is None:
            slots.append(("offset", None))
        else:
            slots.append(_part(builder, kind, given))
    builder.StartObject(len(slots))
    for place, (kind, part) in enumerate(slots):
        if part is not None:
            _PREPEND[kind](builder, part)
            builder.Slot(place)
    return int(builder.EndObject())


def _part(builder: Any, kind: str | list[str], given: Any) -> tuple[str, Any]:
    if isinstance(kind, list):
        return "offset", _vector(builder, kind[0], given)
    if kind in SCALARS:
        return kind, given
    if kind in ENUMS:
        return "byte", ENUMS[kind].index(given)
    return "offset", builder.CreateString(given) if kind == "string" else _written(builder, kind, given)


def _vector(builder: Any, kind: str, given: Any) -> int:
    parts = [_part(builder, kind, one) for one in given]
    width = SCALARS[kind][1] if kind in SCALARS else 4
    builder.StartVector(width, len(parts), width)
    for code, part in reversed(parts):
        _PREPEND[code](builder, part)
    return int(builder.EndVector())


_PREPEND: dict[str, Any] = {
    "offset": lambda builder, part: builder.PrependUOffsetTRelative(part),
    "tag": lambda builder, part: builder.PrependUint8(part),
    "byte": lambda builder, part: builder.PrependInt8(part),
    "int": lambda builder, part: builder.PrependInt32(part),
    "uint": lambda builder, part: builder.PrependUint32(part),
    "float": lambda builder, part: builder.PrependFloat32(part),
}
