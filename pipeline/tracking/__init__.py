"""The boundary to MLflow: runs, saved views, the UI. No other folder but `registry` imports mlflow."""
