"""Workers on Dask: those of this machine, and those of an existing scheduler."""
