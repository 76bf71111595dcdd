"""`tests/behaviour/test_bodies.py`, through the client."""

from tests.behaviour.test_bodies import *  # noqa: F403
