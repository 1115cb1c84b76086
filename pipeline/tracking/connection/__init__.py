"""The way to a tracking store: its address, whether it answers, and waiting for one that is away."""
