"""What a run found, told three ways: `tables` for terminal and pandas, `markdown` for a pull request, `html` to open.

    results (edgekit/results.py) -> verdict (sentences), facts (term, text), tables (a row a variant), charts (Altair)
                                 -> text_report, variants_csv | markdown_report | html_report

Every figure comes from `results`; nothing is measured or decided here. Names in it (classes, files) may be hostile, so
each way escapes them. Only `html` and `charts` need the [report] extra.
"""
