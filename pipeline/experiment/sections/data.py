"""The section `data`: which images, and how they are split."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.experiment.sections.base import Count, CountOrShare, Section, Seed


class Data(Section):
    """Which images, and how they are split."""

    dataset: Literal["fashion_mnist", "digits", "own"] = "fashion_mnist"
    """`fashion_mnist` (Zalando, 70,000 images of 28x28), `digits` (scikit-learn, 1,797 images of 8x8) or `own` (the data at
    `data.path`)."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """Where the data are. For `fashion_mnist`: a folder with its four IDX files, gzipped or not; no other source
    is tried then. For `own`: an npz, CSV or Parquet file, a folder of these, of npy or of IDX files, or a folder with
    one subfolder of pictures per class."""
    pixel_max: Annotated[int, Field(ge=1, le=65535, strict=True)] | None = None
    """For `own`: the largest possible pixel value. Null means 255, or 1 for fractions that do not exceed 1. Pixels that
    may exceed 255 are scaled to 0 to 255."""
    shape: Annotated[tuple[Count, ...], Field(min_length=2, max_length=3)] | None = None
    """For `own`: [height, width] of images that are stored as flat rows; with colour [height, width, 3], or
    [3, height, width] if each colour is stored by itself. Null reads rows as squares."""
    size: tuple[Count, Count] | None = None
    """For `own`: [height, width] that all images are scaled to, with their proportions kept; 28 means [28, 28]. Null expects
    images of one size."""
    channels: Literal["grey", "rgb"] | None = None
    """For `own`: `grey` turns colour grey; `rgb` keeps it, and gives grey images three equal channels. Null means
    `grey`, and leaves the images as they are for a model of your own."""
    background: Literal["white", "black"] = "white"
    """For `own`: what is behind transparent pixels of a picture."""
    validation: CountOrShare = 10_000
    """Images held out of the training images for validation: a count, or a share between 0 and 1. For `own`: a share, 0.1
    by default; not used if the data have a validation part."""
    test: CountOrShare | None = None
    """Images held out for the test set: a count, or a share between 0 and 1. Null uses the data set's own test set, or a
    share of 0.1 if it has none. For `own`: a share."""
    seed: Seed = 1
    """Random seed of the split: which images are held out."""

    @model_validator(mode="before")
    @classmethod
    def _own_data_default(cls, given: Any) -> Any:
        """The default of `validation`, a count, is Fashion-MNIST's; own data take a share."""
        if isinstance(given, Mapping) and given.get("dataset") == "own":
            return {"validation": 0.1, **given}
        return given

    @field_validator("size", mode="before")
    @classmethod
    def _side(cls, given: Any) -> Any:
        """One number is the side of a square."""
        return [given, given] if isinstance(given, int) and not isinstance(given, bool) else given

    @field_validator("shape")
    @classmethod
    def _three_channels(cls, given: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if given is not None and len(given) == 3 and 3 not in (given[0], given[2]):
            raise ValueError(f"{list(given)} has no 3 for red, green and blue; expected [h, w], [h, w, 3] or [3, h, w]")
        return given

    @model_validator(mode="after")
    def _fits_its_data_set(self) -> Self:
        if self.dataset != "own":
            for key in ("pixel_max", "shape", "size", "channels"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key} is {getattr(self, key)}, but {self.dataset} has its own; leave it out")
            return self
        for key, size in (("validation", self.validation), ("test", self.test)):
            if isinstance(size, int):
                raise ValueError(  # noqa: TRY004 - pydantic shows only ValueErrors to the user
                    f"{key} is {size}, a count; own data are split by shares, so an image stays in its part when others are "
                    "added: expected a share between 0 and 1, such as 0.1"
                )
        return self
