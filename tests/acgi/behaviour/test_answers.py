"""`tests/behaviour/test_answers.py`, through the client."""

from tests.behaviour.test_answers import *  # noqa: F403
