"""Fuzzing: see `__main__.py`."""
