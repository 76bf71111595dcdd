"""What is generated from: the answer of ``swill.schema``, or what can be made of ``swill.introspect``.

An original server knows the latter only: names of types and their arguments. Its types become a schema here, so that
the generators know one source. Pure.
"""

from __future__ import annotations

import keyword
import re
from typing import Any, Final, NamedTuple

__all__ = ["Procedure", "Topic", "from_introspection", "is_identifier", "method_names", "read_schema"]

Schema = dict[str, Any]


class Procedure(NamedTuple):
    """One procedure.

    Args:
        name: as it is called.
        doc: its docstring.
        streams_in, request, streams_out, response: of each direction, whether it streams, and the type.
        idempotent: whether it may be sent again.
        arguments: whether it takes an item at all.
    """

    name: str
    doc: str
    streams_in: bool
    request: Schema
    streams_out: bool
    response: Schema
    idempotent: bool
    arguments: bool


class Topic(NamedTuple):
    """One topic: its pattern, what it is, and the type of its messages."""

    name: str
    doc: str
    schema: Schema


def read_schema(schema: Schema) -> tuple[list[Procedure], list[Topic], dict[str, Schema]]:
    """Procedures and topics in the order of their names, and the named types."""
    procedures = [
        Procedure(
            entry["name"],
            entry.get("description") or entry.get("summary", ""),
            entry["request"]["streams"],
            entry["request"]["schema"],
            entry["response"]["streams"],
            entry["response"]["schema"],
            entry.get("idempotent", False),
            entry.get("arguments", True),
        )
        for entry in schema["procedures"]
    ]
    topics = [Topic(entry["name"], entry.get("summary", ""), entry["schema"]) for entry in schema.get("topics", ())]
    return sorted(procedures), sorted(topics, key=lambda topic: topic.name), dict(sorted(schema["components"].items()))


SCALARS: Final[dict[str, Schema]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "NoneType": {"type": "null"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": "string", "format": "date-time"},
    "UUID": {"type": "string", "format": "uuid"},
    "Decimal": {"type": "string", "format": "decimal"},
}


def from_introspection(definitions: list[Schema]) -> Schema:
    """A schema, of what ``swill.introspect`` streams."""
    components: dict[str, Schema] = {}
    procedures = [
        {
            "name": entry["name"],
            "request": _direction(entry["request"], components),
            "response": _direction(entry["response"], components),
        }
        for entry in definitions
    ]
    return {"version": 1, "procedures": procedures, "topics": [], "components": components}


def _direction(direction: Schema, components: dict[str, Schema]) -> Schema:
    return {"streams": direction["streams"], "schema": _type(direction["type"], components)}


def _type(definition: Schema, components: dict[str, Schema]) -> Schema:
    name = definition["type"]
    arguments: dict[Any, Schema] = definition.get("arguments") or {}
    if name in SCALARS:
        return SCALARS[name]
    parts = [_type(argument, components) for argument in arguments.values()]
    if name in ("list", "set", "frozenset"):
        return {"type": "array", "items": parts[0] if parts else {}}
    if name == "tuple":
        return {"type": "array", "prefixItems": parts, "items": False} if parts else {"type": "array", "items": {}}
    if name == "dict":
        return {"type": "object", "additionalProperties": parts[1] if len(parts) > 1 else {}}
    if name == "Union":
        return {"anyOf": parts}
    if arguments and all(isinstance(key, str) for key in arguments):
        if name not in components:
            components[name] = {}  # it may be within itself
            fields = dict(zip(arguments, parts, strict=True))
            components[name] = {"title": name, "type": "object", "properties": fields, "required": list(fields)}
        return {"$ref": f"#/components/{name}"}
    if name in components:
        return {"$ref": f"#/components/{name}"}
    return {}  # Any, an enum, or a class of which nothing is known


def reference(schema: Schema) -> str | None:
    """The named type that a schema refers to."""
    target: str | None = schema.get("$ref")
    return None if target is None else type_name(target.rpartition("/")[2])


def type_name(name: str) -> str:
    """A component's name as one of a class."""
    words = [word for word in re.split(r"\W+", name) if word]
    joined = "".join(word[0].upper() + word[1:] for word in words) or "Type"
    return joined if not joined[0].isdigit() else f"Type{joined}"


def is_identifier(name: str) -> bool:
    """Whether it can be a name in either language."""
    return re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) is not None and not keyword.iskeyword(name)


class Namespace:
    """A tree of procedures: ``user.older`` is ``older`` in ``user``."""

    def __init__(self) -> None:
        self.procedures: dict[str, Procedure] = {}
        self.children: dict[str, Namespace] = {}


def method_names(procedures: list[Procedure], taken: frozenset[str]) -> Namespace:
    """Where each procedure is found; a name that is ``taken``, or also a namespace's, gets an underscore."""
    root = Namespace()
    for procedure in procedures:
        *path, _ = procedure.name.split(".")
        at = root
        for part in path:
            at = at.children.setdefault(clean(part, taken), Namespace())
    for procedure in procedures:
        *path, last = procedure.name.split(".")
        at = root
        for part in path:
            at = at.children[clean(part, taken)]
        name = clean(last, taken)
        while name in at.children or name in at.procedures:
            name += "_"
        at.procedures[name] = procedure
    return root


def clean(name: str, taken: frozenset[str]) -> str:
    """A name that both languages accept."""
    name = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    if name[0].isdigit():
        name = f"_{name}"
    return f"{name}_" if name in taken or keyword.iskeyword(name) else name
