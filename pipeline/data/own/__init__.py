"""A user's own images: reads every format and makes one data set of it. What is converted is noted; what is ambiguous or
damaged is refused in one line.
"""
