"""``ssgi-gateway rpc generate``: a typed client for a Swill application, in TypeScript or Python."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ssgi_gateway.errors import ConfigurationError

__all__ = ["rpc"]


def rpc(words: list[str]) -> int:
    """Run ``rpc`` with the words behind it; returns the exit status.

    Raises:
        ConfigurationError: msgspec is not installed, or there is nothing to generate from.
    """
    parser = argparse.ArgumentParser(prog="ssgi-gateway rpc", description="Tools for Swill applications.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    generate = commands.add_parser(
        "generate",
        help="write a client with types for every procedure",
        description="Write a client with a method and types for every procedure. The same schema gives the same text.",
    )
    generate.add_argument("source", metavar="URL|MODULE:APP", help="a running server (ws://...), or an application")
    generate.add_argument("--lang", choices=("typescript", "python"), required=True, help="the language")
    generate.add_argument("-o", "--output", metavar="FILE", help="where to; standard output, if not given")
    generate.add_argument("--class", dest="class_name", default="Api", metavar="NAME", help="the client's name (Api)")
    given = parser.parse_args(words)
    text = generate_text(given.source, given.lang, given.class_name)
    if given.output is None:
        sys.stdout.write(text)
    else:
        Path(given.output).write_text(text, encoding="utf-8")
    return 0


def generate_text(source: str, language: str, class_name: str) -> str:
    """The text of a client.

    Raises:
        ConfigurationError: see ``rpc``.
    """
    try:
        from ssgi_gateway.rpc.generate import python, typescript
        from ssgi_gateway.rpc.generate.source import fetch, of_application
    except ImportError as error:
        raise ConfigurationError(f"Swill needs the package {error.name}: pip install 'ssgi-gateway[rpc]'") from error
    if not class_name.isidentifier():
        raise ConfigurationError(f"{class_name!r} is no name for a class")
    if "://" in source:
        schema = fetch(source)
    else:
        from ssgi_gateway.adapters.loading import load

        sys.path.insert(0, os.getcwd())
        schema = of_application(load(source), source)
    generate = typescript.generate if language == "typescript" else python.generate
    return generate(schema, class_name)
