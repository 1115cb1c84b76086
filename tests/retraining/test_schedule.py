"""`make schedule`: its output works unchanged, in the bare environment of cron and elsewhere."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient

from pipeline import experiment
from pipeline.errors import InputError
from pipeline.retraining.schedule import render
from pipeline.retraining.schedule import schedule as scheduling
from pipeline.tracking import address
from tests.test_whole import environment, narrowgap, runs

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
GIVE_UP_SECONDS = 1200
CRON, CRONTAB, SYSTEMD = (shutil.which(name) for name in ("cron", "crontab", "systemd-analyze"))
QUICK = """\
name: {name}
question: Does a scheduled run work?
data: {{dataset: digits, validation: 0.1, test: 0.1, seed: 1}}
space: {{networks: [{{hidden: [16], dropout: [0, 0], activations: [relu]}}]}}
training: {{epochs: 2, batch_size: 64, learning_rate: 0.01}}
search: {{tuner: grid, trials: 1, workers: 1}}
evaluation: {{finalists: 1, seeds: 2}}
promotion: {{min_accuracy: 0, max_gap: 0.9, max_calibration_error: 0.9}}
"""


def text_of(given="smoke", overrides=None, *, at="02:30"):
    overrides = overrides or {}
    return scheduling.schedule(experiment.load(given, overrides), given, overrides, at=at)


def crontab_line(text):
    (line,) = [line for line in text.splitlines() if " * * * " in line and not line.lstrip().startswith(("-", "#"))]
    return line


def unit(text, kind):
    return text.split(f".{kind}\n", 1)[1].split("\n# ", 1)[0].split("\n\n", 1)[0]


def workflow(text):
    return yaml.safe_load(text[text.index("\nname: ") :])


@pytest.fixture
def zone(monkeypatch, tmp_path):
    """The machine's clock in Kathmandu, 5 h 45 min ahead of UTC the whole year."""
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/Asia/Kathmandu")
    monkeypatch.setattr(scheduling, "LOCALTIME", tmp_path / "localtime")


def test_every_scheduler_starts_at_that_time_of_the_machines_clock(zone):
    text = text_of(at="02:30")
    assert crontab_line(text).startswith("30 2 * * * ")
    assert "02:30 Asia/Kathmandu" in text
    assert "OnCalendar=*-*-* 02:30:00 Asia/Kathmandu\n" in text
    assert workflow(text)["on"]["schedule"] == [{"cron": "45 20 * * *"}]


@pytest.mark.parametrize("at", ["24:00", "2", "half past two", ""])
def test_an_invalid_time_is_refused(at):
    with pytest.raises(InputError, match="expected a time of day such as 02:30"):
        text_of(at=at)


def test_all_three_run_the_same_words(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example.org")
    text = text_of(overrides={"retrain.mode": "refit", "space.hidden": "[64, 128]"})
    words = ["pipeline", "retrain", "--experiment", "smoke", "--retrain.mode", "refit", "--space.hidden", "[64, 128]"]
    assert shlex.split(crontab_line(text).split(";")[0])[-len(words) :] == words
    command = next(line for line in unit(text, "service").splitlines() if line.startswith("ExecStart="))
    assert shlex.split(command.removeprefix("ExecStart="))[-len(words) :] == words
    steps = workflow(text)["jobs"]["retrain"]["steps"]
    assert shlex.split(steps[-1]["run"]) == ["python", "-m", *words]


def test_a_server_is_reached_from_githubs_machines_and_a_file_only_from_this_one(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example.org")
    monkeypatch.setenv("NARROWGAP_CACHE", "/data")
    job = workflow(text_of())["jobs"]["retrain"]
    assert (job["runs-on"], job["env"]) == ("ubuntu-latest", {"MLFLOW_TRACKING_URI": "http://mlflow.example.org"})
    for uri in ("sqlite:///mlflow.db", "http://127.0.0.1:5000"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert workflow(text_of())["jobs"]["retrain"]["runs-on"] == "self-hosted"


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("MLFLOW_TRACKING_URI", "https://me:hunter2@mlflow.example.org", "hunter2"),
        ("MLFLOW_TRACKING_URI", "https://hunter2@mlflow.example.org", "hunter2"),
        ("MLFLOW_TRACKING_URI", "postgresql://db.example.org/mlflow?password=hunter2", "hunter2"),
        ("MLFLOW_TRACKING_PASSWORD", "hunter2", "hunter2"),
        ("MLFLOW_TRACKING_TOKEN", "hunter2", "hunter2"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2", "hunter2"),
    ],
)
def test_a_secret_is_never_printed_but_read_from_a_file(monkeypatch, tmp_path, name, value, hidden):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(name, value)
    text = text_of()
    assert hidden not in text
    file = tmp_path / ".config" / "narrowgap" / "secrets"
    assert f"not printed: {name}. For cron and systemd, write them to {file}" in text
    assert f"EnvironmentFile={file}\n" in text
    assert workflow(text)["jobs"]["retrain"]["env"][name] == f"${{{{ secrets.{name} }}}}"
    # The command of the crontab passes the contents of the file on.
    file.parent.mkdir(parents=True)
    file.write_text(f"{name}='{value}'\n")
    command = crontab_line(text).split(" * * * ", 1)[1].rsplit(" >> ", 1)[0]
    seen = command.replace(shlex.quote(sys.executable) + " -m pipeline retrain --experiment smoke", "env")
    done = subprocess.run(["sh", "-c", seen], env={}, capture_output=True, text=True, check=True)
    assert f"{name}={value}\n" in done.stdout


@pytest.mark.parametrize(
    ("uri", "golden"),
    [
        ("https://me:hunter2@mlflow.example.org", "schedule_server.txt"),
        ("sqlite:////my%20data/it's.db", "schedule_local.txt"),
    ],
)
def test_the_whole_text_reads_as_agreed(monkeypatch, tmp_path, zone, uri, golden):
    """Rewording changes the golden file alone."""
    for name in (*scheduling.CARRIED, *scheduling.SECRETS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/opt/python/bin/python")
    text = text_of(overrides={"space.hidden": "[64, 128]"})
    text = text.replace(str(ROOT), "ROOT").replace(str(tmp_path), "HOME")
    assert text + "\n" == (Path(__file__).parent / "golden" / golden).read_text()


def test_without_secrets_no_file_is_read(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    assert "secret" not in text_of()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite:///mlflow.db", "sqlite:///{here}/mlflow.db"),
        ("sqlite:///of%20mine/a.db?timeout=9", "sqlite:///{here}/of%20mine/a.db?timeout=9"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("http://mlflow.example.org", "http://mlflow.example.org"),
    ],
)
def test_the_address_of_a_store_is_made_absolute(tmp_path, monkeypatch, uri, expected):
    monkeypatch.chdir(tmp_path)
    assert address.absolute(uri) == expected.format(here=tmp_path)


def test_a_percent_sign_does_not_end_the_line_of_a_crontab(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////my%20data/mlflow.db")
    text = text_of()
    assert r"MLFLOW_TRACKING_URI=sqlite:////my\%20data/mlflow.db" in crontab_line(text)
    assert 'Environment="MLFLOW_TRACKING_URI=sqlite:////my%%20data/mlflow.db"' in text


def grown(log, kib):
    log.write_bytes(b"x" * 1024 * kib)
    return log


@pytest.mark.parametrize(("kib", "moved"), [(1900, False), (2100, True)])
def test_a_log_that_has_grown_is_moved_over_the_one_before(monkeypatch, tmp_path, kib, moved):
    """Two files at most, by cron and by systemd."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    monkeypatch.setattr(render, "ROOT", tmp_path)
    (tmp_path / "mlruns").mkdir()
    text = text_of()
    log, before = (tmp_path / "mlruns" / f"retrain-smoke.log{ending}" for ending in ("", ".1"))
    before.write_text("older")
    # The command itself is left out; what follows it runs in the folder of the project.
    rotation = crontab_line(text).replace(r"\%", "%").rsplit("2>&1; ", 1)[1]
    grown(log, kib)
    subprocess.run(["sh", "-c", rotation], cwd=tmp_path, check=True)
    assert (log.exists(), before.stat().st_size) == ((False, kib * 1024) if moved else (True, 5))
    before.write_text("older")
    grown(log, kib)
    (before_start,) = [line for line in unit(text, "service").splitlines() if line.startswith("ExecStartPre=-")]
    subprocess.run(shlex.split(before_start.removeprefix("ExecStartPre=-")), check=True)
    assert (log.exists(), before.stat().st_size) == ((False, kib * 1024) if moved else (True, 5))


def test_a_relative_path_of_an_experiment_is_made_absolute(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text(QUICK.format(name="mine"))
    monkeypatch.chdir(tmp_path)
    assert f"--experiment {tmp_path}/mine.yaml" in crontab_line(text_of("./mine.yaml"))


@pytest.mark.skipif(SYSTEMD is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", 'sqlite:////odd %20 $HOME "place"/mlflow.db')
    text = text_of(overrides={"space.hidden": "[64, 128]"})
    for kind in ("service", "timer"):
        (tmp_path / f"daily.{kind}").write_text(unit(text, kind) + "\n")
    done = subprocess.run(
        [str(SYSTEMD), "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True, text=True, check=False, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if "daily" in line]
    assert complaints == []


@pytest.fixture(scope="module")
def daily(tmp_path_factory):
    """A folder and an experiment file whose names need quotes, and the crontab line for it; nothing has run yet."""
    folder = tmp_path_factory.mktemp("it's mine")
    name = f"daily-{os.getpid()}"
    (folder / "at 100%.yaml").write_text(QUICK.format(name=name))
    done = narrowgap(folder, "schedule", "--experiment", "./at 100%.yaml", "-P", "evaluation.seeds=2")
    assert done.returncode == 0, done.stderr
    MlflowClient(environment(folder)["MLFLOW_TRACKING_URI"]).create_experiment(name, f"{folder}/artifacts")
    yield folder, crontab_line(done.stdout)
    (ROOT / "mlruns" / f"retrain-{name}.log").unlink(missing_ok=True)


def retrainings(folder):
    """Every retraining in the store, oldest first."""
    return sorted(runs(folder).get("retrain", []), key=lambda run: run.info.start_time)


def log_of(line):
    return Path(shlex.split(line.rsplit(" >> ", 1)[1])[0])


def test_the_crontabs_command_runs_without_environment_from_another_folder(daily):
    folder, line = daily
    command = line.split(" * * * ", 1)[1].replace(r"\%", "%")
    done = subprocess.run(["/usr/bin/env", "-i", "/bin/sh", "-c", command], cwd="/", check=False, timeout=1200)
    log = log_of(line).read_text()
    assert done.returncode == 0, log
    assert not log_of(line).with_suffix(".log.1").exists()
    assert [run.info.status for run in retrainings(folder)] == ["FINISHED"], log
    assert "retrain: promoted version 1 of narrowgap-daily" in log.splitlines()[-1]


@pytest.mark.skipif(not (CRON and CRONTAB and os.geteuid() == 0), reason="needs root and Debian's cron")
def test_a_real_crond_runs_the_job_into_the_right_store(daily):
    folder, line = daily
    if subprocess.run([str(CRONTAB), "-l"], capture_output=True, check=False).returncode == 0:
        pytest.skip("root has a crontab, which is left alone")
    before = len(retrainings(folder))
    log_of(line).unlink(missing_ok=True)
    every_minute = f"* * * * * {line.split(' * * * ', 1)[1]}\n"  # on a slow machine the last run may not have ended
    subprocess.run([str(CRONTAB), "-"], input=every_minute, text=True, check=True)
    daemon = subprocess.Popen([str(CRON), "-f"], env={}, cwd="/")
    try:
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < deadline and "FINISHED" not in [
            run.info.status for run in retrainings(folder)[before:]
        ]:
            time.sleep(1)
    finally:
        subprocess.run([str(CRONTAB), "-r"], check=True)
        daemon.terminate()
        daemon.wait(timeout=60)
    log = log_of(line).read_text()
    assert "FINISHED" in [run.info.status for run in retrainings(folder)[before:]], log
    assert "retrain: promoted version 1" in log or "retrain: nothing new" in log
