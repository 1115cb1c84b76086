"""A `TrainingState` as a file: arrays and JSON in one npz, no pickle."""

import io
import json
from typing import Any

import numpy as np

from pipeline.training.result import EarlyStopping, TrainingState


def to_bytes(state: TrainingState) -> bytes:
    """The content of the file."""
    early = state.early
    arrays: dict[str, Any] = {}
    for name, group in (("weights", state.weights), ("optimizer", state.optimizer), ("best", early.weights)):
        arrays |= {f"{name}_{place}": array for place, array in enumerate(group)}
    facts = {
        "epoch": state.epoch,
        "history": {name: list(values) for name, values in state.history.items()},
        "early": {"best": early.best, "best_epoch": early.best_epoch, "waited": early.waited},
        "counts": {"weights": len(state.weights), "optimizer": len(state.optimizer), "best": len(early.weights)},
    }
    buffer = io.BytesIO()
    np.savez(buffer, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
    return buffer.getvalue()


def from_bytes(content: bytes) -> TrainingState:
    """The state that `to_bytes` wrote, bit by bit."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        facts = json.loads(file["facts"].tobytes())
        groups = {
            name: tuple(file[f"{name}_{place}"] for place in range(count)) for name, count in facts["counts"].items()
        }
    history = {name: tuple(values) for name, values in facts["history"].items()}
    early = EarlyStopping(weights=groups["best"], **facts["early"])
    return TrainingState(facts["epoch"], groups["weights"], groups["optimizer"], early, history)
