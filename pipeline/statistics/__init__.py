"""Pure functions over arrays and tables: gaps, seeds, comparisons, selection, calibration. No files, no MLflow, no Keras."""
