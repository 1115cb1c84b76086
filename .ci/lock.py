"""`make lock`: the ranges of pyproject.toml into exact pins, for `make` (pip) and for `mlflow run` (conda.yaml) alike."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONDA = """\
# Written by `make lock`. MLflow's env managers uv and virtualenv read python, pip and the list under `pip:` alone.
name: narrowgap
channels: [conda-forge]
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def compile_lock(target: str, *options: str) -> None:
    """One set of pins that serves Python 3.11 to 3.13 on every platform."""
    command = [
        "uv",
        "pip",
        "compile",
        "pyproject.toml",
        "--quiet",
        "--universal",
        "--upgrade",
        "--python-version",
        "3.11",
    ]
    command += ["--fork-strategy", "fewest", "--no-header", "--no-annotate", "--output-file", target, *options]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    compile_lock("requirements.lock")
    compile_lock("requirements-dev.lock", "--extra", "dev", "--constraint", "requirements.lock")
    pins = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    listed = "".join(f'      - "{pin}"\n' for pin in pins)
    (ROOT / "conda.yaml").write_text(CONDA + listed, encoding="utf-8")


if __name__ == "__main__":
    main()
