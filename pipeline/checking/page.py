"""The page of the step `check`."""

from collections.abc import Sequence

import pandas as pd

from pipeline.checking.findings import Findings, Overlap
from pipeline.evaluation.report.page import Picture, Report, Section, Table, render
from pipeline.figures import exploration as exploration_pictures
from pipeline.figures.image_sheet import pairs, sheet
from pipeline.figures.style import png
from pipeline.session import PreparedData
from pipeline.statistics.data_quality import duplicates, label_errors

MOST_SHOWN = 30
"""Images of a kind on the page; all of them are in the tables of the run."""
LETTERS = 28
"""That fit above an image."""


def page(found: Findings, prepared: PreparedData, *, name: str, facts: Sequence[tuple[str, str]]) -> str:
    """Renders the findings as HTML."""
    sections = [
        _there(found),
        _classes(found),
        _duplicates(found, prepared),
        _labels(found, prepared),
        _constant(found, prepared),
    ]
    return render(
        Report(
            title=f"The data of {name}",
            question="Can these images and labels be trusted?",
            answer=summary(found),
            facts=facts,
            sections=[section for section in sections if section is not None],
        )
    )


def _end(name: str) -> str:
    """The end of a file name, which says more than its start."""
    return name if len(name) <= LETTERS else f"…{name[1 - LETTERS :]}"


def summary(found: Findings) -> str:
    """One or two sentences with every count."""
    exact, near = (sum(getattr(each, kind) for each in found.overlaps) for kind in ("exact", "near"))
    constant = sum(map(len, found.constant.values()))
    return (
        f"{len(found.suspects):,} of {found.judged:,} training labels look wrong; {exact:,} images of validation or test "
        f"occur in an earlier part and {near:,} are near-duplicates of one; {constant:,} images are "
        f"constant; {found.imbalance.text}."
    )


def _there(found: Findings) -> Section:
    text = f"Converted: {'; '.join(found.notes)}." if found.notes else "Nothing was converted."
    table = found.exploration.table.astype({"value": str})
    return Section("Contents", text, [Table("The data", table[table["what"] != "converted"])])


def _classes(found: Findings) -> Section:
    text = (
        f"Training images: {found.imbalance.text}. A model that always answers {found.imbalance.largest} is right in "
        f"{100 * found.imbalance.largest_rate:.1f} %."
    )
    counts = found.exploration.class_counts.reset_index().astype({"class": str})
    picture = Picture(
        png(exploration_pictures.class_counts(found.exploration)), "bars: images of each class", "Classes"
    )
    return Section("Classes", text, [Table("Images of each class", counts)], [picture])


def _duplicates(found: Findings, prepared: PreparedData) -> Section:
    table = pd.DataFrame(
        [(f"{each.later} in {each.earlier}", each.exact, each.near) for each in found.overlaps],
        columns=["images of", "exact", "near"],
    )
    pictures = [_pairs(each, prepared) for each in found.overlaps if each.twins]
    return Section(
        "Duplicates across the parts",
        "An image that is in train and in test makes the gap look smaller than it is.",
        [Table("Images that occur in an earlier part", table)],
        pictures,
        f"Exact: all bytes are equal. Near: the pixels correlate by {duplicates.SIMILAR:g} or more with those of the most "
        f"similar image. Which one that is, is looked for in copies reduced to {duplicates.SIDE}x{duplicates.SIDE} pixels.",
    )


def _pairs(overlap: Overlap, prepared: PreparedData) -> Picture:
    split, source = prepared.split, prepared.source_of
    parts = dict(split.parts())
    shown = overlap.twins[:MOST_SHOWN]
    figure = pairs(
        [(parts[overlap.later].images[twin.row], parts[overlap.earlier].images[twin.other]) for twin in shown],
        [(_end(source(overlap.later, twin.row)), _end(source(overlap.earlier, twin.other))) for twin in shown],
        pixel_max=split.pixel_max,
    )
    caption = f"{overlap.later} beside {overlap.earlier}: {len(shown)} of {len(overlap.twins):,}"
    return Picture(png(figure), f"pairs of images of {overlap.later} and {overlap.earlier}", caption)


def _labels(found: Findings, prepared: PreparedData) -> Section:
    split, pictures = prepared.split, []
    if found.suspects:
        shown = found.suspects[:MOST_SHOWN]
        names = split.class_names
        figure = sheet(
            [split.train.images[each.row] for each in shown],
            [
                (f"{names[each.label]} → {names[each.suggested]}?", _end(prepared.source_of("train", each.row)))
                for each in shown
            ],
            pixel_max=split.pixel_max,
        )
        caption = f"Labels that look wrong: {len(shown)} of {len(found.suspects):,}, the most certain first"
        pictures = [Picture(png(figure), "images with their label, the suggested one and their file or row", caption)]
    return Section(
        "Labels that look wrong",
        f"A simple model that has not seen the image confidently disagrees with {len(found.suspects):,} of {found.judged:,} "
        "training labels. Look at the images first: some are only hard.",
        pictures=pictures,
        method="Confident learning (Northcutt et al. 2021) with the out-of-fold probabilities of a logistic regression on "
        f"{label_errors.KERNELS} kernel features of {label_errors.COMPONENTS} principal components, "
        f"{label_errors.FOLDS} folds, {label_errors.MOST_IMAGES:,} images at most.",
    )


def _constant(found: Findings, prepared: PreparedData) -> Section | None:
    split = prepared.split
    rows = [(part, row) for part, found_rows in found.constant.items() for row in found_rows]
    if not rows:
        return None
    parts, shown = dict(split.parts()), rows[:MOST_SHOWN]
    figure = sheet(
        [parts[part].images[row] for part, row in shown],
        [("", _end(prepared.source_of(part, row))) for part, row in shown],
        pixel_max=split.pixel_max,
    )
    picture = Picture(png(figure), "images of one value", f"Constant images: {len(shown)} of {len(rows):,}")
    return Section("Constant images", "All pixels of these images are equal.", pictures=[picture])
