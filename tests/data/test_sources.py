import gzip
import http.server
import shutil
import threading

import numpy as np
import pytest

from pipeline.data import sources
from pipeline.data.sources import FASHION_MNIST, Source, UnavailableError, load
from pipeline.errors import InputError
from pipeline.experiment import Data


def ignore(_line: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The real Fashion-MNIST, as four files of a user's own."""
    dataset = load(Data(), progress=ignore)
    target = tmp_path_factory.mktemp("mine")
    for part, images, labels in (
        ("train", dataset.images_train, dataset.labels_train),
        ("t10k", dataset.images_test, dataset.labels_test),
    ):
        for name, values in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
            (target / name).write_bytes(header + values.astype(np.uint8).tobytes())
    return target


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def test_the_real_fashion_mnist_has_its_known_shape(folder):
    dataset = load(Data(path=str(folder)), progress=ignore)
    assert dataset.images_train.shape == (60_000, 28, 28)
    assert np.bincount(dataset.labels_test).tolist() == [1000] * 10
    assert dataset.class_names[9] == "Ankle boot"
    assert dataset.source == str(folder)


def test_a_folder_of_gzipped_files_serves_too(copy):
    labels = copy / "t10k-labels-idx1-ubyte"
    (copy / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels.read_bytes(), 1))
    labels.unlink()
    assert len(load(Data(path=str(copy)), progress=ignore).labels_test) == 10_000


def test_a_path_without_the_files_is_told_with_what_was_expected(tmp_path):
    with pytest.raises(
        InputError, match=r"data\.path does not serve: .* has no train-images-idx3-ubyte .*expected the four"
    ):
        load(Data(path=str(tmp_path)), progress=ignore)


def test_a_path_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match=r"data\.path does not serve: there is no folder .*/no"):
        load(Data(path=str(tmp_path / "no")), progress=ignore)


def test_one_flipped_bit_is_found(copy):
    name = "t10k-images-idx3-ubyte"
    content = bytearray((copy / name).read_bytes())
    content[5000] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} .* is not Fashion-MNIST's: .* expected {FASHION_MNIST[name]}"):
        load(Data(path=str(copy)), progress=ignore)


def test_a_truncated_file_is_told_as_truncated(copy):
    path = copy / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match="has 60,003 bytes; its header 60000 asks for 60,008: the file is truncated"):
        load(Data(path=str(copy)), progress=ignore)


def test_swapped_files_are_told_as_swapped(copy):
    test, train = copy / "t10k-images-idx3-ubyte", copy / "train-images-idx3-ubyte"
    test.rename(copy / "aside")
    train.rename(test)
    (copy / "aside").rename(train)
    with pytest.raises(InputError, match="holds the content of t10k-images-idx3-ubyte: the files are swapped"):
        load(Data(path=str(copy)), progress=ignore)


def test_a_cache_that_no_longer_matches_is_refused_with_the_cure_and_left_alone(copy, tmp_path, monkeypatch):
    monkeypatch.setenv("NARROWGAP_CACHE", str(tmp_path))
    cache = copy.rename(tmp_path / "fashion-mnist")
    path = cache / "t10k-labels-idx1-ubyte"
    spoiled = path.read_bytes()[:-1] + b"\x07"
    path.write_bytes(spoiled)
    with pytest.raises(InputError, match=r"t10k-labels.* expected 0402a96d.*or delete .*fashion-mnist and run again"):
        load(Data(), progress=ignore)
    assert path.read_bytes() == spoiled


def test_the_cache_is_read_before_anything_else(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NARROWGAP_CACHE", str(tmp_path))
    shutil.copytree(folder, tmp_path / "fashion-mnist")
    said: list[str] = []
    dataset = load(Data(), progress=said.append)
    assert dataset.source == f"the cache {tmp_path}/fashion-mnist"
    assert said == []


def test_what_a_source_gave_is_kept_for_the_next_run(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NARROWGAP_CACHE", str(tmp_path / "new"))
    given = Source("elsewhere", lambda _say: {name: (folder / name).read_bytes() for name in FASHION_MNIST}, keep=True)
    sources._first_that_verifies([given], ignore)
    assert sorted(path.name for path in (tmp_path / "new" / "fashion-mnist").iterdir()) == sorted(FASHION_MNIST)
    assert load(Data(), progress=ignore).source.startswith("the cache")


def test_a_cache_that_cannot_be_written_does_not_stop_the_run(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NARROWGAP_CACHE", str(tmp_path / "file"))
    given = Source("elsewhere", lambda _say: {name: (folder / name).read_bytes() for name in FASHION_MNIST}, keep=True)
    said: list[str] = []
    assert len(sources._first_that_verifies([given], said.append).labels_train) == 60_000
    assert "cannot be written" in said[0]


def test_a_source_that_does_not_verify_is_passed_over(folder):
    def bad(_say):
        return dict.fromkeys(FASHION_MNIST, b"rubbish, but long enough for a header")

    def good(_say):
        return {name: (folder / name).read_bytes() for name in FASHION_MNIST}

    found = sources._first_that_verifies([Source("bad", bad, keep=False), Source("good", good, keep=False)], ignore)
    assert found.source == "good"


def test_when_nothing_serves_every_source_is_listed_with_its_reason_and_the_cures():
    def refuse(reason):
        def read(_say):
            raise UnavailableError(reason)

        return read

    places = [Source("first", refuse("not there"), keep=False), Source("second", refuse("no network"), keep=False)]
    with pytest.raises(InputError, match="Fashion-MNIST is to be had nowhere") as caught:
        sources._first_that_verifies(places, ignore)
    assert "  - first: not there\n  - second: no network\nCures: install the package dataset-fashion-mnist" in str(
        caught.value
    )


class _Mirror(http.server.BaseHTTPRequestHandler):
    """A real web server with the real files, gzipped."""

    files: dict[str, bytes]

    def do_GET(self):
        content = self.files.get(self.path.strip("/"))
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_args):
        """Quiet."""


@pytest.fixture
def mirror(folder, monkeypatch):
    _Mirror.files = {f"{name}.gz": gzip.compress((folder / name).read_bytes(), 1) for name in FASHION_MNIST}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(sources, "DOWNLOAD", f"http://127.0.0.1:{server.server_port}/")
    yield _Mirror
    server.shutdown()


def test_a_download_is_verified_and_tells_its_progress(mirror):
    said: list[str] = []
    raw = sources._downloaded(said.append)
    assert sorted(sources._verified(raw, where="mirror")) == sorted(FASHION_MNIST)
    assert any(line.startswith("downloading train-images-idx3-ubyte: 50 % of") for line in said)


def test_a_mirror_without_a_file_is_an_unavailable_source(mirror):
    del mirror.files["t10k-labels-idx1-ubyte.gz"]
    with pytest.raises(UnavailableError, match="404"):
        sources._downloaded(ignore)


def test_debians_package_is_fetched_without_root_and_without_installing():
    try:
        raw = sources._from_debian(ignore)
    except UnavailableError as error:
        pytest.skip(f"Debian's package is not to be had here: {error}")
    assert sorted(sources._verified(raw, where="Debian")) == sorted(FASHION_MNIST)


def test_digits_take_no_path():
    with pytest.raises(InputError, match="digits come with scikit-learn"):
        load(Data(dataset="digits", path="x", validation=0.1), progress=ignore)
