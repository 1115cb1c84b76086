"""`make schedule`: a daily retraining for cron, systemd and GitHub Actions."""
