"""What a worker needs, imported when this module is: by the fork server and nobody else. It starts no thread and runs no
operation, so copies of the process can do both.
"""

from importlib import import_module

from pipeline.training.runtime import init_tensorflow

NEEDED = (
    "distributed.nanny",
    "pipeline.figures.networks.confusion_matrix",
    "pipeline.figures.networks.curves",
    "pipeline.search.workers.dask.start",
    "pipeline.training.dense_trainer",
)

init_tensorflow()  # first: it starts TensorFlow silently, with one thread
for name in NEEDED:
    import_module(name)
