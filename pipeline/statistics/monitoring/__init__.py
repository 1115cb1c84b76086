"""How a model fares over time: control chart and drift of the data."""
