"""Saved views of the MLflow UI, whose default page shows neither metrics nor params.

Each MLflow experiment gets the views "Trials" and "Searches" (tags), a note on top of its pages, and links that open
them. What this module wrote it updates; what a user changed is kept.
"""

import base64
import hashlib
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlsplit

from pipeline.tracking import view_cards
from pipeline.tracking.names import ANSWER_PREFIX, CHOSEN_TAG, EXPERIMENT_TAG, NOTE_PREFIX, NOTE_TAG, WRITTEN_PREFIX
from pipeline.tracking.store import Run, Store

TRIALS, SEARCHES = "Trials", "Searches"
VIEW_TAG = "mlflow.sharedViewState."
PRIMARY_TAG = "mlflow.experiment.primaryMetric."
MOST_NOTE_LETTERS = 4000
LOCAL_UI = "http://127.0.0.1:5000"


def ensure(
    store: Store,
    run: Run,
    *,
    question: str,
    depth: int,
    searched: Sequence[str] = (),
    own: Sequence[Sequence[str]] = (),
) -> None:
    """Writes the views and the note: question, links, and the chosen network as the answer once there is one.

    The views are for networks of up to `depth` hidden layers, with the names of what is `searched` besides, or with the
    hyperparameters of a user's `own` model, a list per chart.
    """
    found = store.client.get_experiment(run.experiment_id)
    tags: dict[str, str] = dict(found.tags)
    wanted: dict[str, str] = {}
    name = _experiment(run)
    states = {TRIALS: view_cards.trials(name, depth, searched, own), SEARCHES: view_cards.searches(name)}
    for view, state in states.items():
        title = view if found.name == name else f"{view} of {name}"
        wanted |= _view(tags, VIEW_TAG + _key(view, name), title, json.dumps(state, sort_keys=True))
    wanted |= _note(tags, run, question)
    if PRIMARY_TAG + "name" not in tags:
        wanted |= {PRIMARY_TAG + "name": "test_accuracy", PRIMARY_TAG + "greaterIsBetter": "True"}
    for key, value in wanted.items():
        if tags.get(key) != value:
            store.client.set_experiment_tag(run.experiment_id, key, value)


def link(store: Store, run: Run, view: str = TRIALS) -> str:
    """The address that opens a view of the run's experiment, on the server or on the UI that `make ui` starts."""
    base = store.shown.rstrip("/") if urlsplit(store.uri).scheme in {"http", "https"} else LOCAL_UI
    return f"{base}/{path(run, view)}"


def path(run: Run, view: str = TRIALS) -> str:
    """The part of `link` after the server's address; without `workflowType` the UI shows its GenAI pages around the
    runs.
    """
    key = quote(_key(view, _experiment(run)))
    page = f"#/experiments/{run.experiment_id}/runs?viewStateShareKey={key}"
    return f"{page}&compareRunsMode=CHART&workflowType=machine_learning"


def _experiment(run: Run) -> str:
    return run.tags[EXPERIMENT_TAG]


def _key(view: str, experiment: str) -> str:
    return f"narrowgap-{view.lower()}-{experiment}"


def _view(tags: Mapping[str, str], key: str, title: str, state: str) -> dict[str, str]:
    """The tags of a view, unless it is up to date or a user changed it."""
    digest, before = _digest(title + state), tags.get(key)
    if before is not None:
        ours, _, wrote = tags.get(WRITTEN_PREFIX + key, "").partition(" ")
        if ours == digest or wrote != _digest(before):
            return {}
    packed = base64.b64encode(zlib.compress(state.encode(), 9)).decode()
    now = int(time.time() * 1000)
    value = json.dumps({"name": title, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"})
    return {key: value, WRITTEN_PREFIX + key: f"{digest} {_digest(value)}"}


def _note(tags: Mapping[str, str], run: Run, question: str) -> dict[str, str]:
    """The tags of the note, one section per Narrowgap experiment, unless a user changed the text."""
    name = _experiment(run)
    answer = _answer(run) or tags.get(ANSWER_PREFIX + name)
    section = f"**{question}**\n\n" + (f"{answer}\n\n" if answer else "")
    section += (
        f"- [Trials]({path(run)}): every network side by side, test accuracy against the honest gap\n"
        f"- [Searches]({path(run, SEARCHES)}): each search and evaluation with its winner\n\n"
        "`accuracy_gap` is the honest generalisation gap: train minus test accuracy, both scored by the same weights with "
        "dropout off. `fit_accuracy_gap` is the training accuracy that training reported, dropout on, minus test accuracy."
    )
    own = {NOTE_PREFIX + name: section} | ({ANSWER_PREFIX + name: answer} if answer else {})
    before = tags.get(NOTE_TAG)
    if before is not None and tags.get(WRITTEN_PREFIX + NOTE_TAG) != _digest(before):
        return own
    sections = {key: text for key, text in tags.items() if key.startswith(NOTE_PREFIX)} | {NOTE_PREFIX + name: section}
    whole = "\n\n".join(sections[key] for key in sorted(sections))
    if len(whole) > MOST_NOTE_LETTERS:
        whole = section  # of many experiments under one, the note is the latest's
    return {**own, NOTE_TAG: whole, WRITTEN_PREFIX + NOTE_TAG: _digest(whole)}


def _answer(run: Run) -> str | None:
    """What the run found, if it chose a network."""
    chosen = run.tags.get(CHOSEN_TAG)
    if chosen is None or not {"test_accuracy", "accuracy_gap"} <= run.metrics.keys():
        return None
    accuracy, gap = 100 * run.metrics["test_accuracy"], 100 * run.metrics["accuracy_gap"]
    address = f"#/experiments/{run.experiment_id}/runs/{run.id}"
    return f"`{chosen}`: test accuracy {accuracy:.2f} %, honest gap {gap:+z.2f} points ([{run.name}]({address}))."


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
