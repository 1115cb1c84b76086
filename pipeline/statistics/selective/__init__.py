"""Answers that may be declined: thresholds, policies, conformal sets."""
