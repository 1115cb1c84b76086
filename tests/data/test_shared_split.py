"""A split that processes have in common."""

import errno
import os
import pickle
import re
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import shared_split
from pipeline.data.dataset import Dataset
from pipeline.data.formats import digits
from pipeline.data.shared_split import share, temporary_folder
from pipeline.data.split import Split
from pipeline.errors import InputError
from pipeline.experiment import Data

ROOT = Path(__file__).parent.parent.parent


DIGITS = Data(dataset="digits", validation=0.1, test=0.1)


def test_a_shared_split_is_the_split_to_the_last_byte(
    digits_split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,455 images of 64 bytes are 93,120: nine blocks of 10,000 bytes or a little more."""
    monkeypatch.setattr(shared_split, "BLOCK_BYTES", 10_000)
    opened = share(digits(), DIGITS, tmp_path).open()
    for (name, ours), (_, theirs) in zip(opened.parts(), digits_split.parts(), strict=True):
        for mine, its in ((ours.images, theirs.images), (ours.labels, theirs.labels)):
            assert (mine.dtype, mine.shape, mine.tobytes()) == (its.dtype, its.shape, its.tobytes()), name
    facts = ("class_names", "pixel_max", "data_digest", "fingerprint")
    assert [getattr(opened, fact) for fact in facts] == [getattr(digits_split, fact) for fact in facts]


def test_its_arrays_are_mapped_read_only_and_opened_once(tmp_path: Path) -> None:
    shared = share(digits(), DIGITS, tmp_path)
    images = shared.open().train.images
    assert type(images) is np.ndarray
    assert isinstance(images.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0
    assert pickle.loads(pickle.dumps(shared)).open().train.images is images  # noqa: S301 - our own


def test_splitting_into_files_holds_no_second_copy_of_the_images(tmp_path: Path) -> None:
    """8,000 images of 4,096 bytes, 33 MB, are written a few blocks of 1 MiB at a time."""
    labels = np.arange(8_000) % 2
    images = np.random.default_rng(1).integers(0, 256, (8_000, 64, 64), np.uint8)
    dataset = Dataset("own", images, labels, images[:0], labels[:0], ("a", "b"), 255, "here")
    data = Data(dataset="own", path="here", validation=0.1, test=0.1)
    tracemalloc.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shared_split, "BLOCK_BYTES", 1024**2)
            share(dataset, data, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < images.nbytes / 4
    finally:
        tracemalloc.stop()


def test_what_travels_to_a_process_of_this_machine_is_small_and_to_another_machine_everything(tmp_path: Path) -> None:
    shared = share(digits(), DIGITS, tmp_path)
    assert len(pickle.dumps(shared)) < 1_000
    assert len(pickle.dumps(shared.open())) > 1_797 * (64 + 8)


def test_another_process_maps_the_same_file(tmp_path: Path) -> None:
    """The pages of a mapped file are in memory once; the kernel lists the file among those that the process has mapped."""
    shared = share(digits(), DIGITS, tmp_path)
    (tmp_path / "shared.pickle").write_bytes(pickle.dumps(shared))
    script = (
        "import pickle, pathlib, sys\n"
        "split = pickle.loads(pathlib.Path(sys.argv[1], 'shared.pickle').read_bytes()).open()\n"
        "assert str(pathlib.Path(sys.argv[1], 'train_images.npy')) in pathlib.Path('/proc/self/maps').read_text()\n"
        "print(int(split.train.images.sum()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == int(shared.open().train.images.sum())


def test_a_temporary_folder_without_room_is_told_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shared_split, "_write", full)
    message = (
        f"the data cannot be written to the temporary folder {tmp_path} (No space left on device); expected room for 0 MiB: "
        "set the environment variable TMPDIR to a folder with room"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        share(digits(), DIGITS, tmp_path)


def test_the_folder_of_a_killed_process_is_removed_by_the_next_and_that_of_a_living_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    script = (
        "import sys, tempfile, time; tempfile.tempdir = sys.argv[1]\n"
        "from pipeline.data.shared_split import temporary_folder\n"
        "with temporary_folder() as folder: print(folder, flush=True); time.sleep(900)\n"
    )
    processes, folders = [], []
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", script, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        processes.append(process)
        folders.append(Path(process.stdout.readline().strip()))
    try:
        processes[0].kill()
        processes[0].wait()
        for folder in folders:
            os.utime(folder / "lock", (0, 0))  # from long ago
        new = tmp_path / folders[0].with_name(f"{folders[0].name}-new")
        new.mkdir()
        (new / "lock").touch()  # not locked yet
        with temporary_folder() as folder:
            assert set(tmp_path.iterdir()) == {folders[1], new, folder}
        assert set(tmp_path.iterdir()) == {folders[1], new}
    finally:
        for process in processes:
            process.kill()
            process.communicate()
