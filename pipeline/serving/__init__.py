"""The logged model, and predictions with it."""
