"""uWSGI's configuration in ini, XML, YAML or JSON, and its command line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from ssgi_gateway.errors import ConfigurationError

from .rules import Imported, Rule, Rules, addresses, apply, ignored, listed, number, replaced, seconds, taken

__all__ = ["RULES", "from_options", "read", "read_json", "read_xml", "read_yaml"]

NGINX_FILES: Final = replaced("the web server serves files: ssgi-gateway config nginx --static /URL=DIR")
LOGS: Final = replaced("logs go to standard error, for journald or a file by the shell")
GEVENT: Final = ignored("one event loop serves all connections; an application that waits uses threads or is async")
PROCESSES: Final = ignored("the supervisor keeps the number of workers; ssgi-gateway reload, TTIN and TTOU change it")

RULES: Final[Rules] = {
    "socket": taken("uwsgi", addresses),
    "uwsgi-socket": taken("uwsgi", addresses),
    "fastcgi-socket": taken("fastcgi", addresses),
    "scgi-socket": taken("scgi", addresses),
    "http": taken("http", addresses),
    "http-socket": taken("http", addresses),
    "http11-socket": taken("http", addresses),
    "chdir": taken("chdir"),
    "pythonpath": taken("pythonpath", listed),
    "python-path": taken("pythonpath", listed),
    "pp": taken("pythonpath", listed),
    "processes": taken("workers", number),
    "workers": taken("workers", number),
    "threads": taken("threads", number),
    "uid": taken("user"),
    "gid": taken("group"),
    "umask": taken("umask"),
    "chmod-socket": taken("socket-mode", lambda text: text or "666"),
    "chown-socket": taken("socket-owner"),
    "pidfile": taken("pid-file"),
    "listen": taken("backlog", number),
    "max-requests": taken("worker.max-requests", number),
    "reload-on-rss": taken("worker.max-memory", lambda text: number(text) << 20),
    "max-worker-lifetime": taken("worker.max-age", seconds),
    "worker-reload-mercy": taken("deadlines.drain", seconds),
    "reload-mercy": taken("deadlines.drain", seconds),
    "limit-post": taken("max-body-size", number),
    "buffer-size": taken("limits.max-head-size", number),
    "harakiri": taken("request-timeout", seconds),
    "max-vars": taken("limits.max-variables", number),
    "websockets-max-size": taken("websockets.max-message-size", lambda text: number(text) << 10),
    "websocket-max-size": taken("websockets.max-message-size", lambda text: number(text) << 10),
    "websockets-ping-freq": taken("websockets.ping-interval", seconds),
    "websocket-ping-freq": taken("websockets.ping-interval", seconds),
    "websockets-pong-tolerance": taken("websockets.ping-timeout", seconds),
    "websocket-pong-tolerance": taken("websockets.ping-timeout", seconds),
    "socket-timeout": replaced("deadlines for each wait: deadlines.head, body, write, idle"),
    "virtualenv": replaced("start the ssgi-gateway that is installed in this virtual environment"),
    "home": replaced("start the ssgi-gateway that is installed in this virtual environment"),
    "venv": replaced("start the ssgi-gateway that is installed in this virtual environment"),
    "master": replaced("the supervisor is always there (workers = 0 is without)"),
    "lazy-apps": replaced("workers load the application themselves unless preload = true"),
    "lazy": replaced("workers load the application themselves unless preload = true"),
    "enable-threads": replaced("threads are always possible"),
    "die-on-term": replaced("SIGTERM always ends the server"),
    "vacuum": replaced("sockets are removed at the end"),
    "need-app": replaced("a start without an application fails"),
    "single-interpreter": replaced("there is one interpreter for each worker"),
    "thunder-lock": replaced("EPOLLEXCLUSIVE: one connection wakes one worker"),
    "touch-reload": replaced("ssgi-gateway reload, or ssgi-gateway dev while developing"),
    "py-autoreload": replaced("ssgi-gateway dev"),
    "py-auto-reload": replaced("ssgi-gateway dev"),
    "python-autoreload": replaced("ssgi-gateway dev"),
    "manage-script-name": replaced("SCRIPT_NAME and PATH_INFO are made of the client's path; root-path sets the mount"),
    "post-buffering": replaced("the web server collects uploads over SCGI and uwsgi; FastCGI streams them"),
    "stats": replaced("status = ADDR: metrics for Prometheus, JSON, and a page"),
    "procname-master": replaced("workers have titles of their own"),
    "procname": replaced("workers have titles of their own"),
    "procname-prefix": replaced("workers have titles of their own"),
    "auto-procname": replaced("workers have titles of their own"),
    "daemonize": replaced("systemd: ssgi-gateway config systemd"),
    "daemonize2": replaced("systemd: ssgi-gateway config systemd"),
    "logto": LOGS,
    "logto2": LOGS,
    "log-master": LOGS,
    "logger": LOGS,
    "logfile": LOGS,
    "logfile-chmod": LOGS,
    "logdate": LOGS,
    "log-date": LOGS,
    "log-5xx": LOGS,
    "log-4xx": LOGS,
    "log-slow": replaced("slow-request logs what takes longer"),
    "log-maxsize": LOGS,
    "log-reopen": LOGS,
    "log-x-forwarded-for": replaced("the web server knows the client's address, and says it with each request"),
    "ignore-sigpipe": replaced("a client that disconnects is no error here"),
    "ignore-write-errors": replaced("a client that disconnects is no error here"),
    "disable-write-exception": replaced("a client that disconnects is no error here"),
    "http-timeout": replaced("deadlines for each wait: deadlines.head, body, write, idle"),
    "http-keepalive": replaced("connections over HTTP are kept: deadlines.keep-alive"),
    "http-auto-chunked": replaced("answers without a length are chunked over HTTP"),
    "http-websockets": replaced("WebSockets are served by the application's own interface"),
    "so-keepalive": ignored("deadlines find connections that are dead"),
    "touch-chain-reload": replaced("ssgi-gateway reload: one worker after the other, each successor first"),
    "touch-workers-reload": replaced("ssgi-gateway reload"),
    "fs-reload": replaced("ssgi-gateway reload"),
    "touch-logreopen": replaced("USR1 begins log files anew"),
    "touch-logrotate": replaced("USR1 begins log files anew"),
    "master-fifo": replaced("signals, ssgi-gateway reload, status and top"),
    "idle": PROCESSES,
    "cheap": PROCESSES,
    "die-on-idle": PROCESSES,
    "chmod": taken("socket-mode", lambda text: text or "666"),
    "pidfile2": taken("pid-file"),
    "envdir": replaced("EnvironmentFile= of the systemd service"),
    "chroot": ignored("RootDirectory= of the systemd service"),
    "cgroup": ignored("MemoryMax= and CPUQuota= of the systemd service"),
    "namespace": ignored("PrivateTmp= and its kind of the systemd service"),
    "unshare": ignored("PrivateTmp= and its kind of the systemd service"),
    "cpu-affinity": ignored("CPUAffinity= of the systemd service"),
    "prio": ignored("Nice= of the systemd service"),
    "limit-as": ignored("LimitAS= of the systemd service"),
    "limit-nproc": ignored("LimitNPROC= of the systemd service"),
    "no-initgroups": ignored("supplementary groups are always those of the user"),
    "ksm": taken("merge-memory", lambda text: True),
    "no-defer-accept": ignored("connections are accepted as they come"),
    "tcp-nodelay": replaced("always"),
    "logformat": replaced("access-log, in the combined format or as JSON"),
    "so-send-timeout": replaced("deadlines.write"),
    "wsgi-disable-file-wrapper": ignored("wsgi.file_wrapper is always there"),
    "paste": ignored("a factory of your own loads it: module:factory()"),
    "ini-paste": ignored("a factory of your own loads it: module:factory()"),
    "ini-paste-logged": ignored("a factory of your own loads it: module:factory()"),
    "https": replaced("the web server does TLS: ssgi-gateway config nginx --tls CERT,KEY"),
    "https-socket": replaced("the web server does TLS: ssgi-gateway config nginx --tls CERT,KEY"),
    "http-to": ignored("the web server"),
    "http-processes": ignored("the web server"),
    "enable-proxy-protocol": ignored("the web server says whose request it is"),
    "http-enable-proxy-protocol": ignored("the web server says whose request it is"),
    "enable-metrics": replaced("status = ADDR: metrics for Prometheus, JSON, and a page"),
    "del-header": ignored("the web server's"),
    "rem-header": ignored("the web server's"),
    "py-tracebacker": replaced("ssgi-gateway stacks shows what threads and tasks are doing"),
    "py-call-osafterfork": replaced("workers are forked as Python's own os.fork does it"),
    "evil-reload-on-rss": replaced("worker.max-memory"),
    "hook-master-start": ignored("ExecStartPre= of the systemd service"),
    "exec-asap": ignored("ExecStartPre= of the systemd service"),
    "hook-asap": ignored("ExecStartPre= of the systemd service"),
    "exec-pre-app": ignored("ExecStartPre= of the systemd service"),
    "max-fd": ignored("LimitNOFILE= of the systemd service"),
    "reload-on-as": ignored("worker.max-memory counts what is in use, not addresses"),
    "min-worker-lifetime": ignored("a worker that fails at once is started again later and later"),
    "max-requests-delta": replaced("max-requests has a jitter of its own, so that no two workers go at once"),
    "harakiri-verbose": replaced("a request that is stopped is logged with its stack"),
    "add-header": ignored("the web server's: add_header of nginx"),
    "uwsgi-file": ignored("write the application as module:attribute"),
    "static-expires": NGINX_FILES,
    "static-gzip-all": NGINX_FILES,
    "static-safe": NGINX_FILES,
    "reuse-port": ignored("workers share one listener"),
    "abstract-socket": ignored("web servers cannot connect to abstract sockets: write a path"),
    "safe-pidfile": replaced("pid-file"),
    "import": ignored("import it in the application's module"),
    "python-import": ignored("import it in the application's module"),
    "pyargv": ignored("arguments of a factory: module:factory('a')"),
    "disable-logging": replaced("requests are not logged unless access-log is given: the web server does"),
    "log-format": replaced("access-log, in the combined format or as JSON"),
    "static-map": NGINX_FILES,
    "check-static": NGINX_FILES,
    "static-index": NGINX_FILES,
    "offload-threads": NGINX_FILES,
    "cheaper": PROCESSES,
    "cheaper-initial": PROCESSES,
    "cheaper-step": PROCESSES,
    "cheaper-algo": PROCESSES,
    "gevent": GEVENT,
    "async": GEVENT,
    "greenlet": GEVENT,
    "asyncio": GEVENT,
    "plugins": ignored("nothing has to be loaded"),
    "plugin": ignored("nothing has to be loaded"),
    "strict": ignored("unknown settings are always errors"),
    "no-orphans": ignored("workers end when the supervisor does"),
    "memory-report": replaced("status = ADDR shows the memory of each worker"),
    "cron": ignored("a timer of systemd, or cron(8)"),
    "spooler": ignored("a queue of tasks of its own: Celery, RQ, Dramatiq"),
    "mule": ignored("a service of its own"),
    "attach-daemon": ignored("a service of its own"),
    "cache2": ignored("Redis or memcached"),
    "emperor": ignored("a systemd service for each application: deploy/systemd has a template"),
    "route": ignored("the web server's rewriting"),
    "mount": ignored("one gateway for each application, each in a location of its own"),
    "ini": ignored("include files are not followed: import them one by one"),
}
"""What each of uWSGI's options is here."""


FAMILIES: Final = {
    "static-": NGINX_FILES,
    "log-": LOGS,
    "req-log": LOGS,
    "cheaper-": PROCESSES,
    "procname": replaced("workers have titles of their own"),
    "route-": ignored("the web server's rewriting"),
    "final-route": ignored("the web server's rewriting"),
    "error-route": ignored("the web server's rewriting"),
    "response-route": ignored("the web server's rewriting"),
    "spooler-": ignored("a queue of tasks of its own: Celery, RQ, Dramatiq"),
    "mule": ignored("a service of its own"),
    "attach-": ignored("a service of its own"),
    "smart-attach": ignored("a service of its own"),
    "cache": ignored("Redis or memcached"),
    "sharedarea": ignored("Redis or memcached"),
    "vassal": ignored("a systemd service for each application: deploy/systemd has a template"),
    "emperor": ignored("a systemd service for each application: deploy/systemd has a template"),
    "zerg": ignored("ssgi-gateway reload starts the new before the old ends"),
    "hook-": ignored("ExecStartPre= and ExecStopPost= of the systemd service"),
    "exec-": ignored("ExecStartPre= and ExecStopPost= of the systemd service"),
    "stats-": replaced("status = ADDR: metrics for Prometheus, JSON, and a page"),
    "carbon": replaced("status = ADDR: metrics for Prometheus, JSON, and a page"),
    "php": ignored("another language's"),
    "psgi": ignored("another language's"),
    "rack": ignored("another language's"),
    "ring-": ignored("another language's"),
    "jvm-": ignored("another language's"),
    "pypy-": ignored("the Python that ssgi-gateway is installed in is the one that runs"),
    "map-socket": ignored("every worker accepts on every socket"),
    "legion": ignored("a cluster's manager"),
    "subscri": ignored("the web server's upstreams"),
    "fastrouter": ignored("the web server"),
    "rawrouter": ignored("the web server"),
    "sslrouter": ignored("the web server"),
    "alarm": ignored("alerts on metrics: deploy/prometheus"),
    "ssl-": replaced("the web server does TLS: ssgi-gateway config nginx --tls CERT,KEY"),
    "sni": replaced("the web server does TLS: ssgi-gateway config nginx --tls CERT,KEY"),
    "snmp": replaced("status = ADDR: metrics for Prometheus, JSON, and a page"),
    "metric": replaced("status = ADDR: metrics for Prometheus, JSON, and a page"),
    "wait-for-": ignored("After= and Requires= of the systemd service"),
    "signal": ignored("a queue of tasks of its own: Celery, RQ, Dramatiq"),
    "timer": ignored("a timer of systemd, or cron(8)"),
    "rbtimer": ignored("a timer of systemd, or cron(8)"),
    "unique-cron": ignored("a timer of systemd, or cron(8)"),
    "gevent-": GEVENT,
    "ugreen": GEVENT,
    "show-config": replaced("ssgi-gateway check prints what is set"),
}
"""What options are whose names begin so, where ``RULES`` has nothing of the whole name."""

_PLACEHOLDER: Final = re.compile(r"%\(|\$\(|%[a-zA-Z]")
_NAMED: Final = re.compile(r"%\(([\w.-]+)\)")
_CONDITIONS: Final = re.compile(r"(if|else|end|for)([a-z-]|$)")
_INLINE: Final = re.compile(r"^(\S+)\s+[#;]\s.*$")
"""A value of one word with a remark behind it. uWSGI has no such remarks, but reads a number up to the first space."""


def read(text: str) -> Imported:
    """Understand an ini file.

    Raises:
        ConfigurationError: it has no section ``[uwsgi]``.
    """
    options: list[tuple[str, str]] = []
    section = ""
    for line in text.splitlines():
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == "uwsgi":
            name, _, value = line.partition("=")
            options.append((name.strip(), _INLINE.sub(r"\1", value.strip())))
    if not options:
        raise ConfigurationError("there is no section [uwsgi] in it")
    return from_options(options)


def read_xml(text: str) -> Imported:
    """Understand ``<uwsgi><socket>...</socket><master/></uwsgi>``.

    Raises:
        ConfigurationError: it is no XML, or something else's.
    """
    from xml.etree import ElementTree as ET

    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise ConfigurationError(f"it is no XML: {error}") from None
    found = root if root.tag == "uwsgi" else root.find(".//uwsgi")
    if found is None:
        raise ConfigurationError("there is no element <uwsgi> in it")
    return from_options([(element.tag, (element.text or "").strip()) for element in found])


def read_yaml(text: str) -> Imported:
    """Understand ``uwsgi:`` and the lines below it. uWSGI's own reader knows as little of YAML.

    Raises:
        ConfigurationError: there is no ``uwsgi:``.
    """
    options: list[tuple[str, str]] = []
    inside, name = False, ""
    for line in text.splitlines():
        bare = line.split(" #")[0].strip()
        if not bare or bare.startswith("#"):
            continue
        if not line[0].isspace() and not bare.startswith("-"):
            inside = bare == "uwsgi:"
        elif inside and bare.startswith("- "):
            options.append((name, bare[2:].strip().strip("\"'")))
        elif inside:
            name, _, value = (part.strip() for part in bare.partition(":"))
            if value:
                options.append((name, value.strip("\"'")))
    if not options:
        raise ConfigurationError("there is no 'uwsgi:' with options below it")
    return from_options(options)


def read_json(table: dict[str, Any]) -> Imported:
    """Understand what is in ``"uwsgi"`` of a JSON file; several values are a list."""

    def options() -> Iterator[tuple[str, str]]:
        for name, value in table.items():
            for one in value if isinstance(value, list) else [value]:
                yield name, json.dumps(one) if isinstance(one, bool | int | float) else str(one)

    return from_options(list(options()))


def _expand(options: list[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Names, values, and what was written. ``%(name)`` stands for a value that was given before."""
    known: dict[str, str] = {}
    for name, value in options:
        expanded = _NAMED.sub(lambda found: known.get(found[1], found[0]), value)
        known[name] = expanded
        yield name, expanded, f"{name} = {value}" if value else name


def _rule(name: str) -> Rule | None:
    """What an option is, by its name or by its family."""
    return RULES.get(name) or next((rule for begin, rule in FAMILIES.items() if name.startswith(begin)), None)


def from_options(options: list[tuple[str, str]]) -> Imported:
    """Understand options in their order; ``%(name)`` and ``$(NAME)`` are placeholders of uWSGI's."""
    imported = Imported()
    module, attribute = "", ""
    own = {name for _, value in options for name in _NAMED.findall(value)}
    for name, value, option in _expand(options):
        rule = _rule(name)
        if name in ("module", "wsgi", "wsgi-file", "file", "callable") and _PLACEHOLDER.search(value):
            imported.note(option, "no counterpart", "it holds a placeholder: write its value")
        elif name in ("module", "wsgi", "wsgi-file", "file"):
            module = value
            imported.note(option, "taken", "app")
        elif name == "callable":
            attribute = value
            imported.note(option, "taken", "app")
        elif name == "env":
            key, _, text = value.partition("=")
            imported.environment[key] = text
            imported.note(option, "replaced", "Environment= of the systemd service")
        elif _CONDITIONS.match(name) or name in ("print", "set"):
            imported.note(
                option, "no counterpart", "a template's line: settings have no conditions; the environment can"
            )
        elif rule is None and name in own:
            imported.note(option, "replaced", "a name of its own, whose value was put where it is named")
        elif rule and rule.takes == "workers" and value == "%k":  # as many as there are cores
            imported.take(option, "workers", "auto")
        elif rule and rule.takes and _PLACEHOLDER.search(value):
            imported.note(option, "no counterpart", "it holds a placeholder: write its value")
        elif name in ("master", "vacuum") or value.lower() not in ("false", "0", "off"):
            apply(imported, {name: rule} if rule else {}, name, option, value)
        else:
            imported.note(option, "replaced", "it is off, and so it is here")
    if module:
        imported.settings["app"] = application(module, attribute)
    return imported


def application(module: str, attribute: str = "") -> str:
    """The ``module:attribute`` of uWSGI's ``module``, ``wsgi-file`` and ``callable``."""
    name, colon, inside = module.partition(":")
    name = name.removesuffix(".py").strip("./").replace("/", ".")
    return f"{name}:{inside if colon else attribute or 'application'}"
