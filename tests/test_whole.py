"""From the outside: through `mlflow run`, and the command line with its exit codes."""

import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from tests.fixtures import compiled_programs, warm
from tests.fixtures.commands import forget
from tests.fixtures.tables import lay_out

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parent.parent


def environment(folder: Path, **changes: str) -> dict[str, str]:
    """The environment of a process whose store is in `folder`; the store is there already, empty, if it is new."""
    lay_out(folder / "mlflow.db")
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{bare['PATH']}"
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return bare | {"PATH": path} | store | changes


def mlflow_run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`mlflow run` as people type it, on a store in `folder`; artifacts go where MLflow puts them from there."""
    experiment = MlflowClient(f"sqlite:///{folder}/mlflow.db").create_experiment("here", f"{folder}/artifacts")
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "run",
        str(ROOT),
        "--env-manager",
        "local",
        "--experiment-id",
        experiment,
    ]
    return subprocess.run(
        [*command, *words],
        env=compiled_programs.without(environment(folder)),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def narrowgap(folder: Path, *words: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, which starts as for people and compiles for itself."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        env=compiled_programs.without(environment(folder, PYTHONPATH=str(ROOT), **changes)),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=warm.PATIENCE,
    )


def runs(folder: Path) -> dict[str, list]:
    """All runs of the store, by step, oldest first."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    ids = [each.experiment_id for each in client.search_experiments()]
    found: dict[str, list] = {}
    for run in client.search_runs(ids, order_by=["attributes.start_time ASC"]):
        found.setdefault(run.data.tags["narrowgap.step"], []).append(run)
    return found


def artifact(folder: Path, run, path: str) -> bytes:
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    return Path(client.download_artifacts(run.info.run_id, path)).read_bytes()


@pytest.fixture
def called(tmp_path, monkeypatch, capsys):
    """Calls the command line in this process, on a new store: its exit code and what it printed."""
    from pipeline.__main__ import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(words)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield call
    forget()  # as with the end of a process


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """One whole run on digits, through `mlflow run`, with two dotted overrides."""
    folder = tmp_path_factory.mktemp("smoke")
    done = mlflow_run(folder, "-P", "experiment=smoke", "-P", "search.trials=4", "-P", "training.epochs=2")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done


def test_the_whole_leaves_a_nested_run_per_step_trial_and_refit(smoke):
    folder, _ = smoke
    found = runs(folder)
    assert {step: len(each) for step, each in found.items()} == {
        "main": 1, "prepare": 1, "search": 1, "trial": 4, "evaluate": 1, "refit": 8,
    }  # fmt: skip
    parent = {run.info.run_id: run.data.tags.get("mlflow.parentRunId") for each in found.values() for run in each}
    main, search, evaluate = (found[step][0].info.run_id for step in ("main", "search", "evaluate"))
    assert {parent[run.info.run_id] for step in ("prepare", "search", "evaluate") for run in found[step]} == {main}
    assert {parent[run.info.run_id] for run in found["trial"]} == {search}
    assert {parent[run.info.run_id] for run in found["refit"]} == {evaluate}
    assert {run.info.status for each in found.values() for run in each} == {"FINISHED"}


def test_a_run_without_enough_time_has_an_answer_and_says_everywhere_what_it_left_out(called, tmp_path):
    """One trial, and three seeds of it and of the baseline; the same command goes on with the search."""
    words = ("main", "--experiment", "smoke", "--evaluation.seeds", "4", "--search.trials", "3")
    code, said, _ = called(*words, "--minutes", "0.0001")
    assert code == 0
    found = runs(tmp_path)
    assert [len(found[step]) for step in ("trial", "refit", "evaluate")] == [1, 6, 1]
    trials = "2 of 3 trials, since minutes=0.0001 was over"
    seeds = (
        "notebook with dropout was not trained; finalist 1 and baseline have 3 of up to 4 seeds, since more would not have "
        "been finished within minutes=0.0001"
    )
    main, search, evaluate = (found[step][0] for step in ("main", "search", "evaluate"))
    assert search.data.tags["narrowgap.left_out"] == trials
    for run in (main, evaluate):
        assert run.data.tags["narrowgap.left_out"] == f"{trials}; {seeds}"
        assert f"Left out for time: {trials}; {seeds}." in run.data.tags["mlflow.note.content"]
    assert f"Left out for time: {trials}; {seeds}." in artifact(tmp_path, main, "report.html").decode()
    assert "search: 0 s of minutes=0.0001 are left" in said
    assert (
        f"search: 1 trial; left out for time: {trials}. Choice of the search by the rule one_standard_error, on validation: "
        in said
    )
    assert f"evaluate: left out for time: {seeds}" in said
    assert called(*words)[0] == 0
    found = runs(tmp_path)
    assert len(found["trial"]) == 3
    assert found["search"][0].data.tags["narrowgap.left_out"] == ""
    assert "narrowgap.left_out" not in found["evaluate"][-1].data.tags


def test_a_trial_carries_the_names_of_the_contract(smoke):
    folder, _ = smoke
    for run in runs(folder)["trial"]:
        depth = int(run.data.params["depth"])
        params = {"depth", "parameters", "seed", "architecture", *(f"dropout_{place}" for place in range(depth + 1))}
        params |= {f"hidden_{layer}" for layer in range(1, depth + 1)} | {"epochs", "batch_size", "learning_rate"}
        assert params <= set(run.data.params)
        assert f"hidden_{depth + 1}" not in run.data.params
        once = {f"{part}_{measure}" for part in ("train", "val", "test") for measure in ("loss", "accuracy")}
        once |= {"accuracy_gap", "loss_gap", "val_accuracy_gap", "val_loss_gap", "fit_accuracy_gap", "fit_loss_gap"}
        once |= {"best_epoch", "epochs_run", "seconds"}
        once |= {f"{part}_{name}" for part in ("train", "val", "test") for name in ("balanced_accuracy", "macro_f1")}
        once |= {f"{part}_recall/{digit}" for part in ("val", "test") for digit in range(10)}
        epoch = {
            "loss",
            "accuracy",
            "train_loss",
            "train_accuracy",
            "val_loss",
            "val_accuracy",
            "accuracy_gap",
            "loss_gap",
        }
        assert once | {f"epoch/{name}" for name in epoch} == set(run.data.metrics)
        assert {"narrowgap.experiment", "narrowgap.data_digest", "narrowgap.split"} <= set(run.data.tags)
        measured = run.data.metrics
        assert measured["accuracy_gap"] == pytest.approx(measured["train_accuracy"] - measured["test_accuracy"])
        assert measured["loss_gap"] == pytest.approx(measured["test_loss"] - measured["train_loss"])


def test_a_curve_starts_at_step_0_and_has_a_point_per_epoch(smoke):
    folder, _ = smoke
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    run = runs(folder)["trial"][0]
    points = client.get_metric_history(run.info.run_id, "epoch/val_loss")
    assert [point.step for point in points] == [0, 1]


def test_no_parents_row_is_empty(smoke):
    folder, _ = smoke
    found = runs(folder)
    for step in ("main", "search", "evaluate"):
        run = found[step][0]
        assert {"test_accuracy", "accuracy_gap", "val_accuracy"} <= set(run.data.metrics), step
        assert "mlflow.note.content" in run.data.tags, step
    main, evaluate = (found[step][0] for step in ("main", "evaluate"))
    assert main.data.metrics == evaluate.data.metrics
    assert main.data.tags["narrowgap.chosen"] == evaluate.data.tags["narrowgap.chosen"]
    assert main.data.tags["mlflow.note.content"] == evaluate.data.tags["mlflow.note.content"]


def test_every_finalist_and_both_of_the_notebooks_networks_are_trained_with_the_same_two_fresh_seeds(smoke):
    folder, _ = smoke
    found = runs(folder)
    roles: dict[str, list] = {}
    for run in found["refit"]:
        roles.setdefault(run.data.params["architecture"], []).append(run)
    assert {"64-128-64-32-10", "64-128-64(0.1)-32-10"} < set(roles)
    seeds = [{run.data.params["seed"] for run in each} for each in roles.values()]
    assert [len(each) for each in roles.values()] == [2] * 4
    assert all(each == seeds[0] for each in seeds)
    assert seeds[0].isdisjoint(run.data.params["seed"] for run in found["trial"])


def test_the_evaluation_speaks_of_the_means_of_the_network_that_it_chose(smoke):
    folder, _ = smoke
    evaluate = runs(folder)["evaluate"][0]
    chosen = [run for run in runs(folder)["refit"] if run.data.tags["narrowgap.role"] == "chosen"]
    assert {run.data.params["architecture"] for run in chosen} == {evaluate.data.tags["narrowgap.chosen"]}
    measured = evaluate.data.metrics
    for name in ("test_accuracy", "accuracy_gap", "val_loss", "fit_loss_gap"):
        assert measured[name] == pytest.approx(np.mean([run.data.metrics[name] for run in chosen]))
    one, other = (run.data.metrics["test_accuracy"] for run in chosen)
    assert measured["test_accuracy_sd"] == pytest.approx(abs(one - other) / np.sqrt(2))
    # t(.975, 1) is 12.7062, so that the interval of two values reaches 12.7062 half-distances from their mean.
    assert measured["test_accuracy_high"] == pytest.approx((one + other) / 2 + 12.7062 * abs(one - other) / 2, abs=1e-5)
    assert measured["seeds"] == 2
    assert evaluate.data.tags["narrowgap.model_refit"] in {run.info.run_id for run in chosen}


def test_no_finalist_is_chosen_without_the_error_of_its_difference_to_the_best(smoke):
    folder, _ = smoke
    evaluate = runs(folder)["evaluate"][0]
    refits = pd.read_csv(io.BytesIO(artifact(folder, evaluate, "refits.csv")))
    finalists = refits[~refits["network"].isin(["baseline", "notebook, dropout"])]
    means = finalists.groupby("network")["val_accuracy"].mean()
    reason = evaluate.data.tags["narrowgap.reason_chosen"]
    said = re.search(
        r"(\d+\.\d+) points less accurate .*standard error of the difference[: (]+(\d+\.\d+) points; same 162 images",
        reason,
    )
    assert said is not None
    behind, error = map(float, said.groups())
    if means["chosen"] < means.max():
        assert behind <= error
        assert behind == pytest.approx(100 * (means.max() - means["chosen"]), abs=0.006)


def test_the_evaluation_says_how_much_the_selection_flattered_and_how_often_test_was_scored(smoke):
    folder, _ = smoke
    found = runs(folder)
    evaluate, measured = found["evaluate"][0], found["evaluate"][0].data.metrics
    searched = {run.data.params["architecture"]: run.data.metrics["val_accuracy"] for run in found["trial"]}
    at_selection = searched[evaluate.data.tags["narrowgap.chosen"]]
    assert measured["selection_bias"] == pytest.approx(at_selection - measured["val_accuracy"])
    assert measured["selection_bias_test"] == pytest.approx(at_selection - measured["test_accuracy"])
    assert measured["test_uses"] == 4 + 8
    assert f"has been scored {4 + 8} times in this store" in evaluate.data.tags["mlflow.note.content"]
    assert len({run.data.tags["narrowgap.test_digest"] for run in [*found["trial"], *found["refit"]]}) == 1
    assert {"hypervolume", "temperature", "conformal_coverage", "baseline_mcnemar_p"} <= set(measured)


def test_the_report_is_on_the_evaluation_and_on_the_whole_and_is_the_same(smoke):
    folder, _ = smoke
    found = runs(folder)
    pages = [artifact(folder, found[step][0], "report.html").decode() for step in ("evaluate", "main")]
    assert pages[0] == pages[1]
    assert pages[0].startswith("<!doctype html>")
    for text in (
        "Does everything work from data to chosen network?", "Gaps between train and test", "Why this network",
        "Accuracy against gap", "Where dropout should go", "Chosen against baseline", "Training and confusion",
        "Classes and mistakes", "Calibration", "Rejecting uncertain predictions", "How to run it again",
        found["search"][0].info.run_id,
    ):  # fmt: skip
        assert text in pages[0], text


def test_the_override_is_in_the_resolved_experiment(smoke):
    folder, _ = smoke
    resolved = artifact(folder, runs(folder)["main"][0], "experiment.yaml").decode()
    assert "trials: 4" in resolved
    assert "epochs: 2" in resolved


def test_the_pictures_and_tables_are_there(smoke):
    folder, _ = smoke
    expected = {
        "prepare": ["data.csv", "class_counts.png", "pixel_range.png", "intensities.png", "samples/3_3.png"],
        "trial": ["curves.png", "confusion_matrix.png", "network.txt"],
        "search": ["trials.csv", "pareto.png", "parallel.png"],
        "refit": ["curves.png", "confusion_matrix.png", "network.txt"],
        "evaluate": [
            "gaps.csv", "gaps.png", "refits.csv", "seeds.csv", "pareto.csv", "pareto.png", "effects.csv",
            "comparison.csv", "curves.png", "confusion_matrix.png", "classes.csv", "classes.png", "mistakes.png",
            "reliability.png", "policies.csv", "coverage.png",
        ],
    }  # fmt: skip
    for step, names in expected.items():
        for name in names:
            content = artifact(folder, runs(folder)[step][0], name)
            assert content.startswith(b"\x89PNG") if name.endswith(".png") else len(content) > 20, f"{step}/{name}"


def test_the_chosen_network_is_chosen_by_validation_and_has_a_reason(smoke):
    folder, _ = smoke
    search = runs(folder)["search"][0]
    trials = pd.read_csv(io.BytesIO(artifact(folder, search, "trials.csv")))
    assert len(trials) == 4
    chosen = trials.set_index("run_id").loc[search.data.tags["narrowgap.chosen_run_id"]]
    assert chosen["architecture"] == search.data.tags["narrowgap.chosen"]
    best = trials["val_accuracy"].max()
    near = trials[trials["val_accuracy"] >= best - np.sqrt(best * (1 - best) / 162)]
    assert chosen["val_accuracy_gap"] == near["val_accuracy_gap"].min()
    assert chosen["architecture"] in search.data.tags["narrowgap.reason_chosen"]


def test_the_gap_table_shows_both_measures_of_every_network_that_was_trained_again(smoke):
    folder, _ = smoke
    evaluate = runs(folder)["evaluate"][0]
    table = pd.read_csv(io.BytesIO(artifact(folder, evaluate, "gaps.csv")))
    networks = table["network"].tolist()
    assert table["measure"].tolist() == ["honest"] * 4 + ["fit"] * 4
    assert networks[:4] == networks[4:]
    assert (networks[0], networks[2:4]) == ("chosen", ["baseline", "notebook, dropout"])
    assert networks[1] in {"finalist 1", "finalist 2"}
    assert table[table["network"] == "baseline"]["dropout"].tolist() == ["N", "N"]
    assert table[table["network"] == "notebook, dropout"]["dropout"].tolist() == ["Y", "Y"]
    assert set(table["seeds"]) == {2}
    for name in ("train_accuracy", "test_accuracy", "accuracy_gap", "train_loss", "test_loss", "loss_gap"):
        np.testing.assert_allclose((table[f"{name}_low"] + table[f"{name}_high"]) / 2, table[name], atol=1e-9)
    np.testing.assert_allclose(table["accuracy_gap"], table["train_accuracy"] - table["test_accuracy"], atol=1e-9)
    np.testing.assert_allclose(table["loss_gap"], table["test_loss"] - table["train_loss"], atol=1e-9)
    assert table.groupby("network")["test_accuracy"].nunique().tolist() == [1] * 4
    measured = evaluate.data.metrics
    assert table.loc[0, "accuracy_gap"] == pytest.approx(measured["accuracy_gap"])
    assert table.loc[4, "accuracy_gap"] == pytest.approx(measured["fit_accuracy_gap"])


def test_the_model_loads_without_pickle_and_with_plain_keras(smoke, monkeypatch):
    import keras
    import mlflow.pyfunc

    folder, _ = smoke
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    evaluate = runs(folder)["evaluate"][0]
    address = evaluate.data.tags["narrowgap.model"]
    model = mlflow.pyfunc.load_model(address)
    local = Path(mlflow.artifacts.download_artifacts(address))
    plain = keras.models.load_model(local / "artifacts" / "network.keras")
    images = np.random.default_rng(0).integers(0, 17, (9, 8, 8)).astype(np.uint8)
    answers = model.predict(images)
    probabilities = plain.predict(images, verbose=0)
    np.testing.assert_array_equal(answers["label"], probabilities.argmax(axis=1))
    np.testing.assert_allclose(answers["confidence"], probabilities.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert not list(local.rglob("*.pkl")) + list(local.rglob("*pickle*"))
    assert json.loads((local / "input_example.json").read_text())
    pins = (local / "requirements.txt").read_text().split()
    assert all("==" in pin for pin in pins)
    assert any(pin.startswith("keras==") for pin in pins)


def test_the_data_are_inputs_with_their_context(smoke):
    folder, _ = smoke
    search = runs(folder)["search"][0]
    contexts = {each.tags[0].value: each.dataset.digest for each in search.inputs.dataset_inputs}
    assert set(contexts) == {"training", "validation", "test"}
    assert len(set(contexts.values())) == 3


def test_the_screen_shows_trials_a_summary_and_the_link(smoke):
    _, done = smoke
    assert "trial 4/4" in done.stdout
    assert "refit 8 of 8" in done.stdout
    assert "Refitted networks: means over 2 seeds, ± half of the 95 % interval" in done.stdout
    assert "Compare runs: make ui, then http://127.0.0.1:5000/#/experiments/1/runs?" in done.stdout


def test_evaluate_alone_takes_the_latest_finished_search_or_a_named_one(smoke):
    folder, _ = smoke
    named = runs(folder)["search"][0].info.run_id
    words = ("evaluate", "--experiment", "smoke", "--search_run_id", named)
    done = warm.run(*words, env=environment(folder), cwd=folder)
    assert done.returncode == 0, done.stderr
    newest = runs(folder)["evaluate"][-1]
    assert newest.data.tags["narrowgap.search_run_id"] == named
    assert "mlflow.parentRunId" not in newest.data.tags
    # The same finalists, settings and seeds: the same bits.
    first = runs(folder)["evaluate"][0]
    assert newest.data.metrics["test_loss"] == first.data.metrics["test_loss"]
    assert newest.data.metrics["test_uses"] == 4 + 2 * 8
    assert artifact(folder, newest, "gaps.csv") == artifact(folder, first, "gaps.csv")


def test_one_tiny_trial_on_the_real_fashion_mnist_through_mlflow_run(tmp_path):
    words = ("search.trials=1", "training.epochs=1", "space.depth=[1, 1]", "space.hidden=[32]", "search.workers=1")
    done = mlflow_run(tmp_path, "-e", "search", *(word for each in words for word in ("-P", each)))
    assert done.returncode == 0, done.stderr[-3000:]
    (trial,) = runs(tmp_path)["trial"]
    assert trial.data.metrics["test_accuracy"] > 0.75
    assert trial.data.params["architecture"].startswith("784")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "usage: python -m pipeline"),
        (("serch",), "narrowgap: unknown step 'serch'; expected one of main, prepare, check, search, evaluate, retrain"),
        (("search", "--experiment", "nope"), "narrowgap: unknown experiment 'nope'"),
        (("search", "--search.trails", "5"), r"narrowgap: unknown key search.trails (did you mean search.trials?)"),
        (("search", "--search.trials", "0"), "narrowgap: search.trials is 0"),
        (("search", "--search.trials"), "narrowgap: --search.trials has no value; expected --search.trials VALUE"),
        (("search", "stray"), "narrowgap: 'stray' is no option"),
        (("search", "--search_run_id", "x"), "narrowgap: search_run_id is for the step evaluate"),
        (("evaluate", "--experiment", "smoke", "--search_run_id", "abc"), "narrowgap: no run 'abc' in the store"),
        (("evaluate", "--experiment", "digits"), "narrowgap: no finished search of the experiment digits"),
        (("search", "--data.path", "/no/such"), "narrowgap: data.path cannot be used: there is no folder /no/such"),
        (("prepare", "--experiment", "smoke", "--data.validation", "5000"), "narrowgap: data.validation is 5000"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(called, words, message):
    code, shown, error = called(*words)
    assert code == 2
    assert "Traceback" not in error
    assert message in (error if words else shown)
    if words:
        assert len(error.strip().splitlines()) == 1, error


def test_bad_input_through_a_process_of_its_own_leaves_no_run_running(tmp_path):
    done = narrowgap(tmp_path, "prepare", "--experiment", "smoke", "--data.validation", "5000")
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    (run,) = runs(tmp_path)["prepare"]
    assert run.info.status == "FAILED"
    assert run.data.tags["narrowgap.reason"].startswith("data.validation is 5000")


def test_a_store_that_cannot_be_reached_is_exit_code_5(tmp_path):
    start = time.monotonic()
    done = narrowgap(tmp_path, "search", "--experiment", "smoke", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 5
    assert "narrowgap: the tracking store http://127.0.0.1:9 cannot be reached" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert time.monotonic() - start < 60, "MLflow's own retries take minutes"


def test_a_run_of_another_store_is_refused_with_the_cure(called, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    code, _, error = called("search", "--experiment", "smoke")
    assert code == 2
    assert f"the run {'0' * 32} was made in another store than sqlite:///{tmp_path}/mlflow.db" in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGTERM, 143, "stopped by SIGTERM"),
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGHUP, 129, "stopped by SIGHUP"),
    ],
)
def test_a_search_that_is_told_to_stop_ends_its_open_runs_as_killed_and_keeps_the_finished(
    tmp_path, number, code, said
):
    words = ["search", "--experiment", "smoke", "--search.trials", "20", "--training.epochs", "200"]
    words += ["--training.patience", "null"]
    # As with more workers: there are open trials at every moment.
    several = "from pipeline.search import step\nstep._window = lambda *_: 4\n" + warm.COMMAND_LINE

    def recorded(status: str) -> int:
        return sum(run.info.status == status for run in runs(tmp_path).get("trial", []))

    process = warm.start(*words, env=environment(tmp_path), cwd=tmp_path, code=several, errors_in_stdout=True)
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if line.startswith("trial 2/20"):
                while recorded("FINISHED") < 2 or recorded("RUNNING") < 1:
                    assert process.poll() is None
                    time.sleep(0.05)
                process.send_signal(number)
        assert process.wait() == code
    finally:
        process.kill()
    assert f"narrowgap: {said}; finished trials are kept, and the same command goes on\n" in lines
    found = runs(tmp_path)
    assert found["search"][0].info.status == "KILLED"
    statuses = [run.info.status for run in found["trial"]]
    assert statuses.count("FINISHED") >= 2
    assert set(statuses) == {"FINISHED", "KILLED"}


def stopped(pid: int) -> bool:
    """Whether every thread of a process has stopped: the one that records goes on for a moment."""
    states = (task / "stat" for task in Path(f"/proc/{pid}/task").iterdir())
    return all(each.read_text().rpartition(") ")[2][0] == "T" for each in states)


def halt(process: warm.Process, database: Path) -> None:
    """Stops a process, but not in the middle of a transaction: that would hold up everybody who writes to the store."""
    while True:
        process.send_signal(signal.SIGSTOP)
        while not stopped(process.pid):
            time.sleep(0.01)
        try:
            with closing(sqlite3.connect(database, timeout=0.2, isolation_level=None)) as opened:
                opened.execute("begin immediate")
                opened.execute("rollback")
                return
        except sqlite3.OperationalError:
            process.send_signal(signal.SIGCONT)
            time.sleep(0.05)


def test_a_killed_search_is_held_until_then_and_goes_on_afterwards_with_every_trial_once(called, tmp_path):
    words = ["search", "--experiment", "smoke", "--search.trials", "8"]
    process = warm.start(*words, env=environment(tmp_path), cwd=tmp_path)
    for line in process.stdout:
        if line.startswith("trial 3/8"):
            break
    halt(process, tmp_path / "mlflow.db")  # alive, and not getting on
    code, _, error = called(*words)
    process.kill()
    process.wait()
    assert code == 4
    assert f"is being run by process {process.pid} on " in error
    assert len(error.strip().splitlines()) == 1
    code, _, error = called(*words, "--training.epochs", "2")
    assert code == 2
    assert "differs: training.epochs is 3 there and 2 here" in error
    done = warm.run(*words, env=environment(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = runs(tmp_path)
    (search,) = (run for run in found["search"] if run.info.status == "FINISHED")
    assert {run.data.tags["mlflow.parentRunId"] for run in found["trial"]} == {search.info.run_id}
    assert "narrowgap.reason" not in search.data.tags
    finished = [run.data.tags["narrowgap.asked"] for run in found["trial"] if run.info.status == "FINISHED"]
    assert sorted(finished) == [str(number) for number in range(8)]
    assert {run.info.status for each in found.values() for run in each} <= {"FINISHED", "KILLED", "FAILED"}
    parent = next(run for run in found["main"] if run.info.run_id == search.data.tags["mlflow.parentRunId"])
    assert parent.data.metrics["test_accuracy"] == search.data.metrics["test_accuracy"]


def test_a_search_of_another_experiment_is_not_evaluated(smoke, called, monkeypatch):
    folder, _ = smoke
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    named = runs(folder)["search"][0].info.run_id
    code, _, error = called("evaluate", "--experiment", "digits", "--search_run_id", named)
    assert code == 2
    assert f"search {named} is of the experiment smoke, not digits" in error


def test_what_a_dead_evaluation_left_running_is_ended_by_the_next_step(tmp_path, monkeypatch):
    """Main FAILED by `mlflow run`, evaluate and refit RUNNING: what is left when the process was killed."""
    from pipeline.tracking import run_lock
    from pipeline.tracking.store import Store

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    store = Store.connect()
    experiment = {"narrowgap.experiment": "smoke"}
    main = store.root(step="main", experiment="smoke", tags=run_lock.owner_tag())
    evaluate = store.child(main, step="evaluate", name="evaluate", tags=experiment)
    refit = store.child(evaluate, step="refit", name="refit", tags=experiment)
    main.finish("FAILED")
    alive = store.root(step="prepare", experiment="smoke", tags=run_lock.owner_tag())
    now = store.root(step="prepare", experiment="smoke", tags=run_lock.owner_tag())
    assert run_lock.end_orphans(store, now, "smoke") == 2
    statuses = {run.id: store.get(run.id).status for run in (evaluate, refit, alive, now)}
    assert statuses == {evaluate.id: "KILLED", refit.id: "KILLED", alive.id: "RUNNING", now.id: "RUNNING"}


def test_a_search_whose_trials_all_fail_exits_1_and_says_why(tmp_path):
    """The trainer is replaced by one that always diverges; all else is real."""
    script = (
        "from pipeline.training import dense_trainer\n"
        "def diverge(*_args, **_options):\n"
        "    raise FloatingPointError('loss is nan in epoch 0: training diverged')\n"
        "dense_trainer.train = diverge\n"
    )
    words = ("search", "--experiment", "smoke", "--search.trials", "2")
    done = warm.run(*words, env=environment(tmp_path), cwd=tmp_path, code=script + warm.COMMAND_LINE)
    assert done.returncode == 1
    assert "narrowgap: every trial failed (2 of 2), the last with: FloatingPointError: loss is nan" in done.stderr
    assert "Traceback" not in done.stderr
    found = runs(tmp_path)
    assert [run.info.status for run in found["trial"]] == ["FAILED", "FAILED"]
    assert all("diverged" in run.data.tags["narrowgap.reason"] for run in found["trial"])
    assert found["search"][0].info.status == "FAILED"
