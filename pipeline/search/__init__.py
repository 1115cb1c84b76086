"""Ask, train, tell: the search over network specifications."""
