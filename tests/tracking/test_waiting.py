"""What counts as a store that is away, how long it is waited for, and what is said meanwhile."""

import errno
import tempfile
from typing import Any

import pytest
import requests
from mlflow.entities import Experiment
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, TEMPORARILY_UNAVAILABLE
from sqlalchemy.exc import OperationalError

from pipeline.errors import InputError, StoreError
from pipeline.tracking.connection.waiting import PatientClient, Waiting, away, reason, temporary_folder_errors

REFUSED = MlflowException(
    "API request to http://h/api failed with exception HTTPConnectionPool(host='h', port=1): Max retries exceeded with url: "
    "/api (Caused by NewConnectionError('Failed to establish a new connection: [Errno 111] Connection refused'))"
)


def answered(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} for url", response=response)


class TwoMethods:
    """Stands for a client of MLflow: one method that reads and one that writes."""

    def get_run(self, run_id: str) -> str:
        return run_id

    def set_tag(self, run_id: str) -> str:
        return run_id


class ClientError(Exception):
    """Stands for the error of a cloud's own package."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        if status is not None:
            self.response = {"ResponseMetadata": {"HTTPStatusCode": status}}


class EndpointConnectionError(ClientError):
    """Stands for one that got no answer."""


class ParseError(Exception):
    """Stands for that of MLflow's protocol, whose package has no types."""


ParseError.__module__ = "google.protobuf.json_format"
ClientError.__module__ = EndpointConnectionError.__module__ = "botocore.exceptions"


@pytest.mark.parametrize(
    "error",
    [
        REFUSED,
        MlflowException("(sqlite3.OperationalError) database is locked", error_code=TEMPORARILY_UNAVAILABLE),
        RestException({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "try later"}),
        RestException({"error_code": "PERMISSION_DENIED", "message": "token expired"}),
        OperationalError("select 1", {}, Exception("server closed the connection unexpectedly")),
        *(answered(status) for status in (400, 401, 403, 408, 409, 413, 429, 500, 502, 503, 504)),
        requests.ConnectionError("reset by peer"),
        requests.Timeout(),
        requests.exceptions.JSONDecodeError("Expecting value", "<html>Sign in</html>", 0),
        ConnectionResetError(),
        TimeoutError(),
        ClientError("An error occurred (SlowDown) when calling the PutObject operation", 503),
        ClientError("An error occurred (AccessDenied) when calling the PutObject operation", 403),
        EndpointConnectionError("Could not connect to the endpoint URL"),
        MlflowException("The following failures occurred while downloading one or more artifacts: {'a': '503'}"),
        *(MlflowException(f"API request to endpoint /x failed with error code {number}") for number in (404, 413, 502)),
        RestException({"error_code": "INTERNAL_ERROR", "message": "disk failure"}),
        RestException({"error_code": "A_PROXYS_OWN", "message": "no"}),
        ParseError("Failed to parse run field"),
        *(OSError(number, "") for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS)),
        *(OSError(number, "") for number in (errno.EIO, errno.ESTALE)),
    ],
    ids=repr,
)  # fmt: skip
def test_a_store_that_does_not_answer_or_cannot_be_written_is_away(error):
    assert away(error)


@pytest.mark.parametrize(
    "error",
    [
        RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no run"}),
        RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "bad key"}),
        MlflowException("API request to endpoint /x failed with error code 404 != 200", error_code=RESOURCE_DOES_NOT_EXIST),
        answered(404),
        ClientError("An error occurred (NoSuchBucket) when calling the PutObject operation", 404),
        ClientError("Parameter validation failed"),
        FileNotFoundError(errno.ENOENT, ""),
        InputError("wrong"),
        ValueError("a defect of ours"),
        KeyError("a defect of ours"),
    ],
    ids=repr,
)  # fmt: skip
def test_an_answer_and_a_defect_of_ours_are_not_a_store_that_is_away(error):
    assert not away(error)


class Clock:
    """Simulated seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def patient(minutes: float) -> tuple[Waiting, Clock, list[str]]:
    clock, said = Clock(), list[str]()
    whole = Waiting(
        "tracking store http://host", minutes=minutes, say=said.append, sleep=clock.sleep, clock=lambda: clock.now
    )
    return whole, clock, said


def fails_until(clock: Clock, end: float, error: Exception):
    def ask() -> str:
        if clock.now < end:
            raise error
        return "answer"

    return ask


def test_a_short_outage_is_waited_for_without_a_word():
    patience, clock, said = patient(30)
    assert patience.call(fails_until(clock, 2, REFUSED)) == "answer"
    assert said == []
    assert not patience.waiting


def test_a_longer_outage_is_announced_once_with_its_reason_and_its_end():
    patience, clock, said = patient(30)
    assert patience.call(fails_until(clock, 360, REFUSED)) == "answer"
    assert len(said) == 2
    assert "tracking store http://host has not answered since " in said[0]
    assert "(connection refused)" in said[0]
    assert said[0].endswith("waiting up to 30 min")
    assert said[1].startswith("tracking store http://host answers again, after 3")


def test_it_ends_when_the_time_is_up_and_every_later_call_fails_at_once_without_asking():
    patience, clock, _ = patient(30)
    with pytest.raises(
        StoreError, match=r"has stopped answering for 1800 s \(connection refused\).*run the same command"
    ):
        patience.call(fails_until(clock, 1e9, REFUSED))
    assert clock.now == 1800
    asked = []
    with pytest.raises(StoreError):
        patience.call(lambda: asked.append(1))
    assert asked == []


def test_of_a_full_disk_under_a_database_the_cure_is_said():
    patience, clock, _ = patient(0)
    full = MlflowException(
        "(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT INTO runs]", TEMPORARILY_UNAVAILABLE
    )
    with pytest.raises(StoreError, match=r"cannot be written \(database or disk is full\); free some space") as failed:
        patience.call(fails_until(clock, 1, full))
    assert "SQL" not in str(failed.value)


def test_a_refusal_of_access_is_waited_for_one_minute():
    patience, clock, _ = patient(30)
    with pytest.raises(StoreError, match="cannot be written for 60 s"):
        patience.call(fails_until(clock, 1e9, OSError(errno.EACCES, "denied")))
    assert clock.now == 60


def test_a_refusal_at_the_end_of_an_outage_has_its_own_minute():
    patience, clock, _ = patient(30)

    def ask() -> str:
        if clock.now < 120:
            raise REFUSED
        if clock.now < 160:
            raise OSError(errno.EACCES, "a proxy that is just starting")
        return "answer"

    assert patience.call(ask) == "answer"


def test_a_cloud_that_denies_access_is_waited_for_one_minute():
    patience, clock, _ = patient(30)
    with pytest.raises(StoreError):
        patience.call(fails_until(clock, 1e9, ClientError("AccessDenied", 403)))
    assert clock.now == 60


def test_without_patience_nothing_is_repeated():
    patience, clock, said = patient(0)
    with pytest.raises(StoreError, match="has stopped answering"):
        patience.call(fails_until(clock, 1, REFUSED))
    assert (clock.now, said) == (0, [])


def test_a_process_that_ends_asks_once_and_then_not_again_while_the_store_is_away():
    patience, clock, _ = patient(30)
    asked = []

    def ask() -> None:
        asked.append(clock.now)
        raise REFUSED

    with patience.hurried():
        for _ in range(5):
            with pytest.raises(StoreError):
                patience.call(ask)
    assert asked == [0]
    assert patience.call(lambda: "answer") == "answer"  # a step that goes on is patient again


def test_an_error_that_is_an_answer_is_raised_as_it_is():
    patience, _, _ = patient(30)
    with pytest.raises(KeyError):
        patience.call(lambda: {"a": 1}["x"])


def test_a_page_of_somebody_else_is_waited_for_one_minute_and_named():
    patience, clock, _ = patient(30)
    page = MlflowException("API request to endpoint /x failed with error code 404 != 200. Response body: '<html>\n'")
    with pytest.raises(StoreError, match="it answers 404, not as an MLflow server does"):
        patience.call(fails_until(clock, 1e9, page))
    assert clock.now == 60


@pytest.mark.parametrize(
    "answer",
    [
        Experiment(experiment_id="", name="", artifact_location="", lifecycle_stage=""),
        [ModelVersion(name="a", version="", creation_timestamp=0)],
    ],
)
def test_an_answer_without_an_id_is_not_that_of_an_mlflow_server(answer):
    theirs: Any = TwoMethods()
    client = PatientClient(theirs, patient(0)[0], patient(0)[0])
    with pytest.raises(StoreError, match="its answer is not that of an MLflow server"):
        client.call(lambda: answer)


def test_reads_are_free_and_writes_ask_whether_this_process_may_still_write():
    theirs: Any = TwoMethods()
    client = PatientClient(theirs, patient(0)[0], patient(0)[0])
    client.fences.append(lambda: (_ for _ in ()).throw(InputError("taken over")))
    assert client.get_run("a") == "a"
    with pytest.raises(InputError, match="taken over"):
        client.set_tag("a")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("… (Caused by ResponseError('too many 503 error responses'))", "it answers 503"),
        ("HTTPSConnectionPool: Read timed out. (read timeout=60)", "no answer in time"),
        ("NameResolutionError: Failed to resolve 'h' ([Errno -2] Name or service not known)", "unknown host"),
        ("(sqlite3.OperationalError) database is locked [SQL: UPDATE runs]", "database is locked"),
        ("FATAL: sorry, too many clients already", "too many clients"),
        ("something else", "something else"),
    ],
)
def test_the_reason_is_said_in_a_few_words(text, words):
    assert reason(Exception(text)) == words


def test_404_to_an_artifact_that_is_written_is_somebody_elses_answer_and_to_one_that_is_read_that_there_is_none():
    def not_found() -> None:
        response = requests.Response()
        response.status_code = 404
        raise requests.HTTPError("404 Client Error", response=response)

    theirs: Any = TwoMethods()
    client = PatientClient(theirs, patient(0)[0], patient(0)[0])
    with pytest.raises(requests.HTTPError):
        client.call(not_found, reads=True, artifacts=True)
    with pytest.raises(StoreError, match="it answers 404 to an artifact that is written"):
        client.call(not_found, artifacts=True)


def test_artifacts_that_cannot_be_stored_leave_the_runs_as_they_are():
    theirs: Any = TwoMethods()
    client = PatientClient(theirs, patient(0)[0], patient(0)[0])

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreError, match="cannot be written"):
        client.call(full, artifacts=True)
    assert client.waiting
    with client.hurried():
        assert client.set_tag("a") == "a"
        with pytest.raises(StoreError):
            client.call(lambda: "b", artifacts=True)


def test_a_full_temporary_folder_is_waited_for_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    artifacts, clock, said = patient(30)

    def ask() -> str:
        with temporary_folder_errors():
            if clock.now < 60:
                raise OSError(errno.ENOSPC, "No space left on device")
            return "answer"

    assert artifacts.call(ask) == "answer"
    assert "the temporary folder is full or closed since" in said[0]
    assert str(tmp_path) in said[0]
    assert "has not answered" not in said[0]


def test_what_is_read_and_has_no_room_is_a_fault_of_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    theirs: Any = TwoMethods()
    client = PatientClient(theirs, patient(0)[0], patient(0)[0])

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreError, match=f"the temporary folder {tmp_path} cannot be written"):
        client.call(full, reads=True, artifacts=True)
