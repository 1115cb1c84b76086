"""From a trained network to what is logged and served."""
