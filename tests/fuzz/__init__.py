"""Fuzzing: what a server may send, however broken, ends as a value or a `RAGFlowError`, in linear time and bounded memory.

`targets` has the three targets, each a function of bytes. Pytest replays `corpus/` (cases once found) and mutates recordings
for a moment; `make fuzz TIME=300` runs atheris on the same targets.
"""
