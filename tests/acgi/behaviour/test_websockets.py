"""`tests/behaviour/test_websockets.py`, through the client."""

from tests.behaviour.test_websockets import *  # noqa: F403
