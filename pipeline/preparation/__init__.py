"""The step `prepare`: a look at the data."""
