"""These tests hold the two builds against each other, so they need both."""

import pytest

from tests.builds import MISSING


@pytest.fixture(autouse=True, scope="session")
def _both_builds():
    if MISSING:
        pytest.skip(MISSING)
