"""Narrowgap: image classifiers whose train and test scores lie close together."""
