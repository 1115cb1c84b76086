"""The step `retrain` with its promotion gate, and the commands `rollback`, `status`, `prune` and `schedule`."""
