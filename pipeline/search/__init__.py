"""The step `search`: propose, train, record, resume."""
