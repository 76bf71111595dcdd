"""``send_file`` behind nginx: by sendfile(2) on every route, or by nginx itself where the settings let it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import HTTP_ROUTES, Site

pytestmark = pytest.mark.nginx

SIZE = 3_000_001
CONTENT = (bytes(range(251)) * (SIZE // 251 + 1))[:SIZE]

ROUTES = [route for route in HTTP_ROUTES if route.nginx]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "files"
    place.mkdir()
    (place / "a file.bin").write_bytes(CONTENT)
    (place / "empty").write_bytes(b"")
    return place


@pytest.mark.parametrize("part", ["", "&offset=5", "&offset=70000&count=65529", "&offset=3000001"])
def test_a_file_or_a_part_of_it_arrives(site_with: Callable[..., Site], folder: Path, part: str) -> None:
    site = site_with(app="tests.apps.files:app")
    wanted = dict(item.split("=") for item in part.split("&") if item)
    begin = int(wanted.get("offset", 0))
    end = begin + int(wanted.get("count", SIZE))
    for route in ROUTES:
        answer = site.through(route).get(f"/?file={folder}/a%20file.bin{part}")
        assert answer.body == CONTENT[begin:end]
        assert answer.header("content-length") == str(len(answer.body))
        assert answer.header("content-type") == "application/x-test"


def test_a_head_request_has_the_length_and_an_empty_file_none(site_with: Callable[..., Site], folder: Path) -> None:
    site = site_with(app="tests.apps.files:app")
    for route in ROUTES:
        head = site.through(route).request("HEAD", f"/?file={folder}/a%20file.bin")
        assert (head.header("content-length"), head.body) == (str(SIZE), b"")
        empty = site.through(route).get(f"/?file={folder}/empty")
        assert (empty.status, empty.body) == (200, b"")


def test_what_is_no_file_or_not_within_it_is_a_500(site_with: Callable[..., Site], folder: Path) -> None:
    site = site_with(app="tests.apps.files:app")
    for route in ROUTES:
        for query in (f"{folder}/missing", f"{folder}", f"{folder}/empty&offset=1", f"{folder}/empty&count=1"):
            assert site.through(route).get(f"/?file={query}").status == 500


def test_the_header_for_apache_and_lighttpd_names_the_file(
    start: Callable[..., object], site_with: Callable[..., Site], folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"not below the root")
    (folder / "link").symlink_to(outside)
    options = ("--file-header", "X-Sendfile", "--file-root", str(folder))
    site = site_with(*options, app="tests.apps.files:app")
    for route in ROUTES:
        answer = site.through(route).get(f"/?file={folder}/a%20file.bin")
        # Percent-encoded: lighttpd and mod_xsendfile decode it.
        assert (answer.header("x-sendfile"), answer.body) == (f"{folder}/a%20file.bin", b"")
        assert site.through(route).get(f"/?file={folder}/link").body == b"not below the root"
        part = site.through(route).get(f"/?file={folder}/a%20file.bin&offset=1&count=9")
        assert (part.header("x-sendfile"), part.body) == (None, CONTENT[1:10])
