# ruff: noqa: INP001 - a script, no package
"""Writes the tables of README and guide that are made from the code: `python docs/write_tables.py`.

A page has a table between two comments: `<!-- keys: training -->` for one section of an experiment, `<!-- keys -->` for all
of them, `<!-- only keys: space.hidden search.trials -->` for a short table of some (README.md has one), or
`<!-- store names -->` for the tags, metrics and artifacts of the tracking store; and `<!-- end -->`. The meaning of a key is
the docstring of its field in `pipeline/experiment/`, which pydantic gives as the field's description.
"""

import ast
import inspect
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
NAMES = ROOT / "pipeline" / "tracking" / "names.py"
PLACE = re.compile(
    r"<!-- (keys(?:: (?P<section>[a-z_.]+))?|only keys: (?P<only>[a-z_. ]+)|store names) -->.*?<!-- end -->", re.DOTALL
)
BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}"}
PLAIN: dict[Any, str] = {int: "whole number", float: "number", str: "text", bool: "`true`, `false`", type(None): "null"}
LARGEST_SHOWN = 10**9
"""Bounds from here on are limits of the machine and say nothing to a reader."""


def main() -> None:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        before = page.read_text(encoding="utf-8")
        if (after := renewed(before)) != before:
            page.write_text(after, encoding="utf-8")
            sys.stdout.write(f"renewed {page.relative_to(ROOT)}\n")


def renewed(markdown: str) -> str:
    """A page with its tables made anew."""
    return PLACE.sub(lambda mark: f"<!-- {mark[1]} -->\n\n{_table(mark).strip()}\n\n<!-- end -->", markdown)


def _table(mark: re.Match[str]) -> str:
    if mark[1] == "store names":
        return "\n".join(store_names())
    from pipeline.experiment import Experiment  # noqa: PLC0415 - the project is on the path only now

    if mark["only"]:
        return "\n".join(short_rows(Experiment, mark["only"].split()))
    if mark["section"] is None:
        return "\n".join(sections(Experiment))
    model: type[BaseModel] = Experiment
    for name in mark["section"].split("."):
        (model,) = sections_of(model.model_fields[name].annotation)
    return "\n".join(rows(model))


def sections(experiment: type[BaseModel]) -> Iterator[str]:
    """A table of the plain keys, then a heading and a table for each section and for what nests in it."""
    plain = {key: field for key, field in experiment.model_fields.items() if not sections_of(field.annotation)}
    yield from ["## At the top", "", *rows(experiment, only=plain), ""]
    seen: set[type[BaseModel]] = set()
    for key, field in experiment.model_fields.items():
        for model in sections_of(field.annotation):
            yield from _section(key, model, seen, level=2)


def _section(path: str, model: type[BaseModel], seen: set[type[BaseModel]], *, level: int) -> Iterator[str]:
    if model in seen:
        return
    seen.add(model)
    yield from [f"{'#' * level} `{path}`", "", inspect.cleandoc(model.__doc__ or ""), "", *rows(model), ""]
    for key, field in model.model_fields.items():
        for nested in sections_of(field.annotation):
            yield from _section(f"{path}.{key}", nested, seen, level=level + 1)


def rows(model: type[BaseModel], *, only: dict[str, FieldInfo] | None = None) -> Iterator[str]:
    """A Markdown table: key, allowed values, default, meaning."""
    yield from ("| key | allowed | default | meaning |", "|---|---|---|---|")
    for key, field in (model.model_fields if only is None else only).items():
        yield _row(f"`{key}`", _allowed(field), _default(field), _meaning(field))


def short_rows(experiment: type[BaseModel], keys: list[str]) -> Iterator[str]:
    """A Markdown table of some keys, such as `space.hidden`: key, default, and the first sentence of the meaning."""
    yield from ("| key | default | meaning |", "|---|---|---|")
    for key in keys:
        model = experiment
        *path, name = key.split(".")
        for part in path:
            (model,) = sections_of(model.model_fields[part].annotation)
        field = model.model_fields[name]
        first_sentence, *_ = re.split(r"(?<=\.) ", _meaning(field))
        yield _row(f"`{key}`", _default(field), first_sentence)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _meaning(field: FieldInfo) -> str:
    """The docstring of a key, on one line."""
    return " ".join((field.description or "").split())


def sections_of(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a type holds, such as `FixedNetwork` in `list[FixedNetwork] | None`."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [each for part in get_args(annotation) for each in sections_of(part)]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(_yaml(each) for each in value)}]"
    return str(value)


def _allowed(field: FieldInfo) -> str:
    return _words(field.annotation, list(field.metadata))


def _words(annotation: Any, metadata: list[Any]) -> str:
    """A type as people read it: `whole number ≥ 1 or null`."""
    annotation = getattr(annotation, "__value__", annotation)  # of a `type` statement
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        words = _words(parts[0], [*metadata, *parts[1:]])
    elif origin is Literal:
        words = ", ".join(f"`{each}`" for each in parts)
    elif origin in {Union, types.UnionType}:
        words = " or ".join(_words(each, metadata) for each in parts)
    elif origin in {list, tuple}:
        words = f"list of: {_words(parts[0], [])}"
    elif origin is dict:
        words = f"mapping to: {_words(parts[1], [])}"
    elif sections_of(annotation):
        words = "keys below"
    else:
        plain = getattr(annotation, "words", None) or PLAIN.get(annotation, str(annotation))
        words = " ".join([plain, *_bounds(metadata)])
    return words


def _bounds(metadata: list[Any]) -> Iterator[str]:
    found: list[str] = []
    for each in metadata:
        parts = getattr(each, "metadata", [each])  # `Field(…)` inside an `Annotated` holds its constraints
        for part in parts:
            for bound, form in BOUNDS.items():
                value = getattr(part, bound, None)
                if value is not None and abs(value) < LARGEST_SHOWN:
                    found.append(form.format(value))
    if found:
        yield ", ".join(found)


def store_names() -> Iterator[str]:
    """Tables of the names in `pipeline/tracking/names.py`: its comments are headings, its docstrings meanings."""
    if not NAMES.exists():
        yield f"*{NAMES.relative_to(ROOT)} is not there yet.*"
        return
    source = NAMES.read_text(encoding="utf-8")
    headings = {
        number: line.removeprefix("# ").rstrip(".")
        for number, line in enumerate(source.splitlines(), start=1)
        if line.startswith("# ")
    }
    heading, open_table = "", False
    body = ast.parse(source).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        names = _strings(node)
        if not names:
            continue
        above = [text for number, text in headings.items() if number < node.lineno]
        if above and above[-1] != heading:
            heading, open_table = above[-1], False
            yield from ("", f"### {heading}", "")
        if not open_table:
            yield from ("| name | meaning |", "|---|---|")
            open_table = True
        yield f"| {', '.join(f'`{name}`' for name in names)} | {_docstring(following)} |"
    yield from ("", *_metrics())


def _strings(node: ast.stmt) -> list[str]:
    """The text constants that an assignment at the top of the file gives names to."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return []
    values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
    return [each.value for each in values if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def _docstring(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split()).replace("|", "\\|")
    return ""


def _metrics() -> Iterator[str]:
    from pipeline.tracking.names import METRICS, OTHER_METRICS  # noqa: PLC0415 - the project is on the path only now

    yield from ("### Metrics of a trial and a refit", "", "| metric | meaning | unit as shown |", "|---|---|---|")
    for metric in METRICS.values():
        yield f"| `{metric.name}` | {metric.label} | {metric.unit} |"
    yield from ("", "### Other metrics", "", "| metric | meaning |", "|---|---|")
    for name, meaning in OTHER_METRICS.items():
        yield f"| {', '.join(f'`{each}`' for each in name.split(', '))} | {meaning} |"


if __name__ == "__main__":
    main()
