"""`make schedule`: its output works unchanged, in the bare environment of cron and elsewhere."""

import os
import shlex
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient

from pipeline import experiment
from pipeline.errors import InputError
from pipeline.retraining.schedule import clock, render
from pipeline.retraining.schedule import environment as environments
from pipeline.retraining.schedule import schedule as scheduling
from pipeline.retraining.schedule.private_hosts import private_host
from pipeline.tracking.connection import address
from tests.fixtures.golden import check
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


def text_of(given="smoke", overrides=None, *, at="03:30"):
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
    monkeypatch.setattr(clock, "LOCALTIME", tmp_path / "localtime")


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """None of the variables that a schedule carries is set."""
    for name in list(os.environ):
        carried = (*environments.CARRIED, *environments.PROXIES, *environments.SECRETS)
        if name in carried or name.startswith(environments.CARRIED_PREFIX):
            monkeypatch.delenv(name)


def test_every_scheduler_starts_at_that_time_of_the_machines_clock(zone):
    text = text_of(at="03:30")
    assert crontab_line(text).startswith("30 3 * * * ")
    assert "03:30 Asia/Kathmandu" in text
    assert "OnCalendar=*-*-* 03:30:00 Asia/Kathmandu\n" in text
    assert workflow(text)["on"]["schedule"] == [{"cron": "45 21 * * *"}]


@pytest.mark.parametrize("at", ["24:00", "2", "half past two", ""])
def test_an_invalid_time_is_refused(at):
    with pytest.raises(InputError, match="expected a time of day such as 03:30"):
        text_of(at=at)


def test_all_three_run_the_same_words(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example.org")
    text = text_of(overrides={"retrain.mode": "refit", "space.hidden": "[64, 128]"})
    words = ["pipeline", "retrain", "--experiment", "smoke", "--retrain.mode", "refit", "--space.hidden", "[64, 128]"]
    assert shlex.split(crontab_line(text).split("; { ")[1].split("; }")[0])[-len(words) :] == words
    command = next(line for line in unit(text, "service").splitlines() if line.startswith("ExecStart="))
    assert shlex.split(command.removeprefix("ExecStart="))[-len(words) :] == words
    steps = workflow(text)["jobs"]["retrain"]["steps"]
    assert shlex.split(steps[-1]["run"]) == ["python", "-m", *words]


def test_a_server_is_reached_from_githubs_machines_and_a_file_only_from_this_one(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example.org")
    monkeypatch.setenv("NARROWGAP_CACHE", "/data")
    job = workflow(text_of())["jobs"]["retrain"]
    assert (job["runs-on"], job["env"]) == ("ubuntu-latest", {"MLFLOW_TRACKING_URI": "http://mlflow.example.org"})
    for uri in ("sqlite:///mlflow.db", "http://127.0.0.1:5000", "http://10.1.2.3:5000", "https://mlflow.corp"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert workflow(text_of())["jobs"]["retrain"]["runs-on"] == "self-hosted"


@pytest.mark.parametrize(
    ("uri", "private"),
    [
        ("http://192.168.0.7:5000", "192.168.0.7"),
        ("postgresql://me:pw@172.16.3.4/mlflow", "172.16.3.4"),
        ("http://[fd00::1]:5000", "fd00::1"),
        ("tcp://127.0.0.1:8786", "127.0.0.1"),
        ("tls://scheduler:8786", "scheduler"),
        ("http://mlflow.team.svc.cluster.local", "mlflow.team.svc.cluster.local"),
        ("https://mlflow.example.org", None),
        ("http://8.8.8.8:5000", None),
        ("databricks", None),
        ("", None),
    ],
)
def test_an_address_is_private_if_only_its_own_network_knows_it(uri, private):
    assert private_host(uri) == private


@pytest.mark.parametrize(
    ("addresses", "private"),
    [
        (["10.0.0.5"], True),
        (["192.168.0.7", "fe80::1%eth0"], True),
        (["10.0.0.5", "8.8.8.8"], False),
        (["8.8.8.8"], False),
        ([], False),
    ],
)
def test_a_name_is_private_if_all_its_addresses_are_by_a_simulated_resolver(addresses, private):
    found = private_host("https://mlflow.example.org:5000", resolved={"mlflow.example.org": addresses}.__getitem__)
    assert found == ("mlflow.example.org" if private else None)


def test_a_name_without_addresses_is_not_called_private():
    assert private_host("https://mlflow.example.invalid") is None


def test_a_private_cluster_or_a_certificate_of_this_machine_needs_a_runner_here(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    text = text_of(overrides={"search.cluster": "tls://10.0.0.5:8786"})
    assert workflow(text)["jobs"]["retrain"]["runs-on"] == "self-hosted"
    assert "because GitHub's machines cannot reach 10.0.0.5." in text
    (tmp_path / "ca.pem").write_text("a certificate")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    text = text_of(overrides={"search.cluster": "tls://dask.example.org:8786"})
    assert "because the file that REQUESTS_CA_BUNDLE names is here." in text


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
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/opt/python/bin/python")
    text = text_of(overrides={"space.hidden": "[64, 128]"})
    text = text.replace(str(ROOT), "ROOT").replace(str(tmp_path), "HOME")
    check(Path(__file__).parent / "golden" / golden, text + "\n")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION", "true"),
        ("DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY", "key.pem"),
        ("MLFLOW_TRACKING_CLIENT_CERT_PATH", "key.pem"),
        ("SSL_CERT_FILE", "key.pem"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "key.pem"),
        ("AWS_PROFILE", "team"),
        ("AZURE_TENANT_ID", "1234"),
        ("HTTPS_PROXY", "http://proxy.example.org:3128"),
        ("no_proxy", "localhost,.example.org"),
    ],
)
def test_what_a_run_needs_to_reach_its_services_is_carried_with_absolute_paths(monkeypatch, tmp_path, name, value):
    (tmp_path / "key.pem").write_text("a key")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    monkeypatch.setenv(name, value)
    expected = f"{name}={tmp_path}/key.pem" if value == "key.pem" else f"{name}={value}"
    text = text_of()
    assert expected in shlex.split(crontab_line(text))
    assert f'Environment="{expected}"' in unit(text, "service").splitlines()
    assert "Secrets are not printed" not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "http://me:hunter2@proxy.example.org:3128"),
        ("https_proxy", "me:hunter2@proxy.example.org:3128"),
        ("GOOGLE_APPLICATION_CREDENTIALS", '{"private_key": "hunter2"}'),
        ("DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY", "-----BEGIN PRIVATE KEY----- hunter2"),
        ("AZURE_CLIENT_SECRET", "hunter2"),
        ("DASK_DISTRIBUTED__SOME_PASSWORD", "hunter2"),
    ],
)
def test_what_is_carried_is_hidden_where_it_holds_a_password_or_a_key(monkeypatch, name, value):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    monkeypatch.setenv(name, value)
    text = text_of()
    assert "hunter2" not in text
    assert f"not printed: {name}." in text


def test_proxies_of_this_machine_are_not_githubs(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert workflow(text_of())["jobs"]["retrain"]["env"] == {"MLFLOW_TRACKING_URI": "https://mlflow.example.org"}


@pytest.mark.parametrize(
    ("rules", "named", "expected"),
    [
        ("Asia/Kathmandu", "Asia/Kathmandu", "Asia/Kathmandu"),
        ("Asia/Kathmandu", "Europe/Berlin", "Asia/Kathmandu"),  # /etc/timezone is of an earlier day
        ("Europe/Berlin", None, "Europe/Amsterdam"),  # the same rules today
        ("UTC", None, "UTC"),
    ],
)
def test_a_copied_localtime_is_recognised_by_its_rules_and_that_is_said(monkeypatch, tmp_path, rules, named, expected):
    shutil.copyfile(f"/usr/share/zoneinfo/{rules}", tmp_path / "localtime")
    if named:
        (tmp_path / "timezone").write_text(f"{named}\n")
    monkeypatch.setattr(clock, "LOCALTIME", tmp_path / "localtime")
    monkeypatch.setattr(clock, "TIMEZONE", tmp_path / "timezone")
    found = clock.machine_clock()
    assert found.name == expected
    assert found.note.endswith(f"is no link to a time zone; its rules are those of {expected}")
    text = text_of()
    assert text.startswith(f"# {found.note}.\n")
    assert f"OnCalendar=*-*-* 03:30:00 {expected}\n" in text


def test_rules_of_no_known_zone_leave_the_zone_to_the_machine(monkeypatch, tmp_path):
    """Such as five and a half hours and a minute ahead: systemd then takes the machine's own clock, as cron does."""
    (tmp_path / "localtime").write_bytes(
        b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb", 19860, 0, 0) + b"ODD\0"
        + b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb", 19860, 0, 0) + b"ODD\0"
        + b"\nODD-5:31\n"
    )  # fmt: skip
    monkeypatch.setattr(clock, "LOCALTIME", tmp_path / "localtime")
    monkeypatch.setattr(clock, "TIMEZONE", tmp_path / "timezone")
    text = text_of()
    assert "no zone with a name has its rules" in text
    assert "OnCalendar=*-*-* 03:30:00\n" in text
    assert workflow(text)["on"]["schedule"] == [{"cron": "59 21 * * *"}]


def test_a_command_that_is_too_long_for_a_crontab_is_printed_as_a_script(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    text = text_of(overrides={"question": "Why " + "100 % " * 200 + "?"})
    line = crontab_line(text)
    script = ROOT / "mlruns" / "retrain-smoke.sh"
    assert line == f"30 3 * * * /bin/sh {script}"
    content = text.split(f"# ---- {script}\n", 1)[1].split("\n# ---- crontab", 1)[0]
    assert content.startswith("#!/bin/sh\n")
    words = shlex.split(content.splitlines()[1])
    assert words[words.index("--question") + 1].removesuffix(";") == "Why " + "100 % " * 200 + "?"
    short = text_of(overrides={"question": "Why?"})
    assert len(crontab_line(short)) < 998
    assert "#!/bin/sh" not in short


def test_the_end_of_the_log_of_a_failed_run_reaches_cron(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    line = crontab_line(text_of()).split(" * * * ", 1)[1].replace(r"\%", "%")
    own = shlex.quote(str(tmp_path / "its log"))
    line = line.replace(str(ROOT / "mlruns" / "retrain-smoke.log"), own)
    failing = line.replace(" retrain ", " no-such-step ")
    done = subprocess.run(["sh", "-c", failing], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("narrowgap: unknown step 'no-such-step'; expected one of main")
    assert (tmp_path / "its log").read_text() == done.stderr
    working = line.replace(" retrain --experiment smoke", " help")
    done = subprocess.run(["sh", "-c", working], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_hung_run_is_ended_by_systemd_and_a_failed_one_can_be_told(zone):
    service = unit(text_of(), "service")
    assert "TimeoutStartSec=6h" in service.splitlines()
    assert "#OnFailure=" in service


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
    # The command itself, which follows, is left out.
    rotation = crontab_line(text).replace(r"\%", "%").split("; { ", 1)[0].split(maxsplit=5)[-1]
    assert rotation.startswith("find ")
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
