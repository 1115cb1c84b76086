"""Which programs a process keeps, and which jobs can share one."""

import dataclasses

import pytest

from pipeline.experiment import Training
from pipeline.models.dense import DenseSpec
from pipeline.training import program_cache
from pipeline.training.program_cache import Programs, program_key

SPEC = DenseSpec((8, 4), (0.1, 0, 0.2), ("relu", "tanh"))
SETTINGS = Training()


class Maker:
    """Makes a "program" by key, and notes what was made."""

    def __init__(self) -> None:
        self.kept, self.made = Programs(), list[str]()

    def ask(self, key: str, parameters: int = 1) -> str:
        def make() -> str:
            self.made.append(key)
            return key.upper()

        return self.kept.get(key, parameters, make)


@pytest.mark.parametrize(
    ("spec", "changes"),
    [
        (SPEC, {}),
        (dataclasses.replace(SPEC, dropout=(0.5, 0, 0.4)), {}),
        (SPEC, {"learning_rate": 0.1, "schedule": "constant", "epochs": 3, "patience": None, "monitor": "loss"}),
    ],
)
def test_networks_share_a_program_that_differ_in_rates_learning_rate_and_schedule_alone(spec, changes):
    assert program_key(spec, SETTINGS.model_copy(update=changes)) == program_key(SPEC, SETTINGS)


@pytest.mark.parametrize(
    ("spec", "changes"),
    [
        (dataclasses.replace(SPEC, hidden=(8, 5)), {}),
        (dataclasses.replace(SPEC, activations=("relu", "relu")), {}),
        (dataclasses.replace(SPEC, normalization="batch"), {}),
        (dataclasses.replace(SPEC, dropout=(0.1, 0.1, 0.2)), {}),
        (dataclasses.replace(SPEC, dropout=(0, 0, 0.2)), {}),
        (SPEC, {"batch_size": 32}),
        (SPEC, {"weight_decay": 0.1}),
        (SPEC, {"label_smoothing": 0.1}),
        (SPEC, {"class_weight": "balanced"}),
    ],
)
def test_sizes_activations_normalization_places_of_dropout_and_the_batch_ask_for_another_program(spec, changes):
    assert program_key(spec, SETTINGS.model_copy(update=changes)) != program_key(SPEC, SETTINGS)


def test_a_program_is_made_once_and_counted():
    maker = Maker()
    assert [maker.ask(key) for key in "aab"] == ["A", "A", "B"]
    assert maker.made == ["a", "b"]
    assert maker.kept.compiled == 2


def test_the_programs_used_last_are_kept_within_the_bound(monkeypatch):
    monkeypatch.setattr(program_cache, "KEPT", 2)
    maker = Maker()
    for key in "abacab":  # c pushes b out, not a, and the last b is made again
        maker.ask(key)
    assert maker.made == ["a", "b", "c", "b"]


def test_large_programs_leave_room_for_fewer_and_one_is_always_kept(monkeypatch):
    monkeypatch.setattr(program_cache, "KEPT_PARAMETERS", 10)
    maker = Maker()
    for key, parameters in (("a", 6), ("b", 4), ("a", 6), ("big", 99), ("big", 99), ("a", 6)):
        maker.ask(key, parameters)
    assert maker.made == ["a", "b", "big", "a"]
