"""`make schedule`: a scheduled retraining for cron, systemd and GitHub Actions."""
