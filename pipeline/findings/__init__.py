"""Scores, gaps and choices: pure functions over arrays, without Keras or MLflow."""
