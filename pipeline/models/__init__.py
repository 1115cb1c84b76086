"""What a model is: the dense network, its recipe, its search space, and its plain Keras model."""
