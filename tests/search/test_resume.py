"""What makes two searches the same."""

import pytest

from pipeline.experiment import parse
from pipeline.search.resume import identity
from pipeline.session import Session

pytestmark = pytest.mark.tensorflow

PUBLISHED = {"source": "a book", "train_accuracy": 0.9, "train_loss": 0.3, "test_accuracy": 0.8, "test_loss": 0.4}


def test_what_others_published_does_not_make_another_search_and_another_rate_does(session: Session) -> None:
    def identified(**changes: object) -> dict[str, object]:
        network = {"hidden": [8], "dropout": [0, 0.5], "activations": ["relu"]} | changes
        content = {"name": "x", "question": "y?", "space": {"networks": [network]}}
        return identity(parse(content, where="here"), session.prepared)

    assert identified(published=PUBLISHED) == identified()
    assert identified(dropout=[0, 0.4]) != identified()


def test_a_searched_space_is_part_of_what_makes_a_search(session: Session) -> None:
    def identified(hidden: list[int]) -> dict[str, object]:
        content = {"name": "x", "question": "y?", "space": {"hidden": hidden}}
        return identity(parse(content, where="here"), session.prepared)

    assert identified([8, 16]) != identified([8])
    assert identified([8]) == identified([8])
