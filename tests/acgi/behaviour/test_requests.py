"""`tests/behaviour/test_requests.py`, through the client."""

from tests.behaviour.test_requests import *  # noqa: F403
