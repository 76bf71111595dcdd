"""Django over WSGI: the admin with its login and CSRF, its static files through nginx, its database, async views."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.behaviour.app_site import serve_app
from tests.behaviour.forms import Browser
from tests.harness import HTTP_ROUTES, Endpoint, Site

pytestmark = pytest.mark.nginx

MODES = {"inline": "0", "threads": "4"}

LOGIN = {"username": "admin", "password": "a password", "next": "/admin/"}


@pytest.fixture(scope="module", params=MODES)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The Django project behind nginx, in both modes."""
    threads = ("--threads", MODES[request.param])
    with serve_app(
        "wsgi.django:app", request.config, tmp_path_factory, *threads, routes=HTTP_ROUTES, needs="django"
    ) as running:
        yield running


def test_login_to_the_admin(http: Endpoint) -> None:
    answer = http.get("/admin/")
    assert (answer.status, answer.header("location")) == (302, "/admin/login/?next=/admin/")
    browser = Browser(http)
    answer = browser.post("/admin/login/", LOGIN)
    assert (answer.status, answer.header("location")) == (302, "/admin/")
    assert "sessionid" in browser.cookies
    page = browser.get("/admin/auth/user/")
    assert page.status == 200
    assert re.search(r"\d+ users?", page.text)


def test_a_wrong_password(http: Endpoint) -> None:
    answer = Browser(http).post("/admin/login/", {**LOGIN, "password": "wrong"})
    assert answer.status == 200
    assert "Please enter the correct username and password" in answer.text


def test_csrf_is_refused(http: Endpoint) -> None:
    browser = Browser(http)
    browser.get("/admin/login/")
    assert browser.post("/admin/login/", LOGIN, token=False).status == 403


def test_csrf_compares_the_origin_with_the_sites_own(http: Endpoint) -> None:
    if http.route.stock:
        pytest.skip("stock parameters lose the port of the host")
    host, port = http.address
    browser = Browser(http)
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get("/admin/login/").text)
    assert found
    body = urlencode({"csrfmiddlewaretoken": found[1], **LOGIN}).encode()
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    cookie = ("Cookie", f"csrftoken={browser.cookies['csrftoken']}")
    statuses = [
        http.request("POST", "/admin/login/", [*form, cookie, ("Origin", origin)], body).status
        for origin in (f"http://{host}:{port}", "http://evil.example")
    ]
    assert statuses == [302, 403]


def test_a_user_is_added_and_deleted(http: Endpoint, key: str) -> None:
    browser = Browser(http)
    browser.post("/admin/login/", LOGIN)
    name = f"user-{key}"[:100]
    fields = {"username": name, "password1": "Xk3-pqrs9", "password2": "Xk3-pqrs9", "usable_password": "true"}
    answer = browser.post("/admin/auth/user/add/", fields)
    assert answer.status == 302, answer.text
    number = re.search(r"/(\d+)/", answer.header("location") or "")
    assert number, answer
    assert name in browser.get("/admin/auth/user/").text
    assert browser.post(f"/admin/auth/user/{number[1]}/delete/", {"post": "yes"}).status == 302
    assert f">{name}<" not in browser.get("/admin/auth/user/").text


def test_the_database_is_used_from_a_sync_view(http: Endpoint) -> None:
    assert http.get("/users").json()["users"] >= 1


def test_an_async_view_has_a_loop_of_its_own(http: Endpoint) -> None:
    assert http.get("/later").json() == {"later": True}


def test_a_file_is_sent(http: Endpoint) -> None:
    answer = http.get("/file")
    assert answer.status == 200
    assert answer.header("content-length") == str(len(answer.body))
    assert b"from django.contrib.admin" in answer.body
    assert (answer.header("content-disposition") or "").startswith("attachment")
