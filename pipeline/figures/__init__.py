"""Matplotlib pictures, made object by object, without pyplot."""
