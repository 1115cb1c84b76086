"""A user's own model: its code, its search space, what a trial trains, and the Keras model."""
