"""Matplotlib pictures, object-oriented: every function returns a Figure and touches no global state."""
