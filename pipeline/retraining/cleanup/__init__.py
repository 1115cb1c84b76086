"""The step `prune`: what may be deleted of an experiment, and deleting it."""
