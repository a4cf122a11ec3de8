"""R21: every kind of picture becomes upright RGB; R12: the same numbers everywhere; a bad file is named."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit.data.images import FORMATS, BadImage, decode, normalize, resize
from edgekit.errors import BadInput
from edgekit.preprocess import PRESETS, Preprocess, preset

NOISE = np.random.default_rng(7).integers(0, 256, (9, 13, 3), np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **more: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **more)
    return stream.getvalue()


def png(width: int, height: int, depth: int, color: int, raw: bytes) -> bytes:
    """A PNG written by hand, for the kinds Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("kind", "more"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})])
def test_r21_lossless_formats_give_the_pixels_back(kind: str, more: dict) -> None:
    pixels = decode(saved(Image.fromarray(NOISE), kind, **more))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, NOISE)


def test_r21_jpeg_is_what_pillow_decodes(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(NOISE).save(path, quality=90)
    np.testing.assert_array_equal(decode(path), np.asarray(Image.open(path)))


def test_r21_gray_palette_and_one_bit_are_repeated_or_looked_up() -> None:
    gray = NOISE[:, :, 0]
    np.testing.assert_array_equal(decode(saved(Image.fromarray(gray))), np.stack([gray] * 3, axis=2))
    palette = Image.fromarray(NOISE).quantize(16)
    np.testing.assert_array_equal(decode(saved(palette)), np.asarray(palette.convert("RGB")))
    one_bit = Image.fromarray((gray > 127).astype(np.uint8) * 255).convert("1")
    np.testing.assert_array_equal(decode(saved(one_bit))[:, :, 1], np.asarray(one_bit) * np.uint8(255))


def test_r21_transparent_pixels_lie_on_white() -> None:
    rgba = np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [200, 0, 0, 51]]], np.uint8)
    assert decode(saved(Image.fromarray(rgba))).tolist() == [[[200, 0, 0], [255, 255, 255], [244, 204, 204]]]
    gray_alpha = Image.fromarray(np.array([[[10, 255], [10, 0]]], np.uint8), "LA")
    assert decode(saved(gray_alpha))[:, :, 0].tolist() == [[10, 255]]


def test_r21_a_transparent_palette_entry_or_colour_lies_on_white() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((1, 0), 1)
    assert decode(saved(palette, transparency=0)).tolist() == [[[255, 255, 255], [0, 255, 0]]]
    color = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8))
    assert decode(saved(color, transparency=(255, 0, 0))).tolist() == [[[255, 255, 255], [0, 255, 0]]]


def test_r21_cmyk() -> None:
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    pixels = decode(saved(red, "JPEG", quality=95)).astype(int)
    assert pixels.shape == (8, 8, 3)
    assert np.abs(pixels - [255, 0, 0]).max() <= 2


def test_r21_16_bit_gray_is_scaled_not_clipped() -> None:
    raw = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    assert decode(saved(Image.fromarray(raw)))[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    clear = decode(saved(Image.fromarray(raw), transparency=257))
    assert clear[0, :, 2].tolist() == [0, 0, 1, 255, 128, 255]


def test_r21_16_bit_color_and_2_bit_gray() -> None:
    color = png(2, 1, 16, 2, b"\0" + struct.pack(">6H", 0, 256, 65535, 32768, 512, 1024))
    assert decode(color).tolist() == [[[0, 1, 255], [128, 2, 4]]]
    assert decode(png(4, 1, 2, 0, b"\0\x1b"))[0, :, 0].tolist() == [0, 85, 170, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_r21_exif_rotation(orientation: int, kind: str) -> None:
    left_white = np.zeros((16, 32), np.uint8)
    left_white[:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = decode(saved(Image.fromarray(left_white).convert("RGB"), kind, exif=exif))
    white_side = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}
    sides = {
        "left": upright[:, :4],
        "right": upright[:, -4:],
        "top": upright[:4],
        "bottom": upright[-4:],
    }
    assert upright.shape == ((16, 32, 3) if orientation <= 4 else (32, 16, 3))
    assert max(sides, key=lambda side: sides[side].mean()) == white_side[orientation]


@pytest.mark.parametrize("kind", FORMATS)
def test_r21_truncated_or_overwritten_files_are_named(kind: str, tmp_path: Path) -> None:
    whole = saved(Image.fromarray(NOISE), kind)
    generator = np.random.default_rng(3)
    for n in range(60):
        path = tmp_path / f"{n}.img"
        broken = bytearray(whole[: generator.integers(0, len(whole))] if n % 2 else whole)
        for place in generator.integers(0, max(len(broken), 1), 4) if n % 2 == 0 else []:
            broken[place] ^= 255
        path.write_bytes(broken)
        try:
            pixels = decode(path)  # a few damaged files still hold a picture
        except BadImage as caught:
            assert (
                str(path) in caught.fact and caught.remedy and "\n" not in str(caught) and " at 0x" not in str(caught)
            )
        else:
            assert pixels.dtype == np.uint8 and pixels.ndim == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a PNG, JPEG, WebP or BMP file"),
        (b"GIF89a" + bytes(40), "not a PNG, JPEG, WebP or BMP file"),
        (saved(Image.fromarray(NOISE), "JPEG")[:-200], "the file is truncated"),
    ],
)
def test_r21_the_reason_is_one_clause(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        decode(path)
    assert caught.value.fact.startswith(f"{path} cannot be read as an image ({reason}")


@pytest.mark.parametrize("side", [9_500, 14_000, 60_000])
def test_decompression_bombs_are_refused_before_they_are_unpacked(side: int) -> None:
    with warnings.catch_warnings(), pytest.raises(BadImage, match="pixels"):
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        decode(png(side, side, 8, 2, b""))


def test_a_missing_file_is_the_systems_error_not_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        decode(tmp_path / "nowhere.png")


def test_decode_reads_streams(tmp_path: Path) -> None:
    np.testing.assert_array_equal(decode(io.BytesIO(saved(Image.fromarray(NOISE)))), NOISE)


PHOTO = np.asarray(Image.fromarray(NOISE).resize((64, 48), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("kind", ["bilinear", "bicubic", "nearest", "area"])
def test_enlarging_is_the_same_with_and_without_antialias(kind: str) -> None:
    """A filter's support grows only when shrinking; this also holds our sampling against Pillow's.

    (Low contrast, because Pillow cuts bicubic's overshoot to 0..255 between its two passes as well.)
    """
    noise = NOISE // 4 + 96
    on = resize(noise, Preprocess(height=31, width=40, resize=kind))
    off = resize(noise, Preprocess(height=31, width=40, resize=kind, antialias=False))
    assert np.abs(on.astype(int) - off).max() <= 1


def test_shrinking_with_antialias_is_pillows() -> None:
    expected = Image.fromarray(PHOTO).resize((10, 7), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resize(PHOTO, Preprocess(height=7, width=10)), np.asarray(expected))


def test_shrinking_without_antialias_samples_at_half_pixel_centers() -> None:
    row = np.arange(0, 240, 20, dtype=np.uint8)  # 12 values, 20 apart
    image = np.repeat(np.repeat(row[None, :, None], 4, axis=0), 3, axis=2)
    for kind in ("bilinear", "bicubic"):  # centers 1, 4, 7, 10 fall on pixels: no neighbour counts
        small = resize(image, Preprocess(height=4, width=4, resize=kind, antialias=False))
        assert small[0, :, 0].tolist() == [20, 80, 140, 200]
    halves = resize(image, Preprocess(height=4, width=6, antialias=False))
    assert halves[0, :, 0].tolist() == [10, 50, 90, 130, 170, 210]


def test_area_is_the_mean_of_the_covered_pixels() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :2] = [[[10], [20]], [[30], [40]]]
    small = resize(image, Preprocess(height=2, width=2, resize="area", antialias=False))
    assert small[:, :, 0].tolist() == [[25, 0], [0, 0]]


def test_center_crop_and_channel_order() -> None:
    image = np.zeros((4, 10, 3), np.uint8)
    image[:, 3:7] = [1, 2, 3]
    cropped = resize(image, Preprocess(height=4, width=4, crop="center", channels="bgr"))
    np.testing.assert_array_equal(cropped, np.full((4, 4, 3), [3, 2, 1]))


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["bilinear", "bicubic", "area", "nearest"]),
    st.booleans(),
    st.integers(0, 255),
)
def test_a_plain_picture_stays_plain_at_any_size(
    size: tuple[int, int], target: tuple[int, int], kind: str, antialias: bool, value: int
) -> None:
    image = np.full((*size, 3), value, np.uint8)
    wanted = Preprocess(height=target[0], width=target[1], resize=kind, antialias=antialias, crop="center")
    np.testing.assert_array_equal(resize(image, wanted), np.full((*target, 3), value))


@pytest.mark.parametrize("name", PRESETS)
def test_r12_normalize(name: str) -> None:
    values = preset(name, 2, 2)
    batch = np.random.default_rng(0).integers(0, 256, (5, 2, 2, 3), np.uint8)
    result = normalize(batch, values)
    assert result.dtype == np.float32 and result.shape == batch.shape
    expected = (batch.astype(np.float64) - values.mean) / values.std
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    assert normalize(np.array([0, 127, 255], np.uint8), preset("tf", 1, 1)).tolist() == pytest.approx(
        [-1, -1 / 255, 1], abs=1e-7
    )
