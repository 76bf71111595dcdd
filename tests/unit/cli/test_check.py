"""``ssgi-gateway check``: what was given and where, what would be served, what is wrong."""

from __future__ import annotations

import pytest

from tests.unit.cli.test_main import project, run  # noqa: F401 - a fixture


@pytest.fixture
def site(project):  # noqa: F811
    (project / "pyproject.toml").write_text(
        '[tool.ssgi-gateway]\napp = "sample:app"\nscgi = "./a.sock"\nworkers = "auto"\n\n'
        '[tool.ssgi-gateway.worker]\nmax_memory = "300m"\n'
    )
    return project


def test_every_setting_with_its_origin_and_what_would_listen(site):
    done = run(site, "check", "--backlog", "100", SSGI_STRICT="1", SSGI_WORKERS="")
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines()]
    assert ["app", "sample:app", "from", "./pyproject.toml:", "tool.ssgi-gateway:", "app"] in words
    assert ["backlog", "100", "from", "--backlog"] in words
    assert ["strict", "yes", "from", "SSGI_STRICT"] in words
    assert any(line[:2] == ["worker_max_memory", "300m"] for line in words)
    assert "the application was imported; it serves HTTP and WebSockets" in done.stdout
    assert f"  scgi on unix:{site}/a.sock" in done.stdout
    assert not (site / "a.sock").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workres = 2", "tool.ssgi-gateway: workres is not a setting; did you mean workers"),
        ('app = "sample:ap"\nscgi = "./a"', "has no attribute 'ap'; did you mean app"),
        ('app = "sample:app"', "nowhere to listen"),
        ('app = "sample:app"\nscgi = "./a"\nuser = "nobody-at-all"', "--user: there is no user 'nobody-at-all'"),
    ],
)
def test_what_is_wrong_is_printed_and_the_status_is_2(site, text, said):
    (site / "pyproject.toml").write_text(f"[tool.ssgi-gateway]\n{text}\n")
    done = run(site, "check")
    assert done.returncode == 2
    assert said in done.stderr


def test_a_file_of_its_own_comes_before_the_projects(site):
    (site / "ssgi-gateway.toml").write_text('app = "sample:app"\nscgi = "./own"\n')
    done = run(site, "check")
    assert f"scgi on unix:{site}/own" in done.stdout
    assert "read: ./ssgi-gateway.toml" in done.stdout


def test_a_file_that_is_named_is_the_only_one(site):
    (site / "other.toml").write_text('app = "sample:app"\nfastcgi = "./other"\n')
    done = run(site, "check", "--config", "other.toml")
    assert f"  fastcgi on unix:{site}/other" in done.stdout
    assert "scgi on" not in done.stdout.replace("fastcgi", "")


def test_the_directory_of_the_application_is_where_it_is_looked_for(site):
    (site / "inner").mkdir()
    (site / "inner" / "sample.py").write_text((site / "sample.py").read_text())
    (site / "inner" / "ssgi-gateway.toml").write_text('app = "sample:app"\nscgi = "./inner.sock"\n')
    done = run(site, "check", "--chdir", "inner")
    assert f"scgi on unix:{site}/inner/inner.sock" in done.stdout


def test_a_project_without_our_table_is_none_of_ours(project):  # noqa: F811
    (project / "pyproject.toml").write_text("this is no TOML, and nobody looks")
    assert run(project, "check", "sample:app", "--scgi", "./a").returncode == 0


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        (("--status", ":0"), 0, "  status page on :0"),
        (("--status", "8000"), 2, "ssgi-gateway: --status: '8000' is not an address; write :8000"),
        (("--status", ":0", "--no-metrics"), 2, "ssgi-gateway: --status shows what --metrics counts"),
        (
            ("--scgi", "unix:none/s"),
            0,
            "--scgi unix:{site}/none/s: there is no directory {site}/none; it has",
        ),
        (
            ("--access-log", "none/log"),
            0,
            "--access-log none/log: there is no directory {site}/none; it has",
        ),
        (("--pid-file", "none/pid"), 0, "--pid-file none/pid: there is no directory {site}/none; it has"),
    ],
    ids=["status", "wrong status", "status of nothing", "socket", "access log", "pid file"],
)
def test_what_else_a_start_needs(site, words, status, line):
    done = run(site, "check", *words)
    assert done.returncode == status
    assert any(each.startswith(line.format(site=site)) for each in (done.stdout + done.stderr).splitlines())
