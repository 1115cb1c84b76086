"""From raw bytes to a stratified split. Knows nothing of Keras or MLflow."""
