"""Folders to drop into an app: a model, a small client, the exact preprocessing, a self-check. One target a file.

The clients are real source files in `templates/`, the same for every model; what differs stands in one small file that
is made for it. Their preprocessing is the arithmetic of docs/contracts.md, "Resizing, to the bit".
"""
