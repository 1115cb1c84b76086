"""Pictures that compare networks."""
