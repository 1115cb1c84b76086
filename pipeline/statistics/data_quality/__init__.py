"""Whether images and labels can be trusted: duplicates, wrong labels, imbalance. Pure functions over arrays."""
