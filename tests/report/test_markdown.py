from pathlib import Path
from typing import Any

from edgekit.data.dataset import Damaged
from edgekit.report.markdown import code, markdown_report, text
from tests.report.example import VARIANTS, make_results

HOSTILE = ("<script>alert(1)</script>", "a|b", "`c`", "[d](http://e)", "@everyone", *map(str, range(5)))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_variants_table_has_the_figures_of_results(results: dict[str, Any]) -> None:
    lines = markdown_report(results).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| Variant | Verdict"))
    table = [dict(zip(cells(lines[start]), cells(line), strict=True)) for line in lines[start + 2 : start + 7]]
    for shown, row in zip(table, results["variants"], strict=True):
        assert shown["Variant"] == row["variant"]
        assert shown["Verdict"] == ("chosen" if row["chosen"] else "within budget")
        assert shown["Top-1"] == f"{100 * row['top1']['value']:.2f} %"
        assert float(shown["vs float32"]) == round(-row["drop_points"], 2)
        assert abs(float(shown["Median ms"]) / row["latency_ms"]["median"] - 1) < 0.005
        assert shown["Size MB"] == f"{row['size_bytes'] / 1e6:.3f}"
        assert shown["Heap MB"] == f"{row['heap_bytes'] / 1e6:.3f}"
        assert (shown["MACs"], shown["Params"]) == ("5.94 M", "0.423 M")


def test_what_the_numbers_rest_on(results: dict[str, Any]) -> None:
    page = markdown_report(results)
    for line in (
        "- CPU: Intel(R) Xeon(R) Processor @ 2.60GHz (x86\\_64, 2 usable cores)",
        "- Runtime: ai-edge-litert 2.1.0, XNNPACK",
        "- Runs: 1,200 timed runs of one image a variant, in 3 fresh processes",
        "- Input: float32 \\[1, 32, 32, 3\\], normalized values",
        "- Preprocessing: Decode, rotate by EXIF, convert to RGB, resize to 32 x 32 (bilinear, antialiased), "
        "then (pixel - 127.5) / 127.5, pixels being 0 to 255.",
        "- Recipe: model.name = mobilenet\\_v2; model.alpha = 0.35",
        f"- Data: digits, SHA-256 {results['data_sha256']}",
        "- Images: 1,257 to train on, 180 to validate, 360 to test",
        "| 11 (kept) | 0.0470 | 0.0818 | 99.80 % | 98.91 % |",
        "| `3` | 128 | 18 | 37 |",
    ):
        assert line in page.splitlines()


def test_integer_input_says_where_the_normalization_is(tmp_path: Path) -> None:
    page = markdown_report(make_results(tmp_path, {name: VARIANTS[name] for name in ("float32", "int8")}, io="uint8"))
    assert "- Input: uint8 \\[1, 32, 32, 3\\], raw RGB pixels 0 to 255" in page
    assert "then feed the pixels as they are: the normalization is inside the graph." in page


def test_hostile_names_are_disarmed(tmp_path: Path) -> None:
    damaged = (Damaged("x`<img src=//evil>\n# title.png", "not <b>an</b> image"),)
    page = markdown_report(make_results(tmp_path, class_names=HOSTILE, damaged=damaged))
    assert "- ``x`<img src=//evil> # title.png``: not \\<b\\>an\\</b\\> image" in page
    assert "| `<script>alert(1)</script>` |" in page and "| `a\\|b` |" in page
    assert "\\<script\\>alert(1)\\</script\\>, a\\|b, \\`c\\`, \\[d\\](http://e), @\u200beveryone, 0" in page
    assert "\n# title" not in page


def test_code_and_text() -> None:
    assert code("a`` b") == "```a`` b```"
    assert code("`") == "`` ` ``"
    assert text("a_b\n*c*") == "a\\_b \\*c\\*"


def test_a_model_that_was_not_trained(tmp_path: Path) -> None:
    page = markdown_report(make_results(tmp_path, epochs=0))
    assert "## Training\n\n- Epochs: none, the model was not trained in this run\n\n## Data" in page
