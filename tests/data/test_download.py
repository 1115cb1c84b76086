import gzip
import http.server
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from pipeline.data import download, sources
from pipeline.data.download import UnavailableError, from_debian, from_folder, from_web

FILES = {"images.gz": gzip.compress(b"pixels" * 1000, mtime=0), "labels.gz": gzip.compress(b"labels", mtime=0)}
NAMES = ["images", "labels"]


class Mirror(http.server.ThreadingHTTPServer):
    """A real web server with `files`, which can break off the first `breaks` downloads, or never answer."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = dict(FILES)
        self.breaks = 0
        self.silence = 0.0
        self.asked: list[str] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Mirror

    def do_HEAD(self):
        time.sleep(self.server.silence)
        self.reply(body=False)

    def do_GET(self):
        self.server.asked.append(self.path)
        self.reply(body=True)

    def reply(self, *, body: bool) -> None:
        content = self.server.files.get(self.path.strip("/"))
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if body and content:
            breaks = self.server.breaks > 0
            self.server.breaks -= breaks
            self.wfile.write(content[: len(content) // 2] if breaks else content)

    def log_message(self, *_args):
        """Quiet."""


@pytest.fixture
def mirror(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Mirror() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_a_download_returns_the_bytes_unchanged_and_reports_its_progress(mirror):
    said: list[str] = []
    assert from_web(mirror.base, NAMES, said.append) == {"images": FILES["images.gz"], "labels": FILES["labels.gz"]}
    assert said == ["downloading images.gz: 100 % of 0.0 MB", "downloading labels.gz: 100 % of 0.0 MB"]


def test_a_large_download_is_reported_by_the_quarter(mirror):
    mirror.files["images.gz"] = b"x" * 4_000_000
    said: list[str] = []
    from_web(mirror.base, ["images"], said.append)
    assert said == [f"downloading images.gz: {done} % of 4.0 MB" for done in (25, 50, 75, 100)]


def test_a_download_that_breaks_off_is_tried_again(mirror):
    mirror.breaks = 2
    said: list[str] = []
    assert from_web(mirror.base, ["images"], said.append) == {"images": FILES["images.gz"]}
    assert [line.split(" (")[0] for line in said[:2]] == ["downloading images.gz broke off"] * 2
    assert mirror.asked == ["/images.gz"] * 3


def test_a_download_that_always_breaks_off_is_given_up_after_three_tries(mirror):
    mirror.breaks = 100
    with pytest.raises(UnavailableError, match="IncompleteRead"):
        from_web(mirror.base, NAMES, print)
    assert mirror.asked == ["/images.gz"] * 3


def test_a_download_of_more_than_the_largest_file_is_left_in_the_middle_and_not_repeated(mirror, monkeypatch):
    monkeypatch.setattr(download, "LARGEST", 2**20)
    mirror.files["images.gz"] = b"x" * 2**20
    assert len(from_web(mirror.base, ["images"], print)["images"]) == 2**20
    mirror.files["images.gz"] = b"x" * 3 * 2**20
    with pytest.raises(UnavailableError, match=r"images\.gz has more than 1 MiB; expected at most that"):
        from_web(mirror.base, ["images"], print)
    assert mirror.asked == ["/images.gz"] * 2


def test_a_file_that_the_host_does_not_have_is_asked_for_once(mirror):
    del mirror.files["labels.gz"]
    with pytest.raises(UnavailableError, match="404"):
        from_web(mirror.base, NAMES, print)
    assert mirror.asked == ["/images.gz", "/labels.gz"]


def test_a_host_without_the_first_file_is_left_at_once(mirror):
    mirror.files.clear()
    with pytest.raises(UnavailableError, match=r"404 Not Found for http://.*/images\.gz"):
        from_web(mirror.base, NAMES, print)
    assert mirror.asked == []


def test_a_host_that_never_answers_is_left(mirror, monkeypatch):
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.2)
    mirror.silence = 2
    with pytest.raises(UnavailableError, match=r"no answer within 0\.2 seconds|timed out"):
        from_web(mirror.base, NAMES, print)


def test_a_host_that_refuses_is_reported_by_its_reason():
    with socket.socket() as nobody:  # a port that was free a moment ago, and on which nobody listens
        nobody.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
    with pytest.raises(UnavailableError, match="Connection refused"):
        from_web(base, NAMES, print)


def test_a_folder_gives_plain_files_before_gzipped_ones(tmp_path):
    (tmp_path / "images").write_bytes(b"plain")
    (tmp_path / "images.gz").write_bytes(b"zipped")
    (tmp_path / "labels.gz").write_bytes(b"zipped")
    assert from_folder(tmp_path, NAMES) == {"images": b"plain", "labels": b"zipped"}


def test_a_folder_without_a_file_is_reported(tmp_path):
    (tmp_path / "images").write_bytes(b"")
    with pytest.raises(UnavailableError, match=r"has no labels or labels\.gz"):
        from_folder(tmp_path, NAMES)


def test_a_machine_without_apt_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="this machine has no apt-get and dpkg-deb"):
        from_debian("p", Path("x"), NAMES, print)


@pytest.mark.skipif(not shutil.which("apt-get"), reason="needs apt-get")
def test_a_package_that_cannot_be_fetched_is_reported_with_the_mirror_that_apt_did_not_reach(monkeypatch, tmp_path):
    (tmp_path / "list").write_text("deb http://127.0.0.1:9/ stable main\n")
    (tmp_path / "conf").write_text(f'Dir::Etc::sourcelist "{tmp_path}/list"; Dir::Etc::sourceparts "/dev/null";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "conf"))
    with pytest.raises(UnavailableError, match=r"apt-get download p: E: .*; W: Failed to fetch http://127\.0\.0\.1:9/"):
        from_debian("p", Path("x"), NAMES, print)


def test_debians_package_is_fetched_without_root_and_without_installing():
    try:
        raw = from_debian(sources.DEBIAN_PACKAGE, sources.DEBIAN_FOLDER, sources.FASHION_MNIST, print)
    except UnavailableError as error:
        pytest.skip(f"Debian's package is not to be had here: {error}")
    assert sorted(sources._verified(raw, where="Debian")) == sorted(sources.FASHION_MNIST)
