"""Other servers' configurations: every option is taken, replaced, or said to have no counterpart; nothing is lost."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.settings.sources import combine, from_file, options
from ssgi_gateway.tools.importers import gunicorn, servers, services, unit, uwsgi
from ssgi_gateway.tools.importers.command import import_file, main, settings_file
from ssgi_gateway.tools.importers.rules import Imported, address

KNOWN = {".".join(option.path).replace("_", "-") for option in options()}

VALUES = ("1", "30", "info", "/run/x.sock", "user", "yes", "asgi")
"""One of these fits any option."""


def targets(rules):
    """The settings that rules set."""
    for name, rule in rules.items():
        for value in VALUES:
            imported = Imported()
            try:
                rule.act(imported, name, value)
            except ValueError:
                continue
            yield from imported.settings
            break


@pytest.mark.parametrize(
    "rules",
    [uwsgi.RULES, servers.RULES, unit.RULES, unit.SETTINGS, services.SERVICE, services.SUPERVISOR],
)
def test_what_is_taken_is_a_setting_that_exists(rules):
    assert set(targets(rules)) <= KNOWN


def written(tmp_path: Path, name: str, text: str) -> tuple[dict, str]:
    """The settings that a file becomes, which the gateway itself can read, and the whole text."""
    (tmp_path / name).write_text(text)
    made = settings_file(import_file(tmp_path / name), name)
    (tmp_path / "made.toml").write_text(made)
    combine(from_file(str(tmp_path / "made.toml")))
    return tomllib.loads(made), made


UWSGI = """\
[uwsgi]
; a comment
module = mysite.wsgi:application
chdir = /srv/mysite
master = true
processes = 4
threads = 2
socket = /run/mysite.sock
http-socket = :8080
chmod-socket = 660
harakiri = 30
max-requests = 5000
reload-on-rss = 512
limit-post = 10M
env = DJANGO_SETTINGS_MODULE=mysite.settings
static-map = /static=/srv/static
cheaper = 2
logto = /var/log/%n.log
never-heard-of = 7

[other]
socket = /ignored
"""


def test_uwsgi(tmp_path):
    settings, text = written(tmp_path, "uwsgi.ini", UWSGI)
    assert settings == {
        "app": "mysite.wsgi:application",
        "chdir": "/srv/mysite",
        "workers": 4,
        "threads": 2,
        "uwsgi": ["unix:/run/mysite.sock"],
        "http": [":8080"],
        "socket-mode": "660",
        "max-body-size": 10 << 20,
        "request-timeout": 30.0,
        "worker": {"max-requests": 5000, "max-memory": 512 << 20},
    }
    for option in ("harakiri = 30", "static-map", "cheaper = 2", "logto", "never-heard-of = 7"):
        assert option in text
    assert "DJANGO_SETTINGS_MODULE=mysite.settings" in text
    assert "/ignored" not in text


@pytest.mark.parametrize(
    ("module", "attribute", "wanted"),
    [
        ("mysite.wsgi:application", "", "mysite.wsgi:application"),
        ("mysite.wsgi", "", "mysite.wsgi:application"),
        ("mysite.wsgi", "app", "mysite.wsgi:app"),
        ("web/main.py", "app", "web.main:app"),
    ],
)
def test_the_application_of_uwsgi(module, attribute, wanted):
    assert uwsgi.application(module, attribute) == wanted


GUNICORN = """\
import multiprocessing
bind = ["unix:/run/app.sock", "127.0.0.1:8000"]
workers = multiprocessing.cpu_count() * 2 + 1
threads = 4
timeout = 30
graceful_timeout = 20
max_requests = 1000
max_requests_jitter = 50
preload_app = True
loglevel = "INFO"
forwarded_allow_ips = "*"
raw_env = ["A=b"]
secret = 5
backlog = 2 ** 10

def post_fork(server, worker):
    pass
"""


def test_gunicorn(tmp_path):
    settings, text = written(tmp_path, "gunicorn.conf.py", GUNICORN)
    assert settings == {
        "http": ["unix:/run/app.sock", "127.0.0.1:8000"],
        "workers": "auto",
        "threads": 4,
        "preload": True,
        "log-level": "info",
        "deadlines": {"drain": 20.0},
        "worker": {"max-requests": 1000},
    }
    for option in ("timeout = 30", "max_requests_jitter", "forwarded_allow_ips", "def post_fork", "backlog = 2 ** 10"):
        assert option in text
    assert "secret" in text
    assert "A=b" in text


UNIT = """\
{"listeners": {"*:8080": {"pass": "applications/django"}, "127.0.0.1:80": {"pass": "applications/php"}},
 "settings": {"http": {"max_body_size": 1000, "idle_timeout": 60}},
 "applications": {
   "php": {"type": "php"},
   "django": {"type": "python 3.11", "path": ["/srv/a", "/srv/b"], "home": "/srv/venv", "module": "mysite.asgi",
     "protocol": "asgi", "processes": {"max": 8, "spare": 2}, "limits": {"requests": 100, "timeout": 5},
     "user": "www", "environment": {"A": "b"}, "prefix": "/shop/"}}}
"""


def test_unit(tmp_path):
    settings, text = written(tmp_path, "unit.json", UNIT)
    assert settings == {
        "app": "mysite.asgi:application",
        "pythonpath": ["/srv/a", "/srv/b"],
        "interface": "asgi",
        "workers": 8,
        "user": "www",
        "root-path": "/shop",
        "http": [":8080"],
        "max-body-size": 1000,
        "request-timeout": 5.0,
        "worker": {"max-requests": 100},
        "deadlines": {"keep-alive": 60.0},
    }
    assert "limits.timeout" in text
    assert "applications/php" in text


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("gunicorn mysite.wsgi -w 3 -b :80", {"app": "mysite.wsgi:application", "workers": 3, "http": [":80"]}),
        ("uvicorn main:app --host 0.0.0.0 --port 80", {"app": "main:app", "http": ["0.0.0.0:80"]}),
        ("uvicorn main:app --host 0.0.0.0 --port ${PORT}", {"app": "main:app"}),
        ("uvicorn --uds /run/a.sock main:app --proxy-headers", {"app": "main:app", "http": ["unix:/run/a.sock"]}),
        ("A=b exec python -m gunicorn 'app:create()' --preload --log-file -", {"app": "app:create()", "preload": True}),
        ("uwsgi --socket /run/a.sock --module a:app", {"app": "a:app", "uwsgi": ["unix:/run/a.sock"]}),
        ("./manage.py migrate && gunicorn a:app -w4 -b 0.0.0.0:$PORT", {"app": "a:app", "workers": 4}),
        ("gunicorn a:app --workers ${WEB_CONCURRENCY}", {"app": "a:app"}),
        ("daphne chat.asgi:application -b 0.0.0.0 -p 80 -v2", {"app": "chat.asgi:application", "http": ["0.0.0.0:80"]}),
        ("granian --interface asgi main:app --workers 2", {"app": "main:app", "interface": "asgi", "workers": 2}),
    ],
)  # fmt: skip
def test_a_procfile(tmp_path, line, wanted):
    settings, _ = written(tmp_path, "Procfile", f"release: ./migrate\nweb: {line}\n")
    assert settings == wanted


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("uwsgi.ini", "[other]\na = b\n", "no section [uwsgi]"),
        ("gunicorn.conf.py", "bind = (\n", "line 1 is no Python"),
        ("unit.json", "{", "no JSON"),
        ("unit.json", '{"applications": {}}', "there are 0 of Python"),
        ("Procfile", "worker: celery\n", "no line 'web: ...'"),
        ("Procfile", "web: node server.js\n", "starts 'node'"),
        ("x.toml", "", "known by their names"),
        ("uwsgi.yaml", "other:\n  a: b\n", "no 'uwsgi:'"),
        ("uwsgi.xml", "<uwsgi><socket></uwsgi>", "no XML"),
        ("uwsgi.xml", "<zerg/>", "no element <uwsgi>"),
        ("site.service", "[Service]\nType=simple\n", "no [Service] with ExecStart="),
        ("site.service", "[Service]\nExecStart=/usr/bin/node app.js\n", "starts 'node'"),
        ("supervisord.conf", "[supervisord]\n", "there are 0: none"),
        (
            "supervisord.conf",
            "[program:a]\ncommand=gunicorn a:app\n[program:b]\ncommand=uvicorn b:app\n",
            "there are 2: a, b; choose one with --application NAME",
        ),
    ],
)
def test_what_cannot_be_read_is_reported(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        import_file(tmp_path / name)
    assert words in str(raised.value)
    assert name in str(raised.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/run/a.sock", "unix:/run/a.sock"),
        ("unix:///run/a.sock", "unix:/run/a.sock"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
        ("tcp://127.0.0.1:80", "127.0.0.1:80"),
        ("*:8080", ":8080"),
        ("8000", ":8000"),
        (":8000", ":8000"),
        ("fd://3", "fd:3"),
        ("[::1]:80", "[::1]:80"),
    ],
)
def test_addresses(text, wanted):
    assert address(text) == wanted


def test_the_command_writes_a_file_once(tmp_path, capsys):
    (tmp_path / "uwsgi.ini").write_text(UWSGI)
    words = [str(tmp_path / "uwsgi.ini"), "--output", str(tmp_path / "ssgi-gateway.toml")]
    assert main(words) == 0
    assert main(words) == 0
    (tmp_path / "ssgi-gateway.toml").write_text("mine\n")
    with pytest.raises(ConfigurationError, match="differs"):
        main(words)
    assert (tmp_path / "ssgi-gateway.toml").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("line", "settings", "said"),
    [
        ("reload-on-rss = 512 # megabytes", {"worker": {"max-memory": 512 << 20}}, "reload-on-rss = 512\n"),
        ("pidfile = %d/x.pid", {}, "it holds a placeholder"),
        ("logto = %d/x.log", {}, "logs go to standard error"),
        ("if-env = VIRTUAL_ENV", {}, "settings have no conditions"),
        ("route-host = ^www redirect:http://x", {}, "the web server's rewriting"),
        ("lazy-apps = false", {}, "it is off, and so it is here"),
        ("daemonize2 = /var/log/x.log", {}, "config systemd"),
    ],
)
def test_what_configurations_of_uwsgi_hold_besides(tmp_path, line, settings, said):
    found, text = written(tmp_path, "uwsgi.ini", f"[uwsgi]\nmodule = a:app\n{line}\n")
    assert found == {"app": "a:app", **settings}
    assert said in text


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        ('max_requests = int(os.getenv("MAX_REQUESTS", "1000"))', {"worker": {"max-requests": 1000}}),
        ('loglevel = os.environ.get("LEVEL", "INFO")', {"log-level": "info"}),
        ('workers = int(os.environ.get("WEB_CONCURRENCY") or 3)', {"workers": 3}),
        ("workers = multiprocessing.cpu_count() * 2 + 1", {"workers": "auto"}),
        ("backlog = compute()", {}),
    ],
)
def test_what_configurations_of_gunicorn_compute(tmp_path, line, settings):
    found, text = written(tmp_path, "gunicorn.conf.py", f"import os, multiprocessing\n{line}\n")
    assert found == settings
    assert ("it is computed" in text) == ("compute()" in line)


def test_a_procfile_of_another_name(tmp_path):
    settings, _ = written(tmp_path, "Procfile.production", "web: gunicorn a:app\n")
    assert settings == {"app": "a:app"}


# Shapes of configurations that are in use, each as its author might have written it.


def test_names_of_ones_own_in_an_ini_file(tmp_path):
    """Django's cookbooks define the project once and go on from there."""
    found, text = written(
        tmp_path,
        "uwsgi.ini",
        "[uwsgi]\nbase = /srv/shop\napp = shop\nvenv_name = shop-env\nhome = %(base)/%(venv_name)\n"
        "chdir = %(base)/src\nmodule = %(app).wsgi:application\npythonpath = %(chdir)/lib\nprocesses = %k\n"
        "socket = %(base)/run/%n.sock\nuid = $(OWNER)\n",
    )
    assert found == {
        "app": "shop.wsgi:application",
        "chdir": "/srv/shop/src",
        "pythonpath": ["/srv/shop/src/lib"],
        "workers": "auto",
    }
    assert text.count("a name of its own, whose value was put where it is named") == 3
    assert "socket = %(base)/run/%n.sock\n#       it holds a placeholder" in text
    assert "uid = $(OWNER)\n#       it holds a placeholder" in text


def test_a_module_that_is_filled_in_elsewhere(tmp_path):
    found, text = written(tmp_path, "uwsgi.ini", "[uwsgi]\nwsgi-file = %(app)/wsgi.py\nmaster = 1\n")
    assert found == {}
    assert "wsgi-file = %(app)/wsgi.py\n#       it holds a placeholder" in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("req-logger = file:/var/log/requests.log", "logs go to standard error"),
        ("static-expires-uri = ^/img 3600", "the web server serves files"),
        ("cheaper-busyness-max = 80", "the supervisor keeps the number of workers"),
        ("final-route-run = last:", "the web server's rewriting"),
        ("procname-prefix-spaced = [shop]", "workers have titles of their own"),
        ("ifdir = /tmp", "a template's line"),
        ("smart-attach-daemon = /run/x.pid celery", "a service of its own"),
        ("http-socket-modifier1 = 14", "not known to this importer"),
    ],
)
def test_families_of_uwsgis_options(tmp_path, line, said):
    found, text = written(tmp_path, "uwsgi.ini", f"[uwsgi]\nmodule = a:app\n{line}\n")
    assert found == {"app": "a:app"}
    assert f"{line}\n#       {said}" in text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "uwsgi.xml",
            "<uwsgi>\n  <!-- one -->\n  <module>a:app</module><socket>:3031</socket>\n"
            "  <master/><pythonpath>/srv/a</pythonpath><pythonpath>/srv/b</pythonpath>\n</uwsgi>\n",
        ),
        (
            "uwsgi.yaml",
            "# one\nuwsgi:\n  module: a:app\n  socket: ':3031'  # nginx\n  master: true\n"
            "  pythonpath:\n    - /srv/a\n    - /srv/b\nother:\n  socket: /x\n",
        ),
        (
            "uwsgi.json",
            '{"uwsgi": {"module": "a:app", "socket": ":3031", "master": true, "pythonpath": ["/srv/a", "/srv/b"]}}',
        ),
    ],
)
def test_uwsgis_other_formats(tmp_path, name, text):
    found, made = written(tmp_path, name, text)
    assert found == {"app": "a:app", "uwsgi": [":3031"], "pythonpath": ["/srv/a", "/srv/b"]}
    assert "the supervisor is always there" in made


def test_a_configuration_of_gunicorn_that_is_a_program(tmp_path):
    """Containers read their environment, keep values in names, and choose by conditions."""
    found, text = written(
        tmp_path,
        "gunicorn_conf.py",
        '''"""For the container."""
import os
host = os.getenv("HOST", "0.0.0.0")
port = os.environ.get("PORT", "80")
wanted = os.getenv("WORKERS")
if wanted:
    count = int(wanted)
    threads = 8
else:
    count = 2
log = os.getenv("ACCESS_LOG", "-")
keep: str = os.getenv("KEEP_ALIVE", "5")

bind = f"{host}:{port}"
workers = count
accesslog = log or None
keepalive = int(keep)
timeout = 60 * 2
graceful_timeout = 20 + 10
umask = 0o007
pidfile = None
user = os.environ["OWNER"]
dirty_apps = ["a:One", "b:Two"]
brand_new = 1

def helper(x): return x
def when_ready(server): helper(server)
''',
    )
    assert found == {
        "http": ["0.0.0.0:80"],
        "access-log": "-",
        "umask": "007",
        "deadlines": {"keep-alive": 5.0, "drain": 30.0},
    }
    assert "workers = count\n#       it is computed" in text
    assert "threads = 8\n#       it depends on a condition" in text
    assert "pidfile = None\n#       it is unset" in text
    assert "user = os.environ['OWNER']\n#       it is computed" in text
    assert text.count("dirty_apps") == 2
    assert "brand_new = 1\n#       not known to this importer" in text
    assert "def when_ready\n#       hooks of the server" in text
    assert "helper" not in text
    assert "#   log = " not in text, "names of the program's own are no options"


def test_a_value_that_cannot_be_used_costs_its_own_line_only(tmp_path):
    found, text = written(tmp_path, "gunicorn.conf.py", 'bind = ":8000"\nloglevel = "chatty"\nthreads = "many"\n')
    assert found == {"http": [":8000"]}
    assert "loglevel = 'chatty'\n#       its value cannot be used" in text
    assert "threads = 'many'\n#       its value cannot be used" in text


UNIT_ROUTES = """{
    "listeners": {
        "*:8000": {"pass": "routes/main"}, "*:8001": {"pass": "routes/metrics"}, "*:8181": {"pass": "routes/status"}
    },
    "routes": {
        "main": [
            {"match": {"uri": "/static/*"}, "action": {"share": "/srv$uri"}},
            {"action": {"share": "/srv/x", "fallback": {"pass": "applications/shop"}}}
        ],
        "metrics": [{"action": {"pass": "applications/metrics"}}],
        "status": [{"action": {"proxy": "http://unix:/run/control.sock"}}]
    },
    "applications": {
        "shop": {"type": "python 3.12", "module": "shop.asgi", "path": ".", "limits": {"requests": 7500}},
        "metrics": {"type": "python 3.12", "module": "metrics"},
        "blog": {"type": "php", "root": "/srv/blog"}
    }
}"""


def test_a_configuration_of_unit_with_routes_and_several_applications(tmp_path):
    path = tmp_path / "unit.json"
    path.write_text(UNIT_ROUTES)
    with pytest.raises(ConfigurationError, match="2 of Python: shop, metrics; choose one with --application NAME"):
        import_file(path)
    made = settings_file(import_file(path, "shop"), "unit.json")
    assert tomllib.loads(made) == {
        "app": "shop.asgi:application",
        "pythonpath": ["."],
        "http": [":8000"],
        "worker": {"max-requests": 7500},
    }
    assert "listener '*:8001'\n#       it passes to 'routes/metrics', which is not shop" in made
    assert "applications.blog\n#       a gateway of its own" in made


def test_a_service_of_systemd(tmp_path):
    found, text = written(
        tmp_path,
        "shop.service",
        "[Unit]\nAfter=network.target\n\n[Service]\nType=notify\nUser=shop\nWorkingDirectory=/srv/shop\n"
        'Environment="DJANGO_SETTINGS_MODULE=shop.settings" DEBUG=0\n'
        "ExecStart=/srv/shop/venv/bin/gunicorn \\\n    --workers 3 --bind unix:/run/shop.sock \\\n"
        "    shop.wsgi:application\n"
        "ExecReload=/bin/kill -s HUP $MAINPID\nMemoryMax=1G\n\n[Install]\nWantedBy=multi-user.target\n",
    )
    assert found == {
        "app": "shop.wsgi:application",
        "workers": 3,
        "http": ["unix:/run/shop.sock"],
        "chdir": "/srv/shop",
    }
    assert "DEBUG=0" in text
    assert "memorymax=1G\n#       systemd's own: keep it in the service" in text


def test_a_program_of_supervisord(tmp_path):
    text = (
        "[supervisord]\nnodaemon=true\n[program:celery]\ncommand=celery worker\n"
        "[program:shop]\ncommand=/srv/venv/bin/uvicorn shop.main:app --host 0.0.0.0 --port 9000 ; the site\n"
        'directory=/srv/shop\nuser=www\nautorestart=true\nstdout_logfile=/dev/stdout\nenvironment=A="1",B="x, y"\n'
        "numprocs=2\n[program:admin]\ncommand=gunicorn admin:app\n"
    )
    (tmp_path / "supervisord.conf").write_text(text)
    imported = import_file(tmp_path / "supervisord.conf", "shop")
    assert tomllib.loads(settings_file(imported, "supervisord.conf")) == {
        "app": "shop.main:app",
        "http": ["0.0.0.0:9000"],
        "chdir": "/srv/shop",
        "user": "www",
        "workers": 2,
    }
    assert imported.environment == {"A": "1", "B": "x, y"}
    assert {note.option for note in imported.notes} >= {"[program:celery]", "[program:admin]"}


OPTIONS = Path(__file__).parent / "options"
SPECIAL = {"host", "port", "uds", "fd", "env", "raw_env"}
"""Options that are read without a rule."""


def listed(name: str) -> list[str]:
    """A list of what another server has; its first line says which version."""
    return (OPTIONS / f"{name}.txt").read_text().splitlines()[1:]


@pytest.mark.parametrize("name", ["gunicorn", "gunicorn.conf", "uvicorn", "granian"])
def test_every_option_of_a_server_is_known(name):
    options = {line.removesuffix(" !").replace("-", "_") for line in listed(name)}
    assert len(options) > 50
    assert options - servers.RULES.keys() - SPECIAL == set()


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn", "granian"])
def test_an_option_without_a_value_leaves_what_comes_next_alone(server):
    taking = []
    for line in listed(server):
        imported = gunicorn.from_command([server, f"--{line.removesuffix(' !')}", "a:app"])
        if (imported.settings.get("app") == "a:app") != line.endswith(" !"):
            taking.append(line)
    assert taking == []


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("uvicorn --no-server-header --interface asgi3 a:app", {"interface": "asgi"}),
        ("uvicorn a:app --ws-per-message-deflate false --h11-max-incomplete-event-size 32768",
         {"websockets": {"deflate": False}, "limits": {"max-head-size": 32768}}),
        ("granian --ws --interface asginl a:app --working-dir /srv --workers-lifetime 1h30m --workers-max-rss 300 "
         "--blocking-threads 4 --uds-permissions 0o660 --http1-header-read-timeout 5000 --url-path-prefix /shop",
         {"interface": "asgi", "chdir": "/srv", "threads": 4, "socket-mode": "660", "root-path": "/shop",
          "worker": {"max-age": 5400.0, "max-memory": 300 << 20}, "deadlines": {"head": 5.0}}),
        ("gunicorn --spew --keep-alive 5 --asgi-disconnect-grace-period 3 -m 027 a:app",
         {"umask": "027", "deadlines": {"keep-alive": 5.0, "client-left": 3.0}}),
    ],
)  # fmt: skip
def test_what_options_become(tmp_path, line, wanted):
    settings, _ = written(tmp_path, "Procfile", f"web: {line}\n")
    assert settings == {"app": "a:app", **wanted}


def test_variables_of_a_command_line(tmp_path):
    _, text = written(tmp_path, "Procfile", "web: gunicorn -e DJANGO_SETTINGS_MODULE=shop.settings a:app\n")
    assert "DJANGO_SETTINGS_MODULE" in text


PAGE = Path(__file__).parents[4] / "docs" / "coming-from.md"
BESIDE = {"WEB_CONCURRENCY", "uvicorn_worker.UvicornWorker", "eventlet", "asginl", "rsgi", "wsgi"}
"""What the first column has beside options."""


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn", "granian"])
def test_what_the_page_lists_of_a_server_is_an_option_of_its(server):
    known = {line.removesuffix(" !").replace("-", "_") for line in listed(server)}
    if server == "gunicorn":
        known |= set(listed("gunicorn.conf"))
    section = PAGE.read_text().partition(f"\n## {server}\n")[2].partition("\n## ")[0]
    cells = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| ")]
    named = [quoted.split()[0] for cell in cells for quoted in re.findall(r"`([^`]+)`", cell)]
    assert len(named) > 30
    for name in named:
        if name.endswith("*"):
            assert any(option.startswith(name.rstrip("*")) for option in known), name
        else:
            assert name in known | BESIDE, name
