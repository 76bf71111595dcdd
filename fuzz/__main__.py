"""``python -m fuzz``: fuzz a target for a while, or try files again.

With atheris (coverage-guided, of the portable build's lines) where it is installed for this Python, otherwise with a
loop of our own. Whatever is found is written to a file, which the same command then takes.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import sys
import traceback
from pathlib import Path

FINDINGS = Path(".run") / "fuzz"


def main() -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", choices=("scgi", "uwsgi", "fastcgi", "websocket", "upgrade", "response"))
    parser.add_argument("files", nargs="*", type=Path, help="inputs to try instead")
    parser.add_argument("--seconds", type=int, default=20, help="how long (20)")
    parser.add_argument("--seed", type=int, default=0, help="for chance (0)")
    parser.add_argument("--engine", choices=("auto", "atheris", "loop"), default="auto")
    options = parser.parse_args()
    if options.files:
        return replay(options.target, options.files)
    found = importlib.util.find_spec("atheris") is not None
    if options.engine == "atheris" or (options.engine == "auto" and found):
        with_atheris(options.target, options.seconds, options.seed)
    if options.engine == "auto":
        version = ".".join(map(str, sys.version_info[:2]))
        print(f"fuzz: atheris is not installed for Python {version}: using the loop of our own, which sees no coverage")
    return with_loop(options.target, options.seconds, options.seed)


def replay(target: str, files: list[Path]) -> int:
    """Try files; a traceback for each that still is a finding."""
    from fuzz.targets import TARGETS

    failed = 0
    for path in files:
        try:
            TARGETS[target](path.read_bytes())
        except Exception:
            failed = 1
            print(f"{path}:", file=sys.stderr)
            traceback.print_exc()
    return failed


def with_loop(target: str, seconds: int, seed: int) -> int:
    """Mutate the corpus by chance."""
    from fuzz.loop import Finding, run

    try:
        tried, new = run(target, seed=seed, seconds=seconds)
    except Finding as finding:
        FINDINGS.mkdir(parents=True, exist_ok=True)
        path = FINDINGS / f"{target}-{hashlib.sha1(finding.data).hexdigest()}"
        path.write_bytes(finding.data)
        traceback.print_exception(finding.__cause__)
        print(f"fuzz: to see this again: python -m fuzz {target} {path}", file=sys.stderr)
        return 1
    print(f"fuzz: {target}: {tried} inputs, {new} of them new in kind, no disagreement")
    return 0


def with_atheris(target: str, seconds: int, seed: int) -> None:
    """Hand over to libFuzzer, which ends the process."""
    import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

    with atheris.instrument_imports(include=["ssgi_gateway.wire", "wsproto", "sioscgi"]):
        from fuzz.loop import CORPUS
        from fuzz.mutate import MAX_INPUT, TOKENS
        from fuzz.targets import TARGETS

    run = TARGETS[target]

    def one(data: bytes) -> None:
        if len(data) >= 2:
            run(data)

    grown = FINDINGS / target
    grown.mkdir(parents=True, exist_ok=True)
    arguments = [
        f"fuzz {target}",
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={MAX_INPUT}",
        f"-dict={TOKENS / target}.dict",
        f"-artifact_prefix={FINDINGS}/{target}-",
        "-verbosity=0",
        "-print_final_stats=1",
        str(grown),
        str(CORPUS / target),
    ]
    atheris.Setup(arguments, one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
