"""How settings are declared: a class whose fields describe settings, and whose objects hold their values."""

from collections.abc import Mapping
from typing import Any, ClassVar, dataclass_transform

__all__ = ["Field", "Group", "group", "setting"]


class Field:
    """What stands behind the name of a setting, or of a group of them. No named tuple: see ``Group``.

    Args:
        default: the first value; immutable.
        metadata: the documentation, as given to ``setting`` and ``group``.
        kind: the type of the value.
    """

    __slots__ = ("default", "kind", "metadata")

    def __init__(self, default: Any, metadata: Mapping[str, Any], kind: Any = None) -> None:
        self.default = default
        self.metadata = metadata
        self.kind = kind


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Group:
    """The base of the classes below: values by name, which cannot be changed.

    A frozen dataclass is the same. It writes six methods for each class as text and compiles them, at every start, and
    that was a twentieth of the time until the first answer.
    """

    FIELDS: ClassVar[Mapping[str, Field]] = {}

    def __init_subclass__(cls) -> None:
        # A module with settings has no "from __future__ import annotations", so that these are the types themselves.
        cls.FIELDS = {name: vars(cls)[name] for name in cls.__annotations__}
        for name, field in cls.FIELDS.items():
            field.kind = cls.__annotations__[name]
            delattr(cls, name)

    def __init__(self, **given: Any) -> None:
        for name, field in self.FIELDS.items():
            vars(self)[name] = given.pop(name, field.default)
        if given:
            raise TypeError(f"{type(self).__name__} has no {', '.join(given)}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name!r} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name!r} cannot be changed")

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


def setting(
    default: Any,
    help: str,
    *,
    unit: str = "",
    metavar: str = "",
    choices: tuple[str, ...] = (),
    minimum: float = 0,
    section: str = "connections",
) -> Any:
    """One setting, with its documentation.

    Args:
        default: the first value; immutable.
        help: one or two sentences for the command line and the reference page.
        unit: ``bytes``, ``seconds``, ``messages`` ... ; ``octal`` for permissions; empty for plain values.
        metavar: how the value is shown in ``--help``.
        choices: the only values allowed, when there are such.
        minimum: the smallest number allowed.
        section: the heading in ``--help``, for settings outside of a group.
    """
    metadata = {"help": help, "unit": unit, "metavar": metavar, "choices": choices}
    return Field(default, metadata | {"minimum": minimum, "section": section})


def group(kind: type[Group], section: str, *, prefix: str = "") -> Any:
    """Settings of their own within the settings.

    Args:
        kind: their class.
        section: the heading in ``--help``.
        prefix: what their names begin with outside of the file.
    """
    return Field(kind(), {"section": section, "prefix": prefix})
