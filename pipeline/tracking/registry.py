"""The registered model of an experiment, `narrowgap-<experiment>`: its versions and their aliases.

MLflow sets an alias in one transaction, and the last writer wins. Therefore each move of the champion first checks that the
alias is still where the decision found it.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import get_registry_uri

from pipeline.errors import InputError
from pipeline.tracking.connection.health import REGISTRY, check_reachable
from pipeline.tracking.names import (
    CHALLENGER,
    CHAMPION,
    MODEL_PREFIX,
    PREVIOUS_CHAMPION,
    PREVIOUS_CHAMPION_TAG,
    REQUEST_TAG,
)
from pipeline.tracking.run import ABSENT, suppress_absent
from pipeline.tracking.store import Store

T = TypeVar("T")


@dataclass(frozen=True)
class Version:
    """One version of the registered model, as read from the registry."""

    number: str
    source: str
    """Address of its logged model: `models:/m-…`."""
    run_id: str
    created_ms: int
    tags: Mapping[str, str]


class Registry:
    """The registered model of one experiment.

    Raises:
        StoreError: The registry is on another server than the store and cannot be reached; within seconds.
    """

    def __init__(self, store: Store, experiment: str) -> None:
        elsewhere = get_registry_uri()
        if elsewhere != store.uri:
            check_reachable(elsewhere, what="model registry", cure=REGISTRY)
        self._client, self.name = store.client, f"{MODEL_PREFIX}{experiment}"

    def by_alias(self, alias: str) -> Version | None:
        """The version that an alias points to; None if the registry has no such alias."""
        try:
            return _version(self._client.get_model_version_by_alias(self.name, alias))
        except MlflowException as error:
            if error.error_code in ABSENT:
                return None
            raise

    def get(self, number: str) -> Version:
        """The version with this number; InputError if there is none."""
        try:
            return _version(self._client.get_model_version(self.name, number))
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            known = ", ".join(each.number for each in self.versions()) or "none"
            raise InputError(f"{self.name} has no version {number!r}; expected one of: {known}") from error

    def versions(self) -> list[Version]:
        """All versions, oldest first."""
        found, token = [], None
        while True:
            page = self._client.search_model_versions(f"name = '{self.name}'", page_token=token)
            found += [_version(each) for each in page]
            token = page.token
            if not token:
                return sorted(found, key=lambda version: int(version.number))

    def register(self, source: str, run_id: str, tags: Mapping[str, str]) -> Version:
        """Creates a version without an alias."""
        try:
            self._client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        model_id = source.removeprefix("models:/")  # a server refuses an address without it
        client, own = self._client.impatient, {**tags, REQUEST_TAG: secrets.token_hex(8)}
        where = f"name = '{self.name}' and tags.`{REQUEST_TAG}` = '{own[REQUEST_TAG]}'"
        return _version(
            self._client.create(
                make=lambda: client.create_model_version(self.name, source, run_id, tags=own, model_id=model_id),
                find=lambda: next(iter(client.search_model_versions(where)), None),
            )
        )

    def read(self, load: Callable[[], T]) -> T:
        """What `load` returns, which reads the files of a model by itself and is repeated while the store is away."""
        return self._client.call(load, reads=True, artifacts=True)

    def tag(self, version: Version, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._client.set_model_version_tag(self.name, version.number, key, value)

    def untag(self, version: Version, key: str) -> None:
        """Removes a tag of a version; one that is gone already is no failure."""
        with suppress_absent():
            self._client.delete_model_version_tag(self.name, version.number, key)

    def describe(self, version: Version, markdown: str) -> None:
        """Sets the description that the UI shows for a version."""
        self._client.update_model_version(self.name, version.number, description=markdown)

    def set_challenger(self, version: Version) -> None:
        """Points the alias `challenger` to the version that is compared with the champion."""
        self._client.set_registered_model_alias(self.name, CHALLENGER, version.number)

    def promote(self, version: Version, *, instead_of: Version | None) -> bool:
        """Makes a version the champion and the former champion `previous_champion`.

        Returns False and changes nothing if the champion is no longer `instead_of`. If interrupted, the champion is still
        the former one.
        """
        now = self.by_alias(CHAMPION)
        if (now and now.number) != (instead_of and instead_of.number):
            return False
        if instead_of is not None:
            former = self.by_alias(PREVIOUS_CHAMPION)
            self.tag(instead_of, {PREVIOUS_CHAMPION_TAG: former.number if former else ""})
            self._client.set_registered_model_alias(self.name, PREVIOUS_CHAMPION, instead_of.number)
        self._client.set_registered_model_alias(self.name, CHAMPION, version.number)
        return True

    def roll_back(self, version: Version, *, instead_of: Version) -> bool:
        """Makes the previous champion the champion, and its predecessor `previous_champion`, so the next call goes one
        further back. Returns False as `promote` does. If interrupted, `repair_previous` completes it.
        """
        now = self.by_alias(CHAMPION)
        if now is None or now.number != instead_of.number:
            return False
        self._client.set_registered_model_alias(self.name, CHAMPION, version.number)
        self.repair_previous()
        return True

    def repair_previous(self) -> bool:
        """Points `previous_champion` to the predecessor of the champion if both aliases name the same version, which happens
        when a move is interrupted; returns whether it did.
        """
        champion, previous = self.by_alias(CHAMPION), self.by_alias(PREVIOUS_CHAMPION)
        if champion is None or previous is None or champion.number != previous.number:
            return False
        before = champion.tags.get(PREVIOUS_CHAMPION_TAG, "")
        if before in {version.number for version in self.versions()}:
            self._client.set_registered_model_alias(self.name, PREVIOUS_CHAMPION, before)
        else:
            self._client.delete_registered_model_alias(self.name, PREVIOUS_CHAMPION)
        return True

    def delete(self, version: Version) -> None:
        """Deletes a version; its model stays with its run."""
        with suppress_absent():  # the answer to the first try may have been lost
            self._client.delete_model_version(self.name, version.number)


def _version(found: ModelVersion) -> Version:
    return Version(str(found.version), found.source, found.run_id, found.creation_timestamp, dict(found.tags))
