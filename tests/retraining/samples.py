"""A registered model that was never trained: small and quick, served like any other."""

from pathlib import Path

import numpy as np

from pipeline.data.dataset import Images
from pipeline.models.dense import DenseSpec
from pipeline.models.dense_keras import build
from pipeline.serving.model import Serving, log_model
from pipeline.tracking.names import CHAMPION
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.store import Store

SPEC = DenseSpec((8,), (0.0, 0.0), ("relu",))
CLASS_NAMES = tuple(f"digit {number}" for number in range(10))
SERVING = Serving(CLASS_NAMES, (8, 8), 16, quantile=0.9, min_confidence=0.2, min_margin=0.05)


def network(*, seed: int = 1):
    """A Keras model for digits with initial weights times five: uncertain about some images, not about all."""
    model = build(SPEC, image_shape=(8, 8), classes=10, pixel_max=16, seed=seed)
    model.set_weights([5 * weights for weights in model.get_weights()])
    return model


def champion(store: Store, folder: Path, experiment: str, examples: Images, *, serving: Serving = SERVING) -> Version:
    """Logs the network on a run with artifacts in `folder`, and makes it the champion of an experiment."""
    store.client.create_experiment(experiment, f"{folder}/artifacts")
    with store.root(step="evaluate", experiment=experiment, tags={}).open() as run:
        address = log_model(run, network(), np.asarray(examples[:5]), serving)
    registry = Registry(store, experiment)
    version = registry.register(address, run.id, {})
    assert registry.promote(version, instead_of=registry.by_alias(CHAMPION))
    return version
