"""Reading the objects of a table, CSV or JSON, as a description says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, PrivateAttr, create_model, model_validator

from ssl_bench.errors import Problem, first_few
from ssl_bench.media.audio import AUDIO_SUFFIXES
from ssl_bench.media.image import IMAGE_SUFFIXES
from ssl_bench.schemas import quoted
from ssl_bench.testsets.base import UNLABELLED
from ssl_bench.testsets.described.description import Derivations, TableForm
from ssl_bench.testsets.described.objects import UNKNOWN, Facts, Object
from ssl_bench.testsets.identifiers import (
    NAME_RULE,
    FieldError,
    Name,
    RelativePath,
    checked_path,
    is_path,
)
from ssl_bench.testsets.tables import (
    Category,
    Corners,
    Finite,
    box_in_order,
    box_on_grid,
    check_box,
    entries_of,
    rows_of,
)

_SIDE = Annotated[int, Field(ge=1)]
_CORNERS = ("x0", "y0", "x1", "y1")


class _Row(BaseModel):
    """One row; its fields are made by :func:`_model`."""

    _facts: Facts = PrivateAttr()


def read_objects(path: Path, form: TableForm, *, remedy: str) -> tuple[list[Object], list[Problem]]:
    """Every object of a table and every problem; raises DataError where there is no such table."""
    columns = form.columns
    attributes = {name: f"of_{name}" for name in form.attributes}
    model = _model(form)
    if path.suffix == ".json":
        entries, problems = entries_of(path, model, remedy=remedy)
        rows = [(f"entry {number}", row) for number, row in enumerate(entries)]
    else:
        named = [field.alias or "" for field in model.model_fields.values()]
        wanted = tuple(dict.fromkeys(named))
        # The published tables are those columns; a user's may have others, too.
        rows, problems = rows_of(path, model, wanted, remedy=remedy, more=not form.once)
    objects = []
    for place, row in rows:
        content, facts = row.__dict__, row._facts
        frame = form.frame or (1.0, 1.0)
        if columns.size is not None:
            frame = (float(content["width"]), float(content["height"]))
        elif form.units == "pixels" and form.frame is None:
            frame = UNKNOWN
        objects.append(
            Object(
                place=place,
                corners=_boxes(content, form),
                frame=frame,
                sized=form.units == "pixels" and form.frame is None,
                annotator=content.get("annotator", ""),
                attributes={name: content[field] for name, field in attributes.items()},
                **facts,
            )
        )
    return objects, problems


def _model(form: TableForm) -> type[_Row]:
    """The model of a row, whose fields are the columns of the form."""
    columns, fields = form.columns, dict[str, Any]()

    def field(name: str, kind: Any, column: str | None) -> None:
        if column is not None:
            fields[name] = (kind, Field(alias=column))

    kinds: dict[str, Any] = {
        **dict.fromkeys(("id", "picture", "group"), Name),
        **dict.fromkeys(("image", "sound", "mask"), RelativePath),
        "category": Category,
    }
    if not form.once:
        kinds["sound"] = Annotated[str, AfterValidator(lambda name: name and checked_path(name))]
    for name, kind in kinds.items():
        field(name, str if getattr(form.derive, name) else kind, getattr(columns, name))
    number: Any = Finite
    if form.whole and form.frame is not None:
        number = Annotated[float, Field(strict=True, ge=0, le=form.frame[0], multiple_of=1)]
    four: Any = tuple[number, number, number, number]
    whole_box: Any = Annotated[four, AfterValidator(partial(_checked, form=form))]
    if isinstance(columns.box, str):
        field("box", whole_box, columns.box)
    elif columns.box is not None:
        for name, column in zip(_CORNERS, columns.box, strict=True):
            field(name, number, column)
    field("boxes", list[whole_box], columns.boxes)
    for name, column in zip(("width", "height"), columns.size or (), strict=False):
        field(name, _SIDE, column)
    field("annotator", str, columns.annotator)
    for name in form.attributes:
        field(f"of_{name}", str | int | float | bool, name)

    told = [name for name in kinds if name in fields]

    def look(row: _Row) -> _Row:
        if "x0" in fields:
            x0, y0, x1, y1 = (row.__dict__[name] for name in _CORNERS)
            _checked((x0, y0, x1, y1), form)
        row._facts = facts_of({name: row.__dict__[name] for name in told}, form.derive)
        return row

    checks: Any = {"look": model_validator(mode="after")(look)}
    return create_model("Row", __base__=_Row, __validators__=checks, **fields)


def _boxes(content: Mapping[str, Any], form: TableForm) -> list[Corners]:
    """The boxes of a row by their corners."""
    boxes: list[Corners] = content.get("boxes") or []
    if "box" in content:
        boxes = [content["box"]]
    elif "x0" in content:
        boxes = [(content["x0"], content["y0"], content["x1"], content["y1"])]
    if form.corners == "size":
        boxes = [(x, y, x + width, y + height) for x, y, width, height in boxes]
    return boxes


def _checked(box: Corners, form: TableForm) -> Corners:
    x0, y0, x1, y1 = box
    if form.corners == "size":
        x1, y1 = x0 + x1, y0 + y1
    corners = (x0, y0, x1, y1)
    if form.whole:
        box_on_grid(corners)
    elif form.frame is not None:
        check_box(corners, 0, *form.frame)
    elif form.units == "shares":
        check_box(corners, 0, 1)
    else:
        box_in_order(corners)
    return box


def without(endings: tuple[str, ...], name: str) -> str:
    """A name without the one of these endings that it has, which may be in capitals.

    Examples
    --------
    >>> without((".jpg", ".png"), "a/b.PNG")
    'a/b'
    """
    stem, dot, ending = name.rpartition(".")
    return stem if dot + ending.lower() in endings else name


def facts_of(given: Mapping[str, str], derive: Derivations) -> Facts:
    """All that columns and names tell.

    Raises FieldError for a name that no file or id can have.

    Examples
    --------
    >>> facts_of({"image": "dogs/7.jpg"}, Derivations())["sound"]
    'dogs/7'
    """
    facts: dict[str, str] = dict(given)
    for fact, derived in derive.steps:
        if derived is not None:
            facts[fact] = derived.value(facts.get(derived.of, ""))
            if derived.required and not facts[fact]:
                code = "E_CATEGORY" if fact == "category" else "E_ID"
                raise FieldError(f"{derived.of} does not tell the {fact}: {derived.pattern}", code)
        if fact == "image":
            facts[fact] = without(IMAGE_SUFFIXES, facts.get(fact) or facts.get("id", ""))
        elif fact == "sound":
            facts[fact] = without(AUDIO_SUFFIXES, facts.get(fact, facts["image"]))
    told = Facts(
        image=facts["image"],
        sound=facts["sound"],
        id=facts.get("id", ""),
        picture=facts.get("picture", ""),
        group=facts.get("group", ""),
        category=facts.get("category") or UNLABELLED,
        mask=without((".png",), facts.get("mask") or facts["image"]),
    )
    paths = {told["image"], told["sound"] or told["image"], told["mask"]}
    names = {told["id"], told["picture"], told["group"]} - {""}
    wrong = {name for name in paths | names if not is_path(name)}
    wrong |= {name for name in names if "/" in name}
    if wrong:
        raise FieldError(f"{first_few(sorted(map(quoted, wrong)))}: {NAME_RULE}", "E_ID")
    return told
