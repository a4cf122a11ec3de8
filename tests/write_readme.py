"""Writes the --help block into the README: python -m tests.write_readme"""

import contextlib
import io
from pathlib import Path

from edgekit.cli import main

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- help: begin -->", "<!-- help: end -->"

if __name__ == "__main__":
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main(["--help"])
    block = "".join(f"    {line}".rstrip() + "\n" for line in printed.getvalue().splitlines())
    text = README.read_text("utf-8")
    README.write_text(f"{text.split(BEGIN)[0]}{BEGIN}\n\n{block}\n{END}{text.split(END)[1]}", "utf-8")
