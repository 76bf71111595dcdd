"""What the pages say is there: files, modules, names, commands, links; what they show can be used.

A page is wrong as soon as the tree has moved on, so each kind of claim that can be checked is checked here.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from ssgi_gateway import ssgi
from ssgi_gateway.adapters.negotiation import resolve
from ssgi_gateway.cli.commands import COMMANDS
from ssgi_gateway.settings.sources import combine, from_file, options
from ssgi_gateway.settings.values import convert
from ssgi_gateway.tools import config
from ssgi_gateway.tools.call.options import option_names
from ssgi_gateway.tools.doctor import command as doctor
from tests.builds import HOT
from tests.harness.nginx import DEPLOY, check_configuration, main_configuration, stock_file

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ssgi_gateway"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
WRITTEN = [page for page in PAGES if page.name not in ("CHANGELOG.md", "autobahn.md", "suites.md")]
"""Pages whose every word is about the tree as it is: not history, not a report."""

ARCHITECTURE = ROOT / "ARCHITECTURE.md"
README = ROOT / "README.md"

each_page = pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```", "", text(page), flags=re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    """A page's code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text(page), re.DOTALL | re.MULTILINE)


def quoted(page: Path) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`\n]+)`", prose(page))


# -- files ---------------------------------------------------------------------------------------------------------

SUFFIXES = ("py", "pyx", "pxd", "md", "conf", "toml", "sh", "png", "svg", "css", "js", "html")
TOP = ("ssgi_gateway", "tests", "docs", "deploy", "examples", "scripts", "benchmarks", "fuzz", "build")
NOT_IN_THE_TREE = ("build/mirror", "gunicorn.conf.py", "hello.py", "manage.py")
"""What a page names and a build or a reader makes."""


def paths(page: Path) -> Iterator[str]:
    """The words between backticks that are paths of the repository."""
    layers = {f"{path.name}/" for path in PACKAGE.iterdir() if path.is_dir()}
    for word in quoted(page):
        if not re.fullmatch(r"[\w*][\w.*-]*(/[\w.*-]+)*/?", word) or word in NOT_IN_THE_TREE:
            continue
        first, slash, _ = word.partition("/")
        if word in layers or (slash and first in TOP) or word.rpartition(".")[2] in SUFFIXES:
            yield word


@each_page
def test_every_path_exists(page: Path) -> None:
    for path in paths(page):
        if path == "ssgi-gateway.toml":  # users have one
            continue
        places = (ROOT, PACKAGE, page.parent)
        assert any(any(place.glob(path.rstrip("/"))) for place in places), f"{page.name} names {path}"


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        there = page.parent / file if file else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(there), f"{page.name} links to {target}"


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get on the common hosts."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# -- modules and names ---------------------------------------------------------------------------------------------


def modules() -> Iterator[Path]:
    for path in PACKAGE.rglob("*.py"):
        if "_compiled" not in path.parts:
            yield path


def test_architecture_lists_every_module_and_no_other() -> None:
    listed = re.findall(r"^\| (`[^|]+`) \|", text(ARCHITECTURE).partition("## Modules")[2], re.MULTILINE)
    names = [name for cell in listed for name in re.findall(r"`([^`]+\.py)`", cell)]
    assert len(set(names)) == len(names)
    there = {path.relative_to(PACKAGE).as_posix() for path in modules()}
    there -= {name for name in there if name.endswith("/__init__.py")}
    assert there - set(names) == set(), "ARCHITECTURE.md has no row for these modules"
    assert set(names) - there == set(), "ARCHITECTURE.md has rows for modules that are gone"


def test_architecture_marks_which_modules_are_compiled() -> None:
    hot = {name.replace(".", "/") for name in HOT}
    said = dict(re.findall(r"^\| `([\w/]+)\.py` \| (yes|twin|) ?\| [^|]+\|$", text(ARCHITECTURE), re.MULTILINE))
    marked = {name for name, kind in said.items() if kind}
    assert hot - marked == set(), "ARCHITECTURE.md does not say that these are hot (yes, or twin)"
    assert marked - hot == set(), "ARCHITECTURE.md says that these are hot"
    twins = {path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.pyx")}
    assert {name for name, kind in said.items() if kind == "twin"} == twins, "ARCHITECTURE.md: twin"


@cache
def members() -> dict[str, set[str]]:
    """Every class of the package, with what it defines, its bases' members included."""
    classes: dict[str, set[str]] = {}
    bases: dict[str, set[str]] = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                named = {item.name for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}
                for item in ast.walk(node):
                    if isinstance(item, ast.AnnAssign | ast.Assign):
                        for target in item.targets if isinstance(item, ast.Assign) else [item.target]:
                            named.add(target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", ""))
                classes.setdefault(node.name, set()).update(named)
                bases.setdefault(node.name, set()).update(base.id for base in node.bases if isinstance(base, ast.Name))
    for name, above in bases.items():
        for base in above & classes.keys():
            classes[name] |= classes[base]
    return classes


@pytest.mark.parametrize("page", [ARCHITECTURE, ROOT / "docs" / "wire.md"], ids=lambda page: page.name)
def test_every_method_that_is_named_exists(page: Path) -> None:
    found = 0
    for name, member in re.findall(r"`([A-Z]\w+)\.(\w+)`", prose(page)):
        if name in members():
            found += 1
            assert member in members()[name], f"{name}.{member}"
    assert found or page is not ARCHITECTURE


@each_page
def test_every_test_that_is_named_exists(page: Path) -> None:
    known = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        known.add(path.stem)
        known.update(re.findall(r"def (test_\w+)", path.read_text()))
    for name in re.findall(r"`(test_\w+\*?)`", prose(page)):
        if not name.endswith("..."):
            wanted = name.rstrip("*")
            there = any(test.startswith(wanted) for test in known) if name.endswith("*") else wanted in known
            assert there, f"{page.name} names {name}"


def test_the_wire_page_names_a_test_for_each_row() -> None:
    page = text(ROOT / "docs" / "wire.md")
    rows = re.findall(r"^\|.*\|$", page.partition("## Variables")[2].partition("## Limits")[0], re.MULTILINE)
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    facts = [row for row in cells if len(row) == 4 and row[0] != "fact" and not row[0].startswith("---")]
    assert [row[0] for row in facts if "`test_" not in row[3]] == []


# -- commands and settings -----------------------------------------------------------------------------------------


@each_page
def test_every_make_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    shown = [line for block in blocks(page, "sh") for line in block.splitlines()]
    for line in [*shown, *quoted(page)]:
        for target in re.findall(r"^make ([a-z-]+)", line):
            assert target in targets, f"{page.name}: make {target}"


@each_page
def test_every_option_exists(page: Path) -> None:
    flags = {option.flag for option in options()} | {"--config", "--help", "--version"}
    flags |= {option.flag.replace("--", "--no-", 1) for option in options() if option.kind is bool}
    others = {"--check", "--editable", "--inplace"}  # of pip, setup.py and our scripts
    others |= {"--json", "--nginx", "--open", "--pid", "--watch", "--worker"}  # of other commands
    others |= {
        "--build",
        "--bundle",
        "--format",
        "--outfile",
        "--build-arg",
        "--detach",
        "--scale",
        "--wait",
    }  # of docker compose
    others |= {"--lang", "--class"}  # of `rpc generate`
    others |= {"--application"}  # of `import`
    others |= {"--pyargs", *option_names()}  # pytest's; those of `call`
    others |= {name for made in (config.parser(), doctor.parser_of_options()) for name in made._option_string_actions}
    for word in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text(page)):
        assert word in flags | others, f"{page.name}: {word}"


def written(page: Path) -> Iterator[list[str]]:
    """The words of commands and options, as a page has them."""
    for line in quoted(page):
        if line.startswith(("--", "ssgi-gateway serve")):
            yield line.split()
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if "ssgi-gateway serve" in line:
                yield line.partition("#")[0].split()


def test_values_of_options_that_are_shown_can_be_used() -> None:
    known = {option.flag: option for option in options()}
    used = 0
    for words in [words for page in WRITTEN for words in written(page)]:
        for flag, value in pairwise([*words, "--"]):
            option = known.get(flag.rstrip(","))
            if option is None or option.kind is bool or re.match(r"--|[A-Z]|\$|[(;|>]|$", value):
                continue  # none is shown, or one like FILE
            convert(value.strip("\"',;"), option.kind, option.metadata)
            used += 1
    assert used > 50


def test_settings_in_files_that_are_shown_are_read(tmp_path: Path) -> None:
    shown = 0
    for page in WRITTEN:
        for block in blocks(page, "toml"):
            project = "[tool." in block
            if project and "[tool.ssgi-gateway" not in block:
                continue
            path = tmp_path / ("pyproject.toml" if project else "ssgi-gateway.toml")
            path.write_text(block)
            combine(from_file(str(path)))
            shown += 1
    assert shown >= 2


def test_the_page_of_other_servers_names_settings_and_not_what_other_commands_have() -> None:
    page = ROOT / "docs" / "coming-from.md"
    flags = {option.flag for option in options()}
    # --output and --application are import's, --watch is dev's; each stands beside its command.
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text(page))) - {"--output", "--application", "--watch"}
    assert len(named) > 40
    assert named - flags == set()
    commands = set(re.findall(r"`ssgi-gateway ([a-z]+)", text(page)))
    assert commands <= set(COMMANDS)


@each_page
def test_every_variable_exists(page: Path) -> None:
    variables = {option.variable for option in options()}
    variables |= {"SSGI_CONFIG", "SSGI_GATEWAY_PURE", "SSGI_GATEWAY_COMPILED"}
    for word in re.findall(r"\bSSGI_[A-Z_]*[A-Z]\b", text(page)):
        assert word in variables, f"{page.name}: {word}"


@each_page
def test_what_pip_installs_exists(page: Path) -> None:
    project = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]
    for extras in re.findall(r"(?:ssgi-gateway|\.)\[([\w,]+)\]", text(page)):
        assert set(extras.split(",")) <= project["optional-dependencies"].keys()


def test_the_licence_paragraph_is_true() -> None:
    importing = {
        path.relative_to(ROOT).as_posix()
        for path in [*modules(), *PACKAGE.rglob("*.pyx")]
        if re.search(r"^\s*(from|import|cimport) sioscgi", path.read_text(), re.MULTILINE)
    }
    assert importing == {"ssgi_gateway/wire/scgi/codec.py"}
    assert "`ssgi_gateway/wire/scgi/codec.py`" in text(README).partition("## Licence")[2]


# -- code ----------------------------------------------------------------------------------------------------------

PYTHON = [pytest.param(code, id=f"{page.name}-{n}") for page in PAGES for n, code in enumerate(blocks(page, "python"))]


@pytest.mark.parametrize("code", PYTHON)
def test_python_that_is_shown_runs_and_its_applications_can_be_served(code: str) -> None:
    names: dict[str, object] = {"__name__": "shown"}
    exec(compile(code, "shown", "exec"), names)
    if "app" in names:
        served = resolve(names["app"])
        assert served.http is not None or served.websocket is not None


@pytest.mark.parametrize("kind", [ssgi.SSGIHttpResponse, ssgi.SSGIWebSocket, ssgi.SSGIFramework])
def test_the_interface_page_has_every_member(kind: type) -> None:
    page = text(ROOT / "docs" / "ssgi.md")
    section = page.partition(f"\n## {kind.__name__}\n")[2].partition("\n## ")[0]
    for name in vars(kind):
        if not name.startswith("_"):
            assert re.search(rf"`{name}[(`]", section), f"{kind.__name__}.{name}"


NGINX = [pytest.param(code, id=f"{page.name}-{n}") for page in PAGES for n, code in enumerate(blocks(page, "nginx"))]
UPSTREAM = "upstream gateway { server 127.0.0.1:4001; }"  # of the block before, in docs/nginx.md


@pytest.mark.nginx
@pytest.mark.parametrize("code", NGINX)
def test_nginx_accepts_what_is_shown(code: str, tmp_path: Path) -> None:
    (tmp_path / "ssgi").symlink_to(DEPLOY)
    for name in ("scgi_params", "fastcgi_params"):
        (tmp_path / name).symlink_to(stock_file(name))
    http, server = (code, "") if code.startswith("upstream") else (UPSTREAM, f"server {{ listen 127.0.0.1:1; {code} }}")
    (tmp_path / "nginx.conf").write_text(main_configuration(http, server))
    assert "[warn]" not in check_configuration(tmp_path, tmp_path / "nginx.conf")
