"""The steps of the pipeline: each reads like its recipe."""
