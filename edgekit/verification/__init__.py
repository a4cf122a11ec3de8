"""The same inputs through every runtime at hand, and what differs. docs/verify.md says how to read it."""
