"""Images and labels: where they come from, how they are checked and divided. Knows nothing of Keras or MLflow."""
