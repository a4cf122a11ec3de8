"""The archive behind a model: any unzip program reads it, and no hostile one leads anywhere."""

import io
import zipfile

import numpy as np
import pytest

from edgekit.runtime.associated_files import LARGEST_FILE, MOST_FILES, NoFiles, files_of, with_files

MODEL = b"flatbuffer" * 20
FILES = {"labels.txt": b"cat\ndog\n", "x.bin": bytes(range(256))}


def archive(*entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    held = io.BytesIO()
    held.write(MODEL)
    with zipfile.ZipFile(held, "a", method) as made, np.errstate():
        for name, content in entries:
            made.writestr(name, content)
    return held.getvalue()


def test_what_goes_in_comes_out_and_is_stored() -> None:
    whole = with_files(MODEL, FILES)
    assert whole == with_files(MODEL, FILES) and whole.startswith(MODEL) and FILES["x.bin"] in whole
    assert files_of(whole) == FILES and files_of(MODEL) == {} and with_files(MODEL, {}) == MODEL
    with zipfile.ZipFile(io.BytesIO(whole)) as opened:
        assert opened.testzip() is None
        assert {(one.compress_type, one.date_time) for one in opened.infolist()} == {(0, (1980, 1, 1, 0, 0, 0))}


def test_packed_entries_of_other_writers_are_read() -> None:
    assert files_of(archive(("labels.txt", b"a\nb\n"), method=zipfile.ZIP_DEFLATED)) == {"labels.txt": b"a\nb\n"}


@pytest.mark.parametrize(
    "name", ["../labels.txt", "/etc/passwd", "a/b", "c:\\x", "..", "\x1b[2J.txt", "a\nb", "\u202etxt.exe"]
)
def test_names_that_are_paths_or_paint_the_screen(name: str) -> None:
    with pytest.raises(NoFiles, match="is a path or holds control characters"):
        files_of(archive((name, b"x")))
    with pytest.raises(NoFiles):
        with_files(MODEL, {name: b"x"})


def test_bombs_are_not_unpacked() -> None:
    with pytest.raises(NoFiles, match="MB"):
        files_of(archive(("labels.txt", bytes(LARGEST_FILE + 1)), method=zipfile.ZIP_DEFLATED))
    with pytest.raises(NoFiles, match="MB"):
        files_of(archive(*((f"{n}", bytes(LARGEST_FILE)) for n in range(3)), method=zipfile.ZIP_DEFLATED))
    with pytest.raises(NoFiles, match="associated files, more than"):
        files_of(archive(*((f"{n}", b"") for n in range(MOST_FILES + 1))))
    honest = archive(("labels.txt", bytes(10_000_000)), method=zipfile.ZIP_DEFLATED)
    lying = honest.replace((10_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    with pytest.raises(NoFiles, match="not as long|damaged"):
        files_of(lying)


def test_the_same_name_twice() -> None:
    with pytest.raises(NoFiles, match="the same name"), pytest.warns(UserWarning, match="Duplicate name"):
        files_of(archive(("labels.txt", b"a"), ("labels.txt", b"b")))


def test_a_damaged_archive_raises_nothing_else() -> None:
    whole, raised = with_files(MODEL, FILES), 0
    generator = np.random.default_rng(0)
    for at in range(len(MODEL), len(whole)):
        harmed = bytearray(whole)
        harmed[at] ^= int(generator.integers(1, 256))
        try:
            files_of(bytes(harmed))
        except NoFiles as error:
            raised += bool(str(error))
    assert raised > 200
