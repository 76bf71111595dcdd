"""``swill.introspect``, byte for byte as the original answers it: procedures with the names of their types.

Names are Python's own; ``Optional`` and ``X | Y`` are ``Union``; arguments are named by index (integer keys), the
fields of a Struct by field. A type within itself is named without arguments.
"""

from __future__ import annotations

import types
import typing
from typing import Any

import msgspec

from .procedures import UNDECLARED, Procedure

__all__ = ["IntrospectedRpc", "introspect", "introspect_type"]


class TypeDefinition(msgspec.Struct, omit_defaults=True):
    """A type."""

    type: str
    arguments: dict[str | int, TypeDefinition] | None = None


class ParameterDefinition(msgspec.Struct):
    """One direction of a procedure."""

    streams: bool
    type: TypeDefinition


class IntrospectedRpc(msgspec.Struct):
    """A procedure."""

    name: str
    request: ParameterDefinition
    response: ParameterDefinition


def introspect(procedure: Procedure) -> IntrospectedRpc:
    """What the original shows of a procedure."""
    return IntrospectedRpc(
        procedure.name,
        ParameterDefinition(procedure.streams_in, introspect_type(procedure.request_type)),
        ParameterDefinition(procedure.streams_out, introspect_type(procedure.response_type)),
    )


def introspect_type(type_: Any, within: tuple[Any, ...] = ()) -> TypeDefinition:
    """A type and its arguments.

    Args:
        type_: of an annotation.
        within: the types that it is an argument of.
    """
    if type_ is UNDECLARED:
        return TypeDefinition("None")
    if typing.get_origin(type_) is typing.Annotated:
        return introspect_type(typing.get_args(type_)[0], within)
    definition = TypeDefinition(type_name(type_))
    if type_ in within:
        return definition
    within = (*within, type_)
    origin = typing.get_origin(type_)
    if origin is typing.Literal:
        arguments = {index: TypeDefinition(repr(value)) for index, value in enumerate(typing.get_args(type_))}
        definition.arguments = typing.cast("dict[str | int, TypeDefinition]", arguments)
    elif origin is not None:
        definition.arguments = {
            index: introspect_type(argument, within) for index, argument in enumerate(typing.get_args(type_))
        }
    elif isinstance(type_, type) and has_fields(type_):
        definition.arguments = {name: introspect_type(hint, within) for name, hint in fields_of(type_).items()}
    return definition


def type_name(type_: Any) -> str:
    """A type's name, without arguments."""
    origin = typing.get_origin(type_)
    if origin is typing.Union or origin is types.UnionType:
        return "Union"
    if origin is not None:
        return type_name(origin)
    return getattr(type_, "__name__", None) or getattr(type_, "_name", None) or repr(type_)


def has_fields(type_: type) -> bool:
    """Whether a type has fields of its own that msgspec sends by name."""
    return issubclass(type_, msgspec.Struct) or hasattr(type_, "__dataclass_fields__") or typing.is_typeddict(type_)


def fields_of(type_: type) -> dict[str, Any]:
    """The fields of a Struct, dataclass or TypedDict, in order."""
    try:
        hints = typing.get_type_hints(type_, include_extras=True)
    except NameError:
        hints = dict(getattr(type_, "__annotations__", {}))
    names = getattr(type_, "__struct_fields__", None) or getattr(type_, "__dataclass_fields__", None) or hints
    return {name: hints.get(name, Any) for name in names}
