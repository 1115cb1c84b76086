"""The page state of the MLflow UI: charts, columns, filter and order.

The fields are those that the UI itself writes when a view is saved (MLflow 3.17).
"""

import uuid
from collections.abc import Sequence

from pipeline.tracking.names import CHOSEN_TAG, EXPERIMENT_TAG, STEP_TAG

Json = dict[str, object]


def trials(experiment: str, depth: int, searched: Sequence[str], own: Sequence[Sequence[str]]) -> Json:
    """Every network of an experiment side by side: dense networks of up to `depth` hidden layers, with the names of what is
    `searched` besides layers, or those of a user's own model. `own` has the names of its hyperparameters, a list per chart:
    the last one has all of them.
    """
    overview = _section("Gap and accuracy", columns=2, height=400)
    space = _section("Hyperparameters" if own or searched else "Dropout and sizes", columns=1, height=340)
    epochs = _section("Epoch by epoch", columns=2, height=360)
    bars = _section("Best and worst", columns=2, height=480)
    cards = [
        _scatter(overview, "accuracy_gap", "test_accuracy"),
        _scatter(overview, "val_accuracy_gap", "val_accuracy"),
        *(_parallel(space, ", ".join(names), names) for names in own),
        *(_layers(space, layers, searched, of=depth) for layers in range(1, depth + 1) if not own),
        *(_line(epochs, f"epoch/{name}") for name in ("val_loss", "val_accuracy", "accuracy_gap", "loss_gap")),
        *(_bar(bars, name) for name in ("test_accuracy", "accuracy_gap", "loss_gap", "fit_accuracy_gap")),
    ]
    dropouts, hidden = _coordinates(depth)
    params = own[-1] if own else [*dropouts, *hidden, *searched]
    columns = [
        *(f"metrics.`{name}`" for name in ("test_accuracy", "accuracy_gap", "val_accuracy", "val_loss", "loss_gap")),
        "metrics.`fit_accuracy_gap`",
        *(f"params.`{name}`" for name in ("architecture", "parameters", *params)),
    ]
    where = f"tags.`{STEP_TAG}` = 'trial' AND tags.`{EXPERIMENT_TAG}` = '{experiment}'"
    return _state(where, columns, cards, [overview, space, epochs, bars])


def searches(experiment: str) -> Json:
    """The steps of an experiment with the results of the networks that they chose."""
    scores = _section("Scores", columns=3, height=360)
    gaps = _section("Gaps", columns=3, height=360)
    cards = [
        *(_bar(scores, name) for name in ("test_accuracy", "val_accuracy", "test_loss")),
        *(_bar(gaps, name) for name in ("accuracy_gap", "loss_gap", "fit_accuracy_gap")),
    ]
    columns = [
        *(f"metrics.`{name}`" for name in ("test_accuracy", "accuracy_gap", "loss_gap", "val_accuracy", "trials")),
        *(f"tags.`{tag}`" for tag in (STEP_TAG, CHOSEN_TAG)),
    ]
    # MLflow's filter knows no OR, and IN only for attributes.
    nested = ("trial", "refit", "prepare")
    where = " AND ".join(
        [*(f"tags.`{STEP_TAG}` != '{step}'" for step in nested), f"tags.`{EXPERIMENT_TAG}` = '{experiment}'"]
    )
    return _state(where, columns, cards, [scores, gaps])


def _state(where: str, columns: list[str], cards: list[Json], sections: Sequence[Json]) -> Json:
    """The page state. Sorted by a metric, nested runs are unfolded in one list; sorted by time, the UI shows the
    parents only.
    """
    return {
        "searchFilter": where,
        "orderByKey": "metrics.`test_accuracy`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": [],
        "columnWidths": {},
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "SHOW_ALL",
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": True,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
        "compareRunCharts": cards,
        "compareRunSections": list(sections),
    }


def _id(*words: str) -> str:
    """A stable id: the same card has the same id everywhere."""
    return uuid.uuid5(uuid.NAMESPACE_URL, "narrowgap/" + "/".join(words)).hex[:12]


def _section(name: str, *, columns: int, height: int) -> Json:
    """A part of the page with `columns` cards in a row, `height` pixels high."""
    flags = {"display": True, "isReordered": True, "deleted": False, "isGenerated": False}
    return {"uuid": _id(name), "name": name, "columns": columns, "cardHeight": height, **flags}


def _card(section: Json, kind: str, name: str) -> Json:
    return {
        "uuid": _id(str(section["name"]), kind, name),
        "type": kind,
        "metricSectionId": section["uuid"],
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 100,
    }


def _scatter(section: Json, x: str, y: str) -> Json:
    axes = {axis: {"key": name, "type": "METRIC"} for axis, name in (("xaxis", x), ("yaxis", y))}
    return {**_card(section, "SCATTER", f"{x} {y}"), **axes}


def _coordinates(depth: int) -> tuple[list[str], list[str]]:
    """Names of the params of a network with that many hidden layers: dropout rates, sizes."""
    return [f"dropout_{place}" for place in range(depth + 1)], [f"hidden_{layer}" for layer in range(1, depth + 1)]


def _layers(section: Json, layers: int, searched: Sequence[str], *, of: int) -> Json:
    """The first `layers` layers of every network that has them, and what is searched besides."""
    dropouts, hidden = _coordinates(layers)
    return _parallel(section, str(layers), [*(["depth"] if layers < of else []), *dropouts, *hidden, *searched])


def _parallel(section: Json, name: str, params: Sequence[str]) -> Json:
    """A line per run, without those that lack one of the params: the UI leaves them out. The last metric gives the
    colours.
    """
    return {
        **_card(section, "PARALLEL", name),
        "selectedParams": list(params),
        "selectedMetrics": ["accuracy_gap", "test_accuracy"],
        "showAllRuns": True,
    }


def _line(section: Json, metric: str) -> Json:
    shape = {"xAxisKey": "step", "xAxisScaleType": "linear", "scaleType": "linear", "lineSmoothness": 0}
    return {**_card(section, "LINE", metric), "metricKey": metric, "selectedMetricKeys": [metric], **shape}


def _bar(section: Json, metric: str) -> Json:
    return {**_card(section, "BAR", metric), "metricKey": metric}
