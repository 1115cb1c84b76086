"""What is written on a run, and how a run ends."""

import dataclasses
import errno
import math
import os
import signal
import tempfile
from pathlib import Path

import pytest

from pipeline.errors import InputError, SearchFailedError, StoreError
from pipeline.tracking import run as run_module
from pipeline.tracking.store import Point

BY_MLFLOW_RUN = {"mlflow.project.entryPoint": "main", "mlflow.source.type": "PROJECT"}


@pytest.fixture
def run(store):
    return store.root(step="search", experiment="digits", tags={})


def counted(run, monkeypatch) -> list[tuple[int, int, int]]:
    """How many metrics, params and tags each later call of `log_batch` carries."""
    calls: list[tuple[int, int, int]] = []
    real = run._client.log_batch

    def log_batch(run_id, metrics=(), params=(), tags=(), **options):
        calls.append((len(metrics), len(params), len(tags)))
        return real(run_id, metrics, params, tags, **options)

    monkeypatch.setattr(run._client, "log_batch", log_batch)
    return calls


def test_a_nested_run_names_its_parent_and_carries_tags_and_params(store, run):
    child = store.child(run, step="trial", name="trial 3", tags={"narrowgap.experiment": "digits"}, params={"depth": 2})

    found = store.get(child.id)
    assert found.name == "trial 3"
    assert found.tags["mlflow.parentRunId"] == run.id
    assert found.tags["narrowgap.step"] == "trial"
    assert found.tags["narrowgap.experiment"] == "digits"
    assert found.params == {"depth": "2"}
    assert child.params == {"depth": "2"}
    assert found.experiment_id == run.experiment_id


def test_a_trial_is_one_call(run, monkeypatch):
    calls = counted(run, monkeypatch)

    run.log(
        params={"depth": 2, "seed": 7},
        metrics={"test_accuracy": 0.875, "accuracy_gap": 0.125},
        series=[Point("epoch/loss", 1.5, 0), Point("epoch/loss", 0.5, 1)],
        tags={"narrowgap.split": "abc"},
    )

    assert calls == [(4, 2, 1)]
    assert run.metrics == {"test_accuracy": 0.875, "accuracy_gap": 0.125}


def test_curves_keep_every_epoch_and_a_single_figure_stands_at_step_0(store, run):
    run.log(metrics={"seconds": 1.5}, series=[Point("epoch/loss", 1.5, 0), Point("epoch/loss", 0.5, 1)])

    history = store.client.get_metric_history(run.id, "epoch/loss")
    assert [(each.step, each.value) for each in history] == [(0, 1.5), (1, 0.5)]
    assert [each.step for each in store.client.get_metric_history(run.id, "seconds")] == [0]
    assert store.get(run.id).metrics == {"seconds": 1.5, "epoch/loss": 0.5}


def test_more_than_mlflow_takes_at_once_goes_in_as_few_calls_as_its_limits_allow(store, run, monkeypatch):
    calls = counted(run, monkeypatch)

    run.log(
        params={f"p{number}": number for number in range(150)},
        tags={f"t{number}": str(number) for number in range(120)},
        metrics={f"m{number}": number for number in range(1801)},
    )

    # 1,000 in all each time: 800 beside 100 params and 100 tags, 930 beside the rest of them, 71.
    assert calls == [(800, 100, 100), (930, 50, 20), (71, 0, 0)]
    found = store.get(run.id)
    assert len(found.params) == 150
    assert found.metrics == {f"m{number}": number for number in range(1801)}
    assert found.tags["t119"] == "119"


def test_nothing_to_log_is_no_call(run, monkeypatch):
    calls = counted(run, monkeypatch)

    run.log()

    assert calls == []


def test_figures_that_are_no_numbers_are_kept_as_the_store_can(store, run):
    run.log(metrics={"nothing": math.nan, "all": math.inf, "none": -math.inf})

    found = store.get(run.id).metrics
    assert math.isnan(found["nothing"])
    assert found["all"] == pytest.approx(1.7976931348623157e308)
    assert found["none"] == pytest.approx(-1.7976931348623157e308)


def test_a_value_that_mlflow_would_cut_is_refused_and_nothing_is_written(store, run):
    with pytest.raises(ValueError, match="the param text has 6001 letters; expected 6000 or fewer"):
        run.log(params={"text": "x" * 6001}, metrics={"seconds": 1.0})
    with pytest.raises(ValueError, match=r"the tag mlflow.note.content has 8001 letters; expected 8000 or fewer"):
        run.note("x" * 8001)

    found = store.get(run.id)
    assert found.params == {}
    assert found.metrics == {}
    run.log(params={"text": "x" * 6000}, tags={"text": "x" * 8000})
    found = store.get(run.id)
    assert (len(found.params["text"]), len(found.tags["text"])) == (6000, 8000)


def test_an_artifact_is_read_back_as_it_was_written_last_and_nothing_is_left_beside_it(store, run):
    run.write("curves.png", b"\x89PNG\r\n\x00")
    run.write("tables/gaps.csv", "a,b\n")
    run.write("tables/gaps.csv", "größer\n")

    assert run.read("curves.png") == b"\x89PNG\r\n\x00"
    assert run.read("tables/gaps.csv").decode() == "größer\n"
    assert [each.path for each in store.client.list_artifacts(run.id)] == ["curves.png", "tables"]
    assert [each.path for each in store.client.list_artifacts(run.id, "tables")] == ["tables/gaps.csv"]


def test_an_artifact_that_is_not_there_is_bad_input(run):
    with pytest.raises(InputError, match=rf"run {run.id} has no artifact experiment.yaml"):
        run.read("experiment.yaml")


def test_data_sets_are_recorded_with_our_own_digest_and_their_context(store, run):
    run.inputs(name="digits", digest="a1" * 32, context="training", source="scikit-learn", shape=(1455, 8, 8))
    run.inputs(name="digits", digest="b2" * 32, context="validation", source="scikit-learn", shape=(162, 8, 8))

    recorded = store.client.get_run(run.id).inputs.dataset_inputs
    assert {each.tags[0].value: (each.dataset.digest, each.dataset.profile) for each in recorded} == {
        "training": ("a1" * 18, '{"num_rows": 1455, "shape": [1455, 8, 8]}'),
        "validation": ("b2" * 18, '{"num_rows": 162, "shape": [162, 8, 8]}'),
    }


def test_a_block_that_ends_well_ends_the_run_finished(store, run):
    with run.open():
        pass

    assert store.get(run.id).status == "FINISHED"


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ZeroDivisionError("by zero"), "FAILED", "ZeroDivisionError: by zero"),
        (SearchFailedError("every trial failed"), "FAILED", "every trial failed"),
        (KeyboardInterrupt(), "KILLED", "interrupted"),
        (SystemExit(143), "KILLED", "interrupted"),
    ],
)
def test_a_block_that_is_left_by_an_error_ends_the_run_with_the_reason(store, run, error, status, reason):
    with pytest.raises(type(error)), run.open():
        raise error

    found = store.get(run.id)
    assert found.status == status
    assert found.tags["narrowgap.reason"] == reason


@pytest.mark.usefixtures("listening")
def test_a_signal_while_a_run_whose_work_is_done_is_ended_leaves_it_finished(store, run, monkeypatch):
    client = store.client.impatient
    set_terminated = client.set_terminated
    asked: list[str] = []

    def stopped(run_id: str, status: str) -> None:
        if not asked:
            asked.append(status)
            os.kill(os.getpid(), signal.SIGINT)
        set_terminated(run_id, status)

    monkeypatch.setattr(client, "set_terminated", stopped)
    with pytest.raises(KeyboardInterrupt), run.open():
        pass

    assert asked == ["FINISHED"]
    assert store.get(run.id).status == "FINISHED"


@pytest.mark.usefixtures("listening")
def test_a_signal_while_a_failed_run_is_ended_is_raised_when_it_is(store, run, monkeypatch):
    client = store.client.impatient
    set_terminated = client.set_terminated

    def stopped(run_id: str, status: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        set_terminated(run_id, status)

    monkeypatch.setattr(client, "set_terminated", stopped)
    with pytest.raises(SystemExit), run.open():
        raise ZeroDivisionError("by zero")

    found = store.get(run.id)
    assert (found.status, found.tags["narrowgap.reason"]) == ("FAILED", "ZeroDivisionError: by zero")


def test_an_interrupted_run_of_mlflow_run_is_ended_here_because_mlflow_would_call_it_failed(store, monkeypatch):
    made = store.client.create_run("0", tags=BY_MLFLOW_RUN)
    monkeypatch.setenv("MLFLOW_RUN_ID", made.info.run_id)

    with pytest.raises(KeyboardInterrupt), store.root(step="main", experiment="digits", tags={}).open():
        raise KeyboardInterrupt

    assert store.get(made.info.run_id).status == "KILLED"


def test_a_store_that_goes_away_does_not_hide_what_ended_the_block(run):
    run.id = "gone"

    with pytest.raises(ZeroDivisionError), run.open():
        raise ZeroDivisionError


def test_a_long_reason_is_cut_where_one_can_see_it(store, run):
    run.finish("FAILED", "x" * 5000)

    reason = store.get(run.id).tags["narrowgap.reason"]
    assert len(reason) == run_module.MOST_REASON_LETTERS
    assert reason.endswith("x…")


@pytest.mark.parametrize("trouble", ["full", "missing"])
def test_a_temporary_folder_that_cannot_be_written_is_not_called_a_fault_of_the_store(
    run, tmp_path, monkeypatch, trouble
):
    def full(_file: Path, _content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    elsewhere = dataclasses.replace(run, artifact_uri="http://127.0.0.1:9/artifacts")  # nobody is asked
    folder = tmp_path if trouble == "full" else tmp_path / "missing"
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(Path, "write_bytes", full)
    expected = rf"^the temporary folder {folder} cannot be written \(No .*\); free some space there, or set .* TMPDIR"
    with pytest.raises(StoreError, match=expected):
        elsewhere.write("curves.png", b"")
