"""The step `evaluate`: refits over seeds, the analyses, the report."""
