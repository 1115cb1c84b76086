"""The boundary to MLflow: names, runs, views, the run lock and the model registry."""
