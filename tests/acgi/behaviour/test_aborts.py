"""`tests/behaviour/test_aborts.py`, through the client."""

from tests.behaviour.test_aborts import *  # noqa: F403
