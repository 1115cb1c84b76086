"""Deletes records of trained networks that no later command reads, such as those of a search that was given up."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from pipeline.errors import InputError
from pipeline.evaluation import kept_refits
from pipeline.search import resume
from pipeline.tracking import deletion
from pipeline.tracking.names import STEP_TAG
from pipeline.tracking.store import Store

OLD_DAYS = 90
"""Older records go whatever their run is. By default, `prune` looks at runs of the same age."""
DAY_SECONDS = 24 * 60 * 60


def delete_unread(store: Store, outbox: Path) -> None:
    """Deletes from the outbox what nobody will read.

    The outbox belongs to a user, not to a store: records of a run that this store does not know may be those of another
    store, and stay until they are old. What another process deletes meanwhile is no failure.
    """
    for folder in outbox.glob("*"):
        with suppress(OSError):
            if folder.is_dir() and (_days(folder) > OLD_DAYS or not _may_be_read(store, folder.name)):
                shutil.rmtree(folder)


def _days(folder: Path) -> float:
    """Age of the newest record."""
    newest = max(each.stat().st_mtime for each in (folder, *folder.iterdir()))
    return (time.time() - newest) / DAY_SECONDS


def _may_be_read(store: Store, run_id: str) -> bool:
    """Whether a later command may read the records of the networks below a run."""
    try:
        run = store.get(run_id)
    except InputError:
        return True  # of another store
    if deletion.is_deleted(store, run_id):
        return False
    step = run.tags.get(STEP_TAG)
    if run.status == "RUNNING" or step not in {"search", *kept_refits.STEPS}:
        return True
    return resume.may_go_on(store, run) if step == "search" else kept_refits.may_be_taken(store, run)
