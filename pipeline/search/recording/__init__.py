"""Records of trained networks on their way to the tracking store."""
