"""One self-contained HTML page: records to fill, and what makes a page of them."""
