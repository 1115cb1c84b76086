"""The sections of an experiment's file: one class with the keys of each, their types, defaults and meaning."""
