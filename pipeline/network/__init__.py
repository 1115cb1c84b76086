"""From a specification to a trained network."""
