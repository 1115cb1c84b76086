"""The section `data`: which images, and how they are divided."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pipeline.experiment.base import CountOrShare, Section, Seed


class Data(Section):
    """Which images, and how they are divided."""

    dataset: Literal["fashion_mnist", "digits", "own"] = "fashion_mnist"
    """`fashion_mnist` (Zalando's, 70,000 of 28x28), `digits` (scikit-learn's, 1,797 of 8x8) or `own`, what `path` names."""
    path: str | None = None
    """A folder with the four IDX files of Fashion-MNIST, gzipped or not; tried before every other source. For `own`: an
    npz file, a folder of IDX files, or a folder of pictures, one folder per class."""
    pixel_max: Annotated[int, Field(ge=1, le=255, strict=True)] | None = None
    """For `own`: the largest value that a pixel can take; null is 255."""
    validation: CountOrShare = 10_000
    """Held out of the training images to choose by: a count of images, or a share of them between 0 and 1. For `own` a
    share, a tenth unless told otherwise."""
    test: CountOrShare | None = None
    """Held out to report on, as count or share; null takes the data set's own test set (without one: a tenth). For `own` a
    share."""
    seed: Seed = 1
    """Decides which images are held out."""

    @model_validator(mode="before")
    @classmethod
    def _of_own_data_a_tenth(cls, given: Any) -> Any:
        """The default of `validation` is Fashion-MNIST's."""
        if isinstance(given, Mapping) and given.get("dataset") == "own":
            return {"validation": 0.1, **given}
        return given

    @model_validator(mode="after")
    def _fits_its_data_set(self) -> Self:
        if self.dataset != "own":
            if self.pixel_max is not None:
                raise ValueError(f"pixel_max is {self.pixel_max}, but {self.dataset} has its own; leave it out")
            return self
        for key, size in (("validation", self.validation), ("test", self.test)):
            if isinstance(size, int):
                raise ValueError(  # noqa: TRY004 - pydantic tells only ValueErrors to the user
                    f"{key} is {size}, a count; own data are divided by shares, so that no image changes sides when others "
                    "come: expected one between 0 and 1, such as 0.1"
                )
        return self
