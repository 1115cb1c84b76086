"""The step `prepare`: explores the data."""
