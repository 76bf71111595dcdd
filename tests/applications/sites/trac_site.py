"""Trac, with one ticket; everybody may do everything."""

import os

from trac.env import Environment
from trac.perm import PermissionSystem
from trac.ticket.model import Ticket
from trac.web.main import dispatch_request

folder = os.path.join(os.environ["APP_FOLDER"], f"trac{os.getpid()}")
options = [
    ("trac", "database", "sqlite:db/trac.db"),
    ("logging", "log_type", "stderr"),
    ("logging", "log_level", "ERROR"),
]
environment = Environment(folder, create=True, options=options)
PermissionSystem(environment).grant_permission("anonymous", "TRAC_ADMIN")
ticket = Ticket(environment)
ticket["summary"] = "the first one"
ticket["status"] = "new"
ticket.insert()
environment.shutdown()


def app(environ, start_response):
    environ["trac.env_path"] = folder
    return dispatch_request(environ, start_response)
