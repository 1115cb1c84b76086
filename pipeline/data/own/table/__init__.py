"""What is asked of a table: whether its first line is a header, which columns are pixels, which part a row is of, where in
its files a row is.
"""
