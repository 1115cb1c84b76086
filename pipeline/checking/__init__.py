"""The step `check`: reads and judges the data without training."""
