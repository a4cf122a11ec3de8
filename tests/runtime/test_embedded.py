"""What a file carries, read back; and what carries something else, or harm, refused in one sentence."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import BadInput
from edgekit.runtime.associated_files import with_files
from edgekit.runtime.contract import BLOCK
from edgekit.runtime.embedded import embedded_of, golden_vectors, read_embedded, with_embedded
from edgekit.runtime.flatbuffer import pack, parse, without_metadata
from edgekit.schemas import load_schema
from tests.described import LABELS, SIDE, array_model, described, picture_model, with_contract
from tests.runtime.one_op import one_op


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return described(tmp_path_factory.mktemp("embedded")).read_bytes()


def test_a_described_file_is_its_model_and_says_what_it_is(content: bytes, tmp_path: Path) -> None:
    import jsonschema

    assert without_metadata(content) == without_metadata(picture_model())
    found = read_embedded(content, "m")
    assert found.labels == LABELS and found.contract is not None and found.standard is not None
    assert found.contract.preprocessing is not None and found.contract.preprocessing.std == (127.5,) * 3
    image = found.standard["subgraph_metadata"][0]["input_tensor_metadata"][0]
    assert image["process_units"][0]["options"]["value"] == {"mean": [127.5], "std": [127.5]}
    (tmp_path / "m.tflite").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "m.tflite") as archive:  # as anybody's unzip program sees it
        names = [f"golden-{n}{end}" for n in range(3) for end in (".png", "-output-0.bin")]
        assert archive.namelist() == ["labels.txt", "edgekit.json", *names]
        jsonschema.validate(json.loads(archive.read(BLOCK)), load_schema("contract"))


def test_other_metadata_entries_stay_and_take_no_part_in_the_hash() -> None:
    from ai_edge_litert import schema_py_generated as schema

    model = parse(picture_model())
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer, buffer.data = "min_runtime_version", len(model.buffers), np.frombuffer(b"1.5.0", np.uint8)
    model.buffers.append(buffer)
    model.metadata = [entry]
    content = pack(model)
    once = with_embedded(content, {"name": "a"}, {})
    twice = with_embedded(once, {"name": "b"}, {})
    assert [one.name for one in parse(twice).metadata] == [b"min_runtime_version", b"TFLITE_METADATA"]
    assert len(parse(twice).buffers) == len(parse(once).buffers)
    assert without_metadata(twice) == without_metadata(once) == without_metadata(picture_model())


def test_golden_arrays_are_repeated_to_their_shape(tmp_path: Path) -> None:
    made = described(tmp_path, array_model()).read_bytes()
    vectors = golden_vectors(embedded_of(made, "m"), "m")
    assert [[one.shape for one in vector.inputs] for vector in vectors] == [[(1, 40, 40, 2)] * 2] * 3
    first = vectors[0].inputs[0].ravel()
    np.testing.assert_array_equal(first[:1000], first[1021:2021])
    assert vectors[0].picture is None and vectors[0].pixels_sha256 is None


def test_a_file_without_metadata_says_nothing() -> None:
    found = embedded_of(picture_model(), "m")
    assert (found.standard, found.files, found.contract, found.labels) == (None, {}, None, ())


def of_another_model(content: bytes) -> bytes:
    held = embedded_of(content, "m")
    assert held.standard is not None
    return with_embedded(
        one_op("ABS", inputs=((1, SIDE, SIDE, 3),), output=(1, SIDE, SIDE, 3)), held.standard, held.files
    )


def without_a_file(content: bytes) -> bytes:
    held = embedded_of(content, "m")
    assert held.standard is not None
    return with_embedded(content, held.standard, {n: c for n, c in held.files.items() if n != "golden-1.png"})


def golden(content: bytes, **fields: Any) -> dict[str, Any]:
    contract = embedded_of(content, "m").contract
    assert contract is not None and contract.golden is not None
    return {"golden": contract.golden.model_dump(mode="json") | fields}


HARM = {
    "another model's": (of_another_model, "metadata of another model"),
    "a file is missing": (without_a_file, "names 'golden-1.png', which it does not carry"),
    "no contract": (lambda c: with_files(without_metadata(c), {BLOCK: b"{}"}), "is no contract"),
    "not even JSON": (lambda c: with_files(without_metadata(c), {BLOCK: b"\x1b[2J"}), "is no contract"),
    "tolerances": (lambda c: with_contract(c, **golden(c, tolerance=[1.0, 1.0])), "not one tolerance an output"),
    "hostile standard": (lambda c: c.replace(b"M001", b"M009"), "identifier is not M001"),
}


@pytest.mark.parametrize("kind", HARM)
def test_what_is_wrong_is_one_sentence(kind: str, content: bytes) -> None:
    harm, said = HARM[kind]
    with pytest.raises(BadInput, match=said) as caught:
        read_embedded(harm(content), "m")
    assert str(caught.value).isprintable() and "metadata set --fresh" in caught.value.remedy


def test_a_golden_file_of_another_length(content: bytes) -> None:
    vectors = golden(content)["golden"]["vectors"]
    vectors[0]["outputs"][0]["shape"] = [1, 2**20, 2**20]
    with pytest.raises(BadInput, match="does not fit the shape"):
        golden_vectors(embedded_of(with_contract(content, **golden(content, vectors=vectors)), "m"), "m")


def test_a_file_made_to_keep_a_reader_busy_ends_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 signatures of 20,000 inputs each, all of them the same one: 90 kB that would be 40 million objects."""
    import flatbuffers

    import edgekit.runtime.embedded as embedded

    monkeypatch.setattr(embedded, "TIMEOUT", 1.0)
    builder = flatbuffers.Builder(1 << 20)

    def table(slots: int, fields: dict[int, int]) -> int:
        builder.StartObject(slots)
        for slot, offset in fields.items():
            builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        return int(builder.EndObject())

    def vector(offset: int, count: int) -> int:
        builder.StartVector(4, count, 4)
        for _ in range(count):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())

    signature = table(5, {0: vector(table(2, {}), 20_000)})
    builder.Finish(table(8, {7: vector(signature, 2000)}), b"TFL3")
    content = bytes(builder.Output())
    assert len(content) < 100_000
    with pytest.raises(BadInput, match="did not finish within 1 seconds"):
        read_embedded(content, "m")
