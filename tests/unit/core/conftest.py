"""The tests of the core run over both builds; coroutine functions are tests, as tasks and as callbacks."""

import pytest

from tests.builds import pytest_collect_file, pytest_collection_modifyitems, pytest_configure
from tests.loops import parametrize, pytest_pyfunc_call

__all__ = ["pytest_collect_file", "pytest_collection_modifyitems", "pytest_configure", "pytest_pyfunc_call"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc, "stepping")
