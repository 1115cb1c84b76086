"""Saved views of the MLflow UI, which by default shows none of what people come for.

Enters: an MLflow experiment. Leaves: the views "Trials" and "Searches" as tags of it, and links that open them. A view is
written anew when it is as this module wrote it; one that a user has changed stays as it is.
"""

import base64
import hashlib
import json
import time
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipeline.tracking.store import Store

TRIALS, SEARCHES = "narrowgap-trials", "narrowgap-searches"
"""Keys of the views, which stand in their links."""
VIEW_TAG, OURS_TAG = "mlflow.sharedViewState.", "narrowgap.view."
LOCAL_UI = "http://127.0.0.1:5000"


@dataclass(frozen=True)
class View:
    """One saved view."""

    key: str
    name: str
    state: dict[str, object]


def ensure(store: Store, experiment_id: str, *, question: str, depth: int) -> None:
    """Writes the views for networks of up to `depth` hidden layers, and the note on top of the experiment's pages."""
    tags = store.client.get_experiment(experiment_id).tags
    for view in (_trials(depth), _searches()):
        text = json.dumps(view.state, sort_keys=True)
        mark = hashlib.sha256(text.encode()).hexdigest()
        before = tags.get(VIEW_TAG + view.key)
        ours = tags.get(OURS_TAG + view.key, "").split(" ")
        untouched = before is not None and ours[-1] == _mark(before)
        if before is not None and (not untouched or ours[0] == mark):
            continue
        value = _encoded(view)
        store.client.set_experiment_tag(experiment_id, VIEW_TAG + view.key, value)
        store.client.set_experiment_tag(experiment_id, OURS_TAG + view.key, f"{mark} {_mark(value)}")
    notes = {
        "mlflow.experiment.primaryMetric.name": "test_accuracy",
        "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
        "mlflow.note.content": _note(store, experiment_id, question),
    }
    for key, value in notes.items():
        if key not in tags:
            store.client.set_experiment_tag(experiment_id, key, value)


def link(store: Store, experiment_id: str, key: str = TRIALS) -> str:
    """The address that opens a view: on the server itself, or on the UI that `make ui` starts."""
    base = store.uri.rstrip("/") if urlsplit(store.uri).scheme in {"http", "https"} else LOCAL_UI
    return f"{base}{path(experiment_id, key)}"


def path(experiment_id: str, key: str = TRIALS) -> str:
    """What follows the server's address in `link`."""
    return f"/#/experiments/{experiment_id}/runs?viewStateShareKey={key}&compareRunsMode=CHART"


def _note(store: Store, experiment_id: str, question: str) -> str:
    return (
        f"**{question}**\n\n"
        f"- [Trials]({link(store, experiment_id)}): every network side by side, test accuracy against the honest gap\n"
        f"- [Searches]({link(store, experiment_id, SEARCHES)}): searches and evaluations with their winners\n\n"
        "`accuracy_gap` is train less test accuracy, both by the same weights with dropout off; `fit_accuracy_gap` is "
        "what training itself reported, dropout on, less test accuracy."
    )


def _mark(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _encoded(view: View) -> str:
    now = int(time.time() * 1000)
    state = base64.b64encode(zlib.compress(json.dumps(view.state).encode(), 9)).decode()
    return json.dumps({"name": view.name, "createdAt": now, "updatedAt": now, "state": f"deflate;{state}"})


def _trials(depth: int) -> View:
    layers = range(1, depth + 1)
    dropouts = [f"dropout_{place}" for place in range(depth + 1)]
    hidden = [f"hidden_{layer}" for layer in layers]
    overview, epochs, bars = _sections("Gap and accuracy", "Epoch by epoch", "Best and worst")
    cards = [
        _scatter(overview, "accuracy_gap", "test_accuracy", "Test accuracy against honest gap"),
        _scatter(overview, "val_accuracy_gap", "val_accuracy", "What the search saw: validation accuracy against gap"),
        _parallel(overview, [*dropouts, *hidden], ["test_accuracy", "accuracy_gap"]),
        *(_line(epochs, f"epoch/{name}") for name in ("val_loss", "val_accuracy", "accuracy_gap", "loss_gap")),
        *(_bar(bars, name) for name in ("test_accuracy", "accuracy_gap", "loss_gap", "fit_accuracy_gap")),
    ]
    columns = [
        "params.`architecture`",
        *(f"metrics.`{name}`" for name in ("test_accuracy", "accuracy_gap", "val_accuracy", "val_loss", "loss_gap")),
        "metrics.`fit_accuracy_gap`",
        "params.`parameters`",
        *(f"params.`{name}`" for name in dropouts),
        *(f"params.`{name}`" for name in hidden),
    ]
    sections = [overview, epochs, bars]
    return View(TRIALS, "Trials", _state("trial", columns, cards, sections))


def _searches() -> View:
    scores, gaps = _sections("Scores", "Gaps")
    cards = [
        *(_bar(scores, name) for name in ("test_accuracy", "val_accuracy", "test_loss")),
        *(_bar(gaps, name) for name in ("accuracy_gap", "loss_gap", "fit_accuracy_gap")),
    ]
    columns = [
        "tags.`narrowgap.step`",
        "tags.`narrowgap.chosen`",
        *(f"metrics.`{name}`" for name in ("test_accuracy", "accuracy_gap", "loss_gap", "val_accuracy", "trials")),
    ]
    return View(SEARCHES, "Searches", _state(("main", "search", "evaluate"), columns, cards, [scores, gaps]))


def _state(
    steps: str | Sequence[str],
    columns: list[str],
    cards: list[dict[str, object]],
    sections: list[dict[str, object]],
) -> dict[str, object]:
    """What the UI calls its page state, for the runs of these steps; sorted by a metric, nested runs stand unfolded."""
    one = isinstance(steps, str)
    which = f"= '{steps}'" if one else "IN (" + ", ".join(f"'{step}'" for step in steps) + ")"
    return {
        "searchFilter": f"tags.`narrowgap.step` {which}",
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
        "compareRunSections": sections,
    }


def _id(*words: str) -> str:
    """The same card has the same id everywhere."""
    return uuid.uuid5(uuid.NAMESPACE_URL, "narrowgap/" + "/".join(words)).hex


def _sections(*names: str) -> list[dict[str, object]]:
    return [
        {"uuid": _id(name), "name": name, "display": True, "isReordered": True, "deleted": False, "isGenerated": False}
        for name in names
    ]


def _card(section: dict[str, object], kind: str, name: str) -> dict[str, object]:
    return {
        "uuid": _id(str(section["name"]), kind, name),
        "type": kind,
        "metricSectionId": section["uuid"],
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 100,
    }


def _scatter(section: dict[str, object], x: str, y: str, title: str) -> dict[str, object]:
    axes = {axis: {"key": name, "type": "METRIC"} for axis, name in (("xaxis", x), ("yaxis", y))}
    return {**_card(section, "SCATTER", f"{x} {y}"), **axes, "displayName": title}


def _parallel(section: dict[str, object], params: list[str], metrics: list[str]) -> dict[str, object]:
    chosen = {"selectedParams": params, "selectedMetrics": metrics, "showAllRuns": True}
    return {**_card(section, "PARALLEL", "space"), **chosen, "displayName": "Dropout and sizes of every trial"}


def _line(section: dict[str, object], metric: str) -> dict[str, object]:
    shape = {"xAxisKey": "step", "xAxisScaleType": "linear", "scaleType": "linear", "lineSmoothness": 0}
    return {**_card(section, "LINE", metric), "metricKey": metric, "selectedMetricKeys": [metric], **shape}


def _bar(section: dict[str, object], metric: str) -> dict[str, object]:
    return {**_card(section, "BAR", metric), "metricKey": metric}
