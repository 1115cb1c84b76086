"""Labels that look wrong: where a simple model that has not seen an image confidently disagrees.

Confident learning (Northcutt, Jiang and Chuang, Journal of Artificial Intelligence Research 70, 2021, section 3): the
threshold of a class is the mean probability of that class over the images labelled so. An image counts as mislabelled if
the most probable class among those above their thresholds is another one than its label.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Images, Labels

MOST_IMAGES = 20_000
"""That the model learns from and judges; of more, so many are drawn."""
FOLDS = 5
COMPONENTS = 50
"""Principal components of the pixels."""
KERNELS = 300
"""Features that make the model less than linear (Nystroem's approximation of a Gaussian kernel)."""
MOST_VALUES = 4096
"""Of an image; larger ones are thinned."""


@dataclass(frozen=True)
class Suspect:
    """An image whose label looks wrong."""

    row: int
    label: int
    suggested: int
    confidence: float
    """Probability of the suggested class."""


def suspects(labels: Labels, probabilities: NDArray[np.float64]) -> list[Suspect]:
    """The images whose label looks wrong, the most certain first.

    Args:
        labels: (n,), 0 to classes - 1; every class occurs.
        probabilities: (n, classes), each row by a model that has not seen the image.
    """
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    thresholds = np.array(
        [own[labels == label].mean() if (labels == label).any() else np.inf for label in range(classes)]
    )
    above = np.where(probabilities >= thresholds, probabilities, -1)
    best = above.argmax(axis=1)
    wrong = np.flatnonzero((above.max(axis=1) > 0) & (best != labels))
    margin = probabilities[wrong, best[wrong]] - own[wrong]
    order = wrong[np.argsort(-margin, kind="stable")]
    return [Suspect(int(row), int(labels[row]), int(best[row]), float(probabilities[row, best[row]])) for row in order]


def rows_to_judge(labels: Labels, *, seed: int) -> NDArray[np.int64]:
    """Ascending rows of the images that are judged: `MOST_IMAGES` at most, of classes with an image for each fold."""
    counts = np.bincount(labels)
    rows = np.flatnonzero(counts[labels] >= FOLDS)
    if len(rows) > MOST_IMAGES:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:MOST_IMAGES])
        counts = np.bincount(labels[rows], minlength=len(counts))
        rows = rows[counts[labels[rows]] >= FOLDS]
    return rows


def out_of_fold_probabilities(images: Images, labels: Labels, *, seed: int) -> NDArray[np.float64]:
    """(n, classes): probabilities of each image by a logistic regression that was fitted to the other folds.

    The classes are those that occur, in ascending order; each has `FOLDS` images or more.
    """
    from sklearn.decomposition import PCA  # noqa: PLC0415 - takes a second, only here
    from sklearn.kernel_approximation import Nystroem  # noqa: PLC0415 - as above
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - as above
    from sklearn.model_selection import StratifiedKFold, cross_val_predict  # noqa: PLC0415 - as above
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - as above
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415 - as above
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - as above

    flat = images.reshape(len(images), -1)
    flat = flat[:, :: -(-flat.shape[1] // MOST_VALUES)].astype(np.float32)
    few = max(2, len(flat) * (FOLDS - 1) // FOLDS)
    components = min(COMPONENTS, flat.shape[1], few - 1)
    model = make_pipeline(
        PCA(components, whiten=True, svd_solver="randomized", random_state=seed),
        Nystroem(gamma=0.5 / components, n_components=min(KERNELS, few), random_state=seed),
        StandardScaler(),
        LogisticRegression(C=0.1, max_iter=300),
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    with threadpool_limits(1):  # small matrices: threads that wait for busy cores cost many times what they save
        found = cross_val_predict(model, flat, labels, cv=folds, method="predict_proba")
    return np.asarray(found, np.float64)
