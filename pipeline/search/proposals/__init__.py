"""Which network to try next: Keras Tuner's oracles by ask and tell."""
