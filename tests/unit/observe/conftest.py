"""The tests of the server run over both builds and both event loops; coroutine functions are tests."""

import pytest

from tests.builds import pytest_collect_file, pytest_collection_modifyitems, pytest_configure
from tests.loops import parametrize, pytest_pyfunc_call

__all__ = ["pytest_collect_file", "pytest_collection_modifyitems", "pytest_configure", "pytest_pyfunc_call"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc, "loop_kind")
