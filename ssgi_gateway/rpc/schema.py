"""``swill.schema``: all procedures and topics in one answer, their types in JSON Schema 2020-12 by msgspec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from .procedures import UNDECLARED
from .request import RESERVED

if TYPE_CHECKING:
    from .app import Swill

__all__ = ["SCHEMA_VERSION", "schema_of"]

SCHEMA_VERSION: Final = 1
REFERENCE: Final = "#/components/{name}"


def schema_of(app: Swill) -> dict[str, Any]:
    """``{version, procedures, topics, components}``.

    ``components`` holds named types; schemas refer to them by ``{"$ref": "#/components/NAME"}``.
    """
    procedures = [procedure for name, procedure in app.own.items() if not name.startswith(RESERVED)]
    types = [type_ for procedure in procedures for type_ in (procedure.request_type, procedure.response_type)]
    types += [topic.type for topic in app.topics]
    schemas, components = schemas_of(types)
    entries = []
    for index, procedure in enumerate(procedures):
        entries.append(
            {
                "name": procedure.name,
                "summary": procedure.summary,
                "description": procedure.doc,
                "request": {"streams": procedure.streams_in, "schema": schemas[2 * index]},
                "response": {"streams": procedure.streams_out, "schema": schemas[2 * index + 1]},
                "idempotent": procedure.idempotent,
                "arguments": procedure.arity > 0 and procedure.request_type is not type(None),
            }
        )
    topics = [
        {"name": topic.pattern, "summary": topic.summary, "history": topic.history, "schema": schema}
        for topic, schema in zip(app.topics, schemas[2 * len(procedures) :], strict=True)
    ]
    return {"version": SCHEMA_VERSION, "procedures": entries, "topics": topics, "components": components}


def schemas_of(types: list[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A schema for each type, and what they refer to; a type that JSON Schema cannot express is ``{}``, anything."""
    sayable = [Any if type_ is UNDECLARED or not can_say(type_) else type_ for type_ in types]
    schemas, components = msgspec.json.schema_components(sayable, ref_template=REFERENCE)
    return list(schemas), components


def can_say(type_: Any) -> bool:
    """Whether msgspec has a schema for a type."""
    try:
        msgspec.json.schema_components([type_], ref_template=REFERENCE)
    except (TypeError, ValueError):
        return False
    return True
