"""Layers of the compiled program of dense networks."""
