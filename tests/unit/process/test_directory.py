"""The setting ``chdir``."""

from __future__ import annotations

import os

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.process.directory import current, enter, entered


def test_a_directory_is_entered_and_left(tmp_path):
    before = os.getcwd()
    with entered(str(tmp_path)):
        assert os.getcwd() == str(tmp_path)
    assert os.getcwd() == before
    with pytest.raises(ConfigurationError, match="the start: /there/is/none: No such file"):
        enter("/there/is/none", "the start")
    with pytest.raises(ConfigurationError, match="--chdir: /there/is/none: No such file"):
        enter("/there/is/none")


def test_a_link_that_a_shell_has_followed_keeps_its_name(tmp_path, monkeypatch):
    """``cd current``: a reload is to find what it leads to then. ``PWD`` of some other directory means nothing."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "current").symlink_to("one")
    monkeypatch.chdir(tmp_path / "current")
    for pwd, expected in (("current", "current"), ("two", "one"), ("none", "one")):
        monkeypatch.setenv("PWD", str(tmp_path / pwd))
        assert current() == str(tmp_path / expected)
    for pwd in ("", ".", "current"):
        monkeypatch.setenv("PWD", pwd)
        assert current() == str(tmp_path / "one")
