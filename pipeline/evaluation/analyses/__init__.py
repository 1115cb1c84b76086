"""One file per question that the report answers."""
