"""The logged model, and the step `predict`."""
