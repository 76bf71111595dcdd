"""Configuration as the original has it: a dict of dicts, reached by dotted keys, filled from files and variables."""

from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Callable
from typing import Any

__all__ = ["Config", "Partial", "root_folder"]


class Partial(dict[str, Any]):
    """In an object that is loaded: update the section with this, and keep the rest of it."""


class Config(dict[str, Any]):
    """``config["swill.introspection"]`` is ``config["swill"]["introspection"]``.

    Args:
        root_path: the folder of configuration files.
        defaults: what it begins with.
    """

    def __init__(self, root_path: str, defaults: dict[str, Any] | None = None) -> None:
        self.root_path = root_path
        super().__init__(defaults or {})

    def load_from_env(self, prefix: str = "SWILL", loads: Callable[[str], Any] = json.loads) -> None:
        """Take environment variables: ``PREFIX_SWILL__MAX_REQUESTS=10`` is ``swill.max_requests``.

        Args:
            prefix: what their names begin with, before an underscore.
            loads: text to value; what it refuses (``ValueError``) stays a text.
        """
        for name in sorted(os.environ):
            if not name.startswith(f"{prefix}_"):
                continue
            try:
                value = loads(os.environ[name])
            except ValueError:
                value = os.environ[name]
            self[name[len(prefix) + 1 :].lower().replace("__", ".")] = value

    def load_from_env_file(self, env_name: str = "SWILL_CONFIG_FILE") -> None:
        """Load the file that an environment variable names; nothing if it is not set."""
        if os.environ.get(env_name):
            self.load_from_file(os.environ[env_name])

    def load_from_file(self, filename: str) -> None:
        """Run a Python file, and take its names.

        Raises:
            OSError: it cannot be read.
        """
        filename = os.path.join(self.root_path, filename)
        module = types.ModuleType("config")
        module.__file__ = filename
        with open(filename, "rb") as file:
            exec(compile(file.read(), filename, "exec"), module.__dict__)
        self.load_from_object(module)

    def load_from_object(self, obj: object) -> None:
        """Take the public names of a module, a class or an object; modules and what ``__`` begins are left out."""
        for name in dir(obj):
            value = getattr(obj, name)
            if name.startswith("__") or isinstance(value, types.ModuleType | types.FunctionType | types.MethodType):
                continue
            annotation = getattr(obj, "__annotations__", {}).get(name)
            if isinstance(value, Partial) or annotation in (Partial, "Partial"):
                self.setdefault(name, {}).update(value)
            else:
                self[name] = value

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a dotted key."""
        try:
            return self[key]
        except KeyError:
            return default

    def __getitem__(self, key: str) -> Any:
        if "." not in key:
            return super().__getitem__(key)
        current: Any = self
        for part in key.split("."):
            current = dict.__getitem__(current, part)
        return current

    def __setitem__(self, key: str, value: Any) -> None:
        *parts, last = key.split(".")
        current: dict[str, Any] = self
        for part in parts:
            current = dict.setdefault(current, part, {})
        dict.__setitem__(current, last, value)

    def __contains__(self, key: object) -> bool:
        try:
            self[key]  # type: ignore[index]
        except (KeyError, TypeError):
            return False
        return True


def root_folder(import_name: str) -> str:
    """The folder of a module, the working directory where it has none."""
    module = sys.modules.get(import_name)
    file = getattr(module, "__file__", None)
    return os.path.dirname(os.path.abspath(file)) if file else os.getcwd()
