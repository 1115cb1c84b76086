"""What the sections of an experiment share: their base class and the types of their values."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def no_bool(value: Any) -> Any:
    """`true` is a number to Python alone."""
    if isinstance(value, bool):
        raise ValueError("expected a number")  # noqa: TRY004 - pydantic shows only ValueErrors to the user
    return value


NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""The pattern of an experiment's name. Words for each pattern are in `messages.py`."""
SCHEDULER = r"^(tcp|tls)://[^\s:/]+:\d+$"
"""The pattern of the address of a Dask scheduler."""

Count = Annotated[int, Field(ge=1, strict=True)]
Rate = Annotated[float, Field(ge=0, lt=1), BeforeValidator(no_bool)]
LearningRate = Annotated[float, Field(gt=0, le=10), BeforeValidator(no_bool)]
Share = Annotated[float, Field(gt=0, lt=1, strict=True)]
Accuracy = Annotated[float, Field(gt=0, le=1, strict=True)]
"""One that was reached; unlike a share of something that is held out, it may be 1."""
Margin = Annotated[float, Field(ge=0, lt=1), BeforeValidator(no_bool)]
Seed = Annotated[int, Field(ge=1, lt=2**31, strict=True)]
"""From 1: Keras Tuner takes a seed of 0 for none."""
CountOrShare = Count | Share


class Section(BaseModel):
    """A section of an experiment's file: values cannot be changed, unknown keys are refused. The message for an unknown key,
    with the nearest known one, is made in `loading.py`, which looks first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
