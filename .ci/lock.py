"""`make lock`: the ranges of pyproject.toml into exact pins, for `make` (pip) and for `mlflow run` (conda.yaml) alike."""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONDA = """\
# Written by `make lock`. MLflow's env managers uv and virtualenv read the list under `pip:` and use their own Python.
name: narrowgap
channels: [conda-forge]
dependencies:
  - python>=3.11,<3.14
  - pip
  - pip:
"""
OPTIONS = [
    "--quiet",
    "--universal",
    "--upgrade",
    "--python-version",
    "3.11",
    "--fork-strategy",
    "fewest",
    "--no-header",
    "--no-annotate",
]
"""One set of pins that serves Python 3.11 to 3.13 on every platform. pip checks the hashes of what it downloads."""


def compiled(folder: Path, name: str, *options: str) -> Path:
    """The pins for the ranges of pyproject.toml, in a file of `folder`."""
    target = folder / name
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *OPTIONS, "--generate-hashes", *options]
    subprocess.run([*command, "--output-file", str(target)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return target


def without_hashes(lock: str) -> list[str]:
    """The pins of a lock; conda.yaml has to be read by people."""
    return [line.removesuffix(" \\") for line in lock.splitlines() if not line.startswith(" ")]


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        run = compiled(Path(scratch), "requirements.lock")
        extras = ("--extra", "dev", "--extra", "docs")
        dev = compiled(Path(scratch), "requirements-dev.lock", *extras, "--constraint", str(run))
        pins = {each.name: each.read_text(encoding="utf-8") for each in (run, dev)}
    # Only now that both resolved: three files that belong together.
    for name, text in pins.items():
        (ROOT / name).write_text(text, encoding="utf-8")
    listed = "".join(f'      - "{pin}"\n' for pin in without_hashes(pins["requirements.lock"]))
    (ROOT / "conda.yaml").write_text(CONDA + listed, encoding="utf-8")


if __name__ == "__main__":
    main()
