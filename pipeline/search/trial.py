"""One job, done: trained, drawn, and its failure told. Runs wherever a worker is."""

import time
from collections.abc import Mapping

from pipeline.data.split import Split
from pipeline.network.result import TrialResult
from pipeline.network.start import start as begin
from pipeline.search.workers import Draw, Job, Outcome


def train(job: Job, split: Split, draw: Draw) -> Outcome:
    """Trains a job on the split; whatever goes wrong with this network becomes the outcome's `failure`."""
    begin()
    from pipeline.network import training  # noqa: PLC0415 - TensorFlow, only where trials are trained

    start = time.perf_counter()
    result: TrialResult | None = None
    pictures: Mapping[str, bytes] = {}
    failure = None
    try:
        result = training.train(job.recipe, job.settings, split, seed=job.seed, until=job.until, state=job.state)
        pictures = draw(result, split)
    except Exception as error:  # noqa: BLE001 - one network's failure is a result, and the search goes on
        result, failure = None, told(error)
    return Outcome(job.number, result, pictures, failure, time.perf_counter() - start)


def told(error: BaseException) -> str:
    """An exception as one line for people, its kind first."""
    lines = str(error).split("\n", 1)[0].strip()
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return f"out of memory ({type(error).__name__}: {lines[:300]})"
    return f"{type(error).__name__}: {lines[:500]}" if lines else type(error).__name__
