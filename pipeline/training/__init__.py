"""Trains one network: a pure function of recipe, split and seed."""
