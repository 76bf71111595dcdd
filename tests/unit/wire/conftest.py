"""The tests of the codecs run over both builds."""

from tests.builds import pytest_collect_file, pytest_collection_modifyitems, pytest_configure

__all__ = ["pytest_collect_file", "pytest_collection_modifyitems", "pytest_configure"]
