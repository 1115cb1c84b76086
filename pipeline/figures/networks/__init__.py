"""Pictures of one trained network."""
