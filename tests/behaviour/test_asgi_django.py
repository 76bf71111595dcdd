"""Django over ASGI, on every route: the admin with its login and CSRF, files, clients that disconnect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.behaviour.asgi_site import app_site
from tests.behaviour.forms import Browser
from tests.harness import Endpoint, Site

pytestmark = pytest.mark.nginx


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The Django project behind nginx."""
    with app_site("django", request.config, tmp_path_factory) as running:
        yield running


LOGIN = {"username": "admin", "password": "a password", "next": "/admin/"}


def test_the_admin_requires_a_login(http: Endpoint) -> None:
    answer = http.get("/admin/")
    assert (answer.status, answer.header("location")) == (302, "/admin/login/?next=/admin/")


def test_login_to_the_admin(http: Endpoint) -> None:
    browser = Browser(http)
    answer = browser.post("/admin/login/", LOGIN)
    assert (answer.status, answer.header("location")) == (302, "/admin/")
    assert "sessionid" in browser.cookies
    page = browser.get("/admin/auth/user/")
    assert page.status == 200
    assert "1 user" in page.text


def test_a_wrong_password(http: Endpoint) -> None:
    answer = Browser(http).post("/admin/login/", {**LOGIN, "password": "wrong"})
    assert answer.status == 200
    assert "Please enter the correct username and password" in answer.text


def test_csrf_is_refused(http: Endpoint) -> None:
    browser = Browser(http)
    browser.get("/admin/login/")
    assert browser.post("/admin/login/", LOGIN, token=False).status == 403


def test_csrf_with_an_origin_that_is_the_sites_own(http: Endpoint) -> None:
    # Django compares Origin with scheme and host: they have to come through the web server right.
    if http.route.stock:
        pytest.skip("stock parameters lose the port of the host")
    host, port = http.address
    browser = Browser(http)
    form = browser.get("/admin/login/").text
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    assert found
    body = urlencode({"csrfmiddlewaretoken": found[1], **LOGIN}).encode()
    cookie = f"csrftoken={browser.cookies['csrftoken']}"
    statuses = [
        http.request(
            "POST",
            "/admin/login/",
            [("Content-Type", "application/x-www-form-urlencoded"), ("Cookie", cookie), ("Origin", origin)],
            body,
        ).status
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
    location = answer.header("location") or ""
    number = re.search(r"/(\d+)/", location)
    assert number, location
    assert name in browser.get("/admin/auth/user/").text
    answer = browser.post(f"/admin/auth/user/{number[1]}/delete/", {"post": "yes"})
    assert answer.status == 302
    assert f">{name}<" not in browser.get("/admin/auth/user/").text


def test_a_file_is_sent(http: Endpoint) -> None:
    answer = http.get("/file")
    assert answer.status == 200
    assert b"from django.contrib.admin" in answer.body
    assert (answer.header("content-disposition") or "").startswith("attachment")


def test_a_view_is_cancelled_when_its_client_disconnects(http: Endpoint, key: str) -> None:
    with http.connection() as connection:
        connection.send_head("GET", f"/wait?key={key}")
        http.wait_for_record(key, "started")
        left = http.now()
    assert http.aborted_after(key, left, "cancelled") < 2
