"""Builds the compiled half of the package, where there is a C compiler.

The hot modules of ``wire``, ``core``, ``server`` and ``adapters`` are assembled into a mirror package,
``ssgi_gateway._compiled``, and translated there by Cython: a codec from its hand-written ``.pyx`` twin, everything else
from the same ``.py`` file, with the types that its ``.pxd`` adds. Relative imports stay inside the mirror, absolute
ones reach what both builds share. All of them are linked into one library, from which ``_compiled/__init__.py`` takes
each: what a request runs through then lies together in memory, and is opened once. Everything else about the project is
in ``pyproject.toml``.

Without a compiler, or with ``SSGI_GATEWAY_PURE=1``, the package installs without the mirror and works the same.
"""

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError, LinkError, PlatformError
from setuptools.modified import newer_group

PACKAGE = Path("ssgi_gateway")
MIRROR = Path("build") / "mirror"
OBJECTS = Path("build") / "objects" / str(sys.implementation.cache_tag)
LIBRARY = "ssgi_gateway._compiled.modules"
ORDER = PACKAGE / "hot.ld"
"""What runs in every request, laid side by side by GNU's linker; see ``scripts/hot_functions.py``."""
ORDERED = sys.platform == "linux"

HOT = (
    "wire.events",
    "wire.codec",
    "wire.grammar",
    "wire.percent",
    "wire.addresses",
    "wire.variables",
    "wire.cgi",
    "wire.header_lines",
    "wire.response_head",
    "wire.scgi.codec",
    "wire.uwsgi.packet",
    "wire.uwsgi.codec",
    "wire.fastcgi.kernel",
    "wire.fastcgi.codec",
    "wire.websocket.codec",
    "wire.http1",
    "wire.http.chunked",
    "wire.http.date",
    "wire.http.head",
    "wire.http.codec",
    "core.channel",
    "core.awaitables",
    "core.step",
    "core.server_loop",
    "core.spare_task",
    "core.tasks",
    "core.headers",
    "core.waiters",
    "core.body",
    "core.extensions",
    "core.request_id",
    "core.exchange",
    "core.response",
    "core.websocket",
    "observe.observer",
    "observe.cells",
    "observe.recorder",
    "observe.hooks",
    "observe.access_log",
    "observe.request_lines",
    "adapters.callable",
    "adapters.files",
    "adapters.asgi.scope",
    "adapters.asgi.http",
    "adapters.asgi.websocket",
    "adapters.asgi.adapter",
    "adapters.wsgi.environ",
    "adapters.wsgi.call",
    "adapters.wsgi.inline",
    "adapters.wsgi.pool",
    "adapters.wsgi.threads",
    "adapters.wsgi.adapter",
    "adapters.rsgi.call",
    "adapters.rsgi.scope",
    "adapters.rsgi.http",
    "adapters.rsgi.websocket",
    "adapters.rsgi.adapter",
    "server.system",
    "server.reactor",
    "server.gateway",
    "server.output",
    "server.connection",
    "server.multiplex",
    "server.websocket",
    "server.tunnel",
    "server.answering",
    "server.http",
    "server.acceptor",
    "server.adoption",
    "server.duty",
    "server.codecs",
    "server.draining",
    "server.observing",
    "server.serve",
)
"""The modules on the way of a request; each exists once as Python, and the codecs once more as Cython."""


def assemble() -> list[Extension]:
    """Lay the mirror's sources out, for Cython to translate."""
    root = MIRROR / PACKAGE / "_compiled"
    extensions = []
    packages = {above for module in HOT for above in (root / module.replace(".", "/")).relative_to(MIRROR).parents}
    for package in packages - {Path()}:
        (MIRROR / package).mkdir(parents=True, exist_ok=True)
        (MIRROR / package / "__init__.py").touch()
    for module in HOT:
        stem = PACKAGE / module.replace(".", "/")
        target = root / module.replace(".", "/")
        twin = stem.with_suffix(".pyx")
        source = twin if twin.exists() else stem.with_suffix(".py")
        copied = target.with_suffix(source.suffix)
        for suffix in (".py", ".pyx", ".pxd"):
            wanted = stem.with_suffix(suffix)
            if suffix == ".pxd" and wanted.exists():
                copy(wanted, target.with_suffix(suffix))
            elif target.with_suffix(suffix).exists() and target.with_suffix(suffix) != copied:
                target.with_suffix(suffix).unlink()
        copy(source, copied)
        extensions.append(Extension(f"ssgi_gateway._compiled.{module}", [str(copied)]))
    return extensions


def unit(module: Extension) -> Path:
    """The C file of a module, with a name for its initialization that no other module has.

    C knows it by the last part of the module's name only, and there are five called ``codec``.
    """
    inside = module.name.partition("._compiled.")[2].replace(".", "_")
    name = module.name.rpartition(".")[2]
    [translated] = module.sources
    wrapper = MIRROR / f"{inside}.c"
    text = f'#define PyInit_{name} PyInit_{inside}\n#include "{Path(translated).relative_to(MIRROR)}"\n'
    if not wrapper.exists() or wrapper.read_text() != text:
        wrapper.write_text(text)
    return wrapper


def copy(source: Path, target: Path) -> None:
    """Copy if it differs, so that an unchanged module is not compiled again."""
    if not target.exists() or source.read_bytes() != target.read_bytes():
        shutil.copyfile(source, target)


class build_mirror(build_ext):  # noqa: N801 - setuptools' naming
    """Compiles what can be compiled, and says in one line when that is nothing."""

    def finalize_options(self) -> None:
        """Turn the modules into C before setuptools looks at them."""
        self.distribution.ext_modules = self.translate()
        super().finalize_options()

    def translate(self) -> list[Extension]:
        """The library, of C files; none, with a reason, where that cannot be."""
        if os.environ.get("SSGI_GATEWAY_PURE"):
            return self.skip("SSGI_GATEWAY_PURE is set")
        try:
            from Cython.Build import cythonize
        except ImportError:
            if os.environ.get("SSGI_GATEWAY_COMPILED"):
                raise
            return self.skip("Cython is not installed")
        self.modules = cythonize(
            assemble(),
            include_path=[str(MIRROR)],
            nthreads=os.cpu_count() or 1,
            quiet=True,
            # For who builds several checkouts: what was translated once is taken from there.
            cache=bool(os.environ.get("CYTHON_CACHE_DIR")),
            compiler_directives={
                "language_level": 3,
                # A .pxd says what is typed; annotations are for people and mypy.
                "annotation_typing": False,
                # Of modules that share objects between threads on purpose a comment says otherwise (adapters/wsgi).
                "freethreading_compatible": True,
            },
        )
        return [Extension(LIBRARY, [])]

    def run(self) -> None:
        """Compile, or go without."""
        try:
            super().run()
        except (CCompilerError, ExecError, PlatformError) as error:
            if os.environ.get("SSGI_GATEWAY_COMPILED"):
                raise  # a packager wants the compiled build or an error
            self.extensions = self.distribution.ext_modules = self.skip(str(error).strip().splitlines()[-1])

    def build_extension(self, ext: Extension) -> None:
        """Compile the modules side by side, those that have changed, and link them all."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            ext.extra_objects = list(pool.map(self.compile_module, self.modules))
        ext.depends = [*ext.extra_objects, str(ORDER)]
        self.compiler.force = True  # its own look at what is newer leaves out the order
        if ORDERED:
            try:
                ext.extra_link_args = [f"-Wl,-T,{ORDER}"]
                super().build_extension(ext)
                return
            except LinkError:
                ext.extra_link_args = []  # this linker has other ways to say it
        super().build_extension(ext)

    def compile_module(self, module: Extension) -> str:
        """The object file of a module, compiled again if anything it is made of is newer."""
        wrapper = unit(module)
        [target] = self.compiler.object_filenames([str(wrapper)], output_dir=str(OBJECTS))
        if newer_group([wrapper, module.sources[0], __file__], target):
            self.compiler.compile(
                [str(wrapper)],
                output_dir=str(OBJECTS),
                include_dirs=[*self.compiler.include_dirs, str(MIRROR)],
                extra_postargs=[
                    os.environ.get("SSGI_GATEWAY_OPTIMIZE", "-O2"),
                    "-g0",
                    *(["-ffunction-sections"] if ORDERED else []),
                ],
            )
        return target

    def skip(self, reason: str) -> list[Extension]:
        """The one line."""
        print(f"ssgi-gateway: installing the portable build only ({reason})", file=sys.stderr)
        return []


if __name__ == "__main__":  # Cython's helpers import this file once more where processes are not forked (Python 3.14)
    setup(ext_modules=[Extension(LIBRARY, [])], cmdclass={"build_ext": build_mirror})
