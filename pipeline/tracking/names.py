"""Every name that Narrowgap writes into the tracking store: tags, metrics, artifacts, aliases.

The names are a contract: people's dashboards and scripts rely on them. They grow; none is renamed. Tests hold that no other
module spells a tag or an artifact, and that every metric that runs record stands here.
"""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

# Tags of runs and versions of any kind.
STEP_TAG = "narrowgap.step"
"""`main`, `prepare`, `search`, `trial`, `evaluate`, `refit`, `retrain`, `rollback`, `predict`, `prune` or `check`."""
EXPERIMENT_TAG = "narrowgap.experiment"
"""Name of the experiment."""
GIT_DIRTY_TAG = "narrowgap.git_dirty"
"""`true` when the code differs from its commit, `false`, or `unknown`."""
REASON_TAG = "narrowgap.reason"
"""Why a run failed or was killed, or lacks its pictures; on a version, why it was promoted or kept."""
DATA_DIGEST_TAG = "narrowgap.data_digest"
"""SHA-256 (hex) of the data set: all bytes and shapes."""
SPLIT_TAG = "narrowgap.split"
"""Fingerprint of the division into train, validation and test."""
TEST_DIGEST_TAG = "narrowgap.test_digest"
"""SHA-256 (hex) of the test images and labels that a run was scored on."""
REQUEST_TAG = "narrowgap.request"
"""Random text of the request that created a run, a version or a model: if its answer was lost, they are found by it."""

KEEPS_REFITS_TAG = "narrowgap.keeps_refits"
"""On an evaluation or a retraining run whose refits keep `refit.npz`; removed with them."""

# Who works on a run.
HOLDER_TAG = "narrowgap.holder"
"""The process that works on the run, with its last heartbeat, as JSON."""
CLAIM_TAG = "narrowgap.claim"
"""When a process claimed a step that only one may run; seconds since 1970."""
LEASE_TAG = "narrowgap.lease"
"""What a process asks to do alone, or does, as JSON: `of` (its name), `what` (for people) and `state` (`asking`, `held` or
`withdrawn`)."""
TAKES_TAG = "narrowgap.takes"
"""Id of the run that an evaluation is just taking over, or whose records it is writing; empty at all other times."""

# Search and trials.
IDENTITY_TAG = "narrowgap.identity"
"""What makes two searches, or two retraining runs, the same, section by section, as JSON. Where MLflow would cut it:
`sha256:` and its SHA-256 (hex); the JSON is then in the artifact `search.json`."""
WINDOW_TAG = "narrowgap.window"
"""Trials proposed and not yet reported at a time."""
OVER_TAG = "narrowgap.over"
"""Set on a search that ended for good without a winner."""
TRIALS_ASKED_TAG = "narrowgap.trials_asked"
"""`search.trials` of the search; of one that ended for lack of time, the trials that it has, so that a larger number resumes
it."""
ASKED_TAG = "narrowgap.asked"
"""A trial's place in the order of proposals, from 0."""
PROPOSAL_TAG = "narrowgap.proposal"
"""A trial's hyperparameters as the oracle gave them, as JSON."""
PRUNED_TAG = "narrowgap.pruned"
"""`true` on a trial that `search.pruner` stopped early; its run is FINISHED."""
RUNGS_TAG = "narrowgap.rungs"
"""Scores of a trial at the rungs of the pruner that it reached, as JSON; only with `search.pruner`."""
LEFT_OUT_TAG = "narrowgap.left_out"
"""What `minutes` or `search.minutes` left out, one sentence; on a search that was completed later it is empty."""
NETWORK_TAG = "narrowgap.network"
"""The network of a trial, refit or version, as JSON."""
RECIPE_TAG = "narrowgap.recipe"
"""The network with the training settings that are its own, as JSON. Versions of Narrowgap 0.1 have the network alone."""
CHOSEN_TAG = "narrowgap.chosen"
"""Architecture of the chosen network."""
CHOSEN_RUN_TAG = "narrowgap.chosen_run_id"
"""Run of the chosen trial."""
REASON_CHOSEN_TAG = "narrowgap.reason_chosen"
"""Why that network was chosen, one sentence."""

# Evaluation.
SEARCH_RUN_TAG = "narrowgap.search_run_id"
"""The search that was evaluated."""
ROLE_TAG = "narrowgap.role"
"""Role of a refit: `finalist 1`, `baseline`, `chosen`…"""
MODEL_TAG = "narrowgap.model"
"""Address of the logged model."""
MODEL_REFIT_TAG = "narrowgap.model_refit"
"""The refit whose weights the logged model has."""

# Retraining and registered versions.
DECISION_TAG = "narrowgap.decision"
"""`promoted`, `kept` or `nothing new`; the last tag that a retraining run writes."""
RUN_NUMBER_TAG = "narrowgap.run_number"
"""Number of a retraining run, from 1: it decides the seeds. Interrupted runs do not count."""
MODE_TAG = "narrowgap.mode"
"""`refit` or `search`: where a version comes from; on a retraining run, all that was tried."""
VERSION_TAG = "narrowgap.version"
"""The version that a run is about."""
RETRAIN_RUN_TAG = "narrowgap.retrain_run_id"
"""The retraining run that registered a version."""
ARCHITECTURE_TAG = "narrowgap.architecture"
"""Layers of a version, such as `784-256(0.2)-128-10`."""
TEST_ACCURACY_TAG = "narrowgap.test_accuracy"
"""Test accuracy of a version when it was registered, 0 to 1."""
ACCURACY_GAP_TAG = "narrowgap.accuracy_gap"
"""Honest accuracy gap of a version when it was registered."""
TRAIN_LOSS_TAG = "narrowgap.train_loss"
"""Loss of a version on the images it was trained on, nats."""
TRAIN_ACCURACY_TAG = "narrowgap.train_accuracy"
"""Accuracy of a version on the images it was trained on, 0 to 1."""
TRAIN_ROWS_TAG = "narrowgap.train_rows"
"""How many images a version was trained on."""
WARNING_TAG = "narrowgap.warning"
"""What a retraining run warns of; of a refit and a search, the last."""
PREVIOUS_CHAMPION_TAG = "narrowgap.previous_champion"
"""On a champion that is about to be replaced: the number of its own predecessor, or nothing."""
PROMOTED_BY_TAG = "narrowgap.promoted_by"
"""User whose retraining run promoted the version."""
PROMOTED_AT_TAG = "narrowgap.promoted_at"
"""When the version was promoted, ISO 8601."""
ROLLBACK_TAG = "narrowgap.rollback"
"""On a version while a rollback makes it the champion, as JSON: `run` (of the rollback) and `tags` (what it will record)."""
ROLLED_BACK_FROM_TAG = "narrowgap.rolled_back_from"
"""The version that was champion before a rollback."""
ROLLED_BACK_BY_TAG = "narrowgap.rolled_back_by"
"""User who rolled back."""
ROLLED_BACK_AT_TAG = "narrowgap.rolled_back_at"
"""When the rollback was done, ISO 8601."""
ROLLED_BACK_WHY_TAG = "narrowgap.rolled_back_why"
"""The reason that the user gave for a rollback."""

# Tags of an MLflow experiment: prefixes, completed by the name of a Narrowgap experiment or of a tag.
NOTE_PREFIX = "narrowgap.note."
"""An experiment's part of the note on top of the pages."""
ANSWER_PREFIX = "narrowgap.answer."
"""What was found last."""
WRITTEN_PREFIX = "narrowgap.written."
"""Digest of what was written last, to see whether a user has changed it since."""

# Tags of MLflow's own that Narrowgap writes.
PARENT_TAG = "mlflow.parentRunId"
"""The run above a nested run."""
NOTE_TAG = "mlflow.note.content"
"""The text on top of a run or an experiment in the UI."""
RUN_NAME_TAG = "mlflow.runName"
"""The name of a run in the UI."""

# The registered model.
MODEL_PREFIX = "narrowgap-"
"""The registered model is called `narrowgap-<experiment>`."""
CHAMPION, CHALLENGER, PREVIOUS_CHAMPION = "champion", "challenger", "previous_champion"
"""Aliases of its versions."""


@dataclass(frozen=True)
class Metric:
    """A figure as people read it."""

    name: str
    """In the tracking store."""
    label: str
    """In tables and on axes, without the unit."""
    unit: str
    """`%`, `points`, `nats` or nothing."""
    scale: float
    """The stored value times `scale` is what people read: shares 0 to 1 are read in percent or points."""
    form: str
    """Format of the scaled value."""

    def text(self, value: float) -> str:
        """The stored value as text, such as `89.46` for .8946."""
        return format(self.scale * value, self.form)

    @property
    def heading(self) -> str:
        """Label and unit, such as `test accuracy, %`."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


def _accuracy(name: str, label: str) -> Metric:
    return Metric(name, label, "%", scale=100, form=".2f")


def _accuracy_gap(name: str, label: str) -> Metric:
    return Metric(name, label, "points", scale=100, form="+z.2f")


def _loss(name: str, label: str) -> Metric:
    return Metric(name, label, "nats", scale=1, form=".4f")


def _loss_gap(name: str, label: str) -> Metric:
    return Metric(name, label, "nats", scale=1, form="+.4f")


def _count(name: str, label: str, unit: str = "") -> Metric:
    return Metric(name, label, unit, scale=1, form=".0f")


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _accuracy("train_accuracy", "train accuracy"),
        _accuracy("val_accuracy", "validation accuracy"),
        _accuracy("test_accuracy", "test accuracy"),
        _accuracy("train_balanced_accuracy", "train balanced accuracy"),
        _accuracy("val_balanced_accuracy", "validation balanced accuracy"),
        _accuracy("test_balanced_accuracy", "test balanced accuracy"),
        _accuracy("train_macro_f1", "train macro F1"),
        _accuracy("val_macro_f1", "validation macro F1"),
        _accuracy("test_macro_f1", "test macro F1"),
        _accuracy_gap("accuracy_gap", "honest gap"),
        _accuracy_gap("val_accuracy_gap", "validation gap"),
        _accuracy_gap("fit_accuracy_gap", "fit gap"),
        _loss("train_loss", "train loss"),
        _loss("val_loss", "validation loss"),
        _loss("test_loss", "test loss"),
        _loss_gap("loss_gap", "loss gap"),
        _loss_gap("val_loss_gap", "validation loss gap"),
        _loss_gap("fit_loss_gap", "fit loss gap"),
        _count("best_epoch", "best epoch"),
        _count("epochs_run", "epochs run"),
        _count("seconds", "time", "s"),
    )
}
"""Once per trial and refit, of the weights kept (`fit_…`: train scores of the last epoch); on a search those of its best
trial, on an evaluation means over seeds."""
OTHER_METRICS: dict[str, str] = {
    "epoch/<metric>": "Of a trial and a refit: a metric after each epoch, counted from 0.",
    "val_recall/<class>, test_recall/<class>": "Of a trial and a refit: share of a class that is recognised, 0 to 1.",
    "images_<part>": "Of `prepare`: images in train, validation or test.",
    "largest_class_rate": "Of `prepare` and `check`: share of training images in the largest class, 0 to 1.",
    "duplicates_<part>_<part>": "Of `prepare` and `check`: images of the second part that are in the first, pixel by pixel.",
    "near_duplicates_<part>_<part>": "Of `check`: images of the second part that are nearly in the first.",
    "labels_suspect, labels_judged": "Of `check`: training labels that look wrong, of so many that were judged.",
    "images_constant": "Of `check`: images of one colour.",
    "trials": "Of a search: its trials.",
    "pruned": "Of a search with `search.pruner`: trials that it stopped early.",
    "seeds": "Of an evaluation: seeds of the chosen network.",
    "test_uses": "Of an evaluation: trials and refits of this store that were scored on this test set.",
    "<metric>_sd": "Of an evaluation: standard deviation over seeds.",
    "<metric>_low, <metric>_high": "Of an evaluation: ends of the 95 % interval over seeds.",
    "selection_bias, selection_bias_test": (
        "Of an evaluation: accuracy in the search minus the mean over seeds, on validation and on test, 0 to 1."
    ),
    "baseline_accuracy_difference": "Of an evaluation: test accuracy minus that of the baseline, one refit each, 0 to 1.",
    "baseline_mcnemar_p": "Of an evaluation: p-value of McNemar's test of that difference.",
    "hypervolume": "Of an evaluation: area that the Pareto front dominates, accuracy times gap.",
    "temperature": "Of an evaluation: the temperature that calibrates best on validation.",
    "test_calibration_error, test_calibration_error_scaled": (
        "Of an evaluation: expected calibration error on test, 0 to 1, before and after temperature scaling."
    ),
    "risk_area": "Of an evaluation: area under the error rate over coverage on test, 0 to 1.",
    "min_confidence": "Of an evaluation: the threshold that reaches `evaluation.target_accuracy` on validation.",
    "answered_share, answered_accuracy": "Of an evaluation: share of test predictions that it accepts, and their accuracy.",
    "conformal_quantile, conformal_coverage, conformal_set_size": (
        "Of an evaluation: the quantile found on validation; share of sets that hold the label, and mean size, on test."
    ),
    "challenger/<metric>, champion/<metric>": (
        "Of a retraining run: accuracy, loss, accuracy_gap, loss_gap and calibration_error of the two, on the test images."
    ),
    "images, unreadable": "Of a prediction: images answered, and pictures that cannot be read.",
    "accepted, confidence": "Of a prediction: share of answers that are accepted, and mean confidence, 0 to 1.",
    "runs, versions, models, bytes": "Of `prune`: what it deleted.",
}
"""All other metrics, by name; `<…>` stands for what varies."""


def is_metric(name: str) -> bool:
    """Whether a run may record a metric of this name."""
    patterns = ", ".join(OTHER_METRICS).split(", ")
    plain = (re.sub(r"<.*?>", ".+", pattern) for pattern in patterns)
    return name in METRICS or any(re.fullmatch(pattern, name) for pattern in plain)


# Params of trials and refits, and columns of `trials.csv`. Hyperparameters of a user's own model stand beside them.
TRIAL_PARAMS = ("parameters", "seed", "architecture")
"""Params besides training settings and hyperparameters."""
TRIAL_COLUMNS = ("trial", "architecture", "parameters", "pruned", "run_id")
"""Columns of `trials.csv` besides hyperparameters and metrics."""
TUNER_PREFIX = "tuner/"
"""Of what Hyperband adds to the hyperparameters of a proposal."""
MOST_PARAM_NAME_LETTERS = 250
"""Longest name of a param that MLflow takes."""


def reserved(name: str) -> str | None:
    """What else has the name of a hyperparameter, in words; None if nothing has."""
    if name in TRIAL_PARAMS:
        return "a param of its runs"
    if name in TRIAL_COLUMNS:
        return "a column of trials.csv"
    if name in METRICS:
        return "a metric of its runs"
    return "what Hyperband adds to a proposal" if name.startswith(TUNER_PREFIX) else None


def is_param(name: str) -> bool:
    """Whether MLflow takes a name for a param: of certain letters, and not another name when read as a path."""
    plain = posixpath.normpath(name)
    return (
        bool(re.fullmatch(r"[/\w.\- :]+", name))
        and len(name) <= MOST_PARAM_NAME_LETTERS
        and plain == name != "."
        and not plain.startswith(("..", "/"))
    )


def recall_metrics(part: str, class_names: Sequence[str]) -> list[str]:
    """Names of the recall of each class, `val_recall/<class>` and `test_recall/<class>`: of letters that a metric may have;
    equal ones are numbered. Once per trial and refit of 100 classes at most.
    """
    plain = [re.sub(r"[^A-Za-z0-9_ -]+", "_", name).strip() or "_" for name in class_names]
    return [
        f"{part}_recall/{name}" + (f" {place}" if plain.count(name) > 1 else "") for place, name in enumerate(plain)
    ]


# Artifacts, by the run that has them.
EXPERIMENT_YAML = "experiment.yaml"
"""The resolved experiment, on every run of a step."""
DATA_CSV, CLASS_COUNTS_CSV = "data.csv", "class_counts.csv"
PIXEL_RANGE_PNG, INTENSITIES_PNG, CLASS_COUNTS_PNG = "pixel_range.png", "intensities.png", "class_counts.png"
"""Of the step `prepare`."""
SAMPLES = "samples"
"""The folder of its pictures of each class, `<label>_<class>.png`."""
CURVES, CONFUSION_MATRIX, NETWORK_TXT, STATE = "curves.png", "confusion_matrix.png", "network.txt", "state.npz"
"""Of a trial and a refit; `state.npz` where Hyperband may continue the trial."""
KEPT_REFIT = "refit.npz"
"""Of a refit until the run of its evaluation or retraining has ended."""
TRIALS_CSV, PARETO_PNG, PARALLEL_PNG = "trials.csv", "pareto.png", "parallel.png"
"""Of a search."""
SEARCH_JSON = "search.json"
"""Of a search or a retraining run whose tag `narrowgap.identity` has a digest: what the digest is of, as JSON."""
REPORT, GAPS_CSV, REFITS_CSV, SEEDS_CSV = "report.html", "gaps.csv", "refits.csv", "seeds.csv"
"""Of an evaluation."""
GAPS_PNG, PARETO_CSV, COMPARISON_CSV, PUBLISHED_CSV = "gaps.png", "pareto.csv", "comparison.csv", "published.csv"
EFFECTS_CSV, EFFECTS_PNG, PLACEMENT_CSV, PLACEMENT_PNG = "effects.csv", "effects.png", "placement.csv", "placement.png"
CLASSES_CSV, CLASSES_PNG, MISTAKES_PNG, RELIABILITY_PNG = (
    "classes.csv",
    "classes.png",
    "mistakes.png",
    "reliability.png",
)
POLICIES_CSV, COVERAGE_PNG = "policies.csv", "coverage.png"
"""Of the analyses of an evaluation."""
DECISION_JSON, DECISION_MD, CONTROL_PNG, REFERENCE = "decision.json", "decision.md", "control.png", "reference.npz"
"""Of a retraining run."""
DRIFT_CSV, DRIFT_PNG = "drift.csv", "drift.png"
"""Of a retraining run that has a champion with reference data."""
CHECK_HTML, DUPLICATES_CSV, SUSPECT_LABELS_CSV = "check.html", "duplicates.csv", "suspect_labels.csv"
"""Of the step `check`."""
PREDICTIONS_CSV, CONTACT_SHEET = "predictions.csv", "contact_sheet.png"
"""Of a prediction."""
PRUNED_CSV = "pruned.csv"
"""Of the step `prune`: what it deleted."""
