"""The setting ``chdir``."""

from __future__ import annotations

import os

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.process.directory import enter, entered


def test_a_directory_is_entered_and_left(tmp_path):
    before = os.getcwd()
    with entered(str(tmp_path)):
        assert os.getcwd() == str(tmp_path)
    assert os.getcwd() == before
    with pytest.raises(ConfigurationError, match="--chdir: /there/is/none: No such file"):
        enter("/there/is/none")
