"""The reference for drift: figures of the images that a champion was trained on, kept with the run that promoted it.

It is written for a promoted version alone, and has no image in it. Files of earlier versions of Narrowgap have the images
themselves; such a file is read, and replaced by figures.
"""

import io

import numpy as np
from numpy.lib.npyio import NpzFile

from pipeline.data.split import Split
from pipeline.errors import DAMAGED, InputError
from pipeline.statistics.monitoring.image_features import DIGEST_BYTES, ImageFeatures, described_by, image_figures
from pipeline.tracking.names import DECISION_TAG, REFERENCE, RETRAIN_RUN_TAG
from pipeline.tracking.registry import Version
from pipeline.tracking.store import Run, Store

MOST_IMAGES = 5000
"""Most training images that the reference describes."""


class NoReferenceError(Exception):
    """A champion has no reference that can be used; says why, for people."""


def sample(split: Split, seed: int) -> ImageFeatures:
    """Figures of training images, drawn without replacement."""
    rows = np.random.default_rng(seed).permutation(len(split.train))[:MOST_IMAGES]
    train = split.train
    return image_figures(train.images[rows], train.labels[rows], classes=split.classes, pixel_max=split.pixel_max)


def write(run: Run, figures: ImageFeatures) -> None:
    """Writes the reference of a version that is about to be promoted to the run that trained it."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        counts=figures.counts,
        digests=figures.digests,
        brightness=figures.brightness,
        figures=figures.figures,
        sd=np.float64(figures.sd),
        mean_image=figures.mean_image,
    )
    run.write(REFERENCE, buffer.getvalue())


def read(store: Store, champion: Version, split: Split) -> ImageFeatures:
    """The reference of a champion, whose classes and size of image are those of the split.

    Raises:
        NoReferenceError: There is none, or it is damaged.
    """
    run_id = champion.tags[RETRAIN_RUN_TAG]
    try:
        run = store.get(run_id)
        content = run.read(REFERENCE)
    except InputError as error:
        if champion.tags.get(DECISION_TAG) == "kept":
            raise NoReferenceError(
                f"version {champion.number} was made champion by hand after the gate had refused it, and only a promoted "
                "version has figures of its training images; from the next promotion on there are some again"
            ) from error
        raise NoReferenceError("the sample of the champion's training images was deleted") from error
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            figures, has_images = _figures_of(file, split), "images" in file
    except (OSError, *DAMAGED) as error:
        raise NoReferenceError(
            f"the artifact {REFERENCE} of run {run_id}, which describes the champion's training images, is damaged "
            f"({type(error).__name__})"
        ) from error
    if has_images:
        write(run, figures)
    return figures


def _figures_of(file: NpzFile, split: Split) -> ImageFeatures:
    if "images" in file:  # of an earlier Narrowgap
        figures = image_figures(file["images"], file["labels"], classes=split.classes, pixel_max=split.pixel_max)
    else:
        figures = ImageFeatures(
            counts=file["counts"],
            digests=file["digests"],
            brightness=file["brightness"],
            figures=file["figures"],
            sd=float(file["sd"]),
            mean_image=file["mean_image"],
        )
    count, size = len(figures), split.image_shape
    shapes = {
        "counts": (figures.counts.shape, (split.classes,)),
        "digests": (figures.digests.shape, (count,)),
        "brightness": (figures.brightness.shape, (count,)),
        "figures": (figures.figures.shape, (count, described_by(*size))),
        "mean_image": (figures.mean_image.shape, size),
    }
    wrong = [name for name, (found, expected) in shapes.items() if found != expected]
    if wrong or not count or figures.digests.dtype.itemsize != DIGEST_BYTES:
        raise ValueError(f"{REFERENCE} has another shape of {', '.join(wrong) or 'digests'} than expected")
    return figures
