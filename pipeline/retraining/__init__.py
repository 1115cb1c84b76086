"""The step `retrain`: challenger, promotion gate, champion; rollback, status and schedule."""
