"""The settings themselves: each documented once, under names that follow the rule."""

from __future__ import annotations

import pytest

from ssgi_gateway.settings import FlowControl, Settings, WebSocketSettings
from ssgi_gateway.settings.sources import Option, combine, options


def option(name) -> Option:
    (found,) = (option for option in options() if option.name == name)
    return found


def test_names_are_unique():
    for names in ([o.name for o in options()], [o.flag for o in options()], [o.variable for o in options()]):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("setting", options(), ids=lambda o: o.name)
def test_each_is_documented_and_typed(setting):
    assert setting.metadata["help"].endswith(".")
    assert setting.section
    assert setting.kind in (
        bool, int, float, str, str | None, tuple[str, ...], tuple[str, ...] | None,
    )  # fmt: skip
    if setting.kind in (int, float):
        assert setting.metadata["unit"], "a number without a unit means nothing"


@pytest.mark.parametrize("setting", options(), ids=lambda o: o.name)
def test_the_defaults_satisfy_their_own_rules(setting):
    default = setting.default
    assert default is None or isinstance(default, str | int | float | tuple)
    if isinstance(default, int | float):
        assert default >= setting.metadata["minimum"]
    if setting.metadata["choices"]:
        assert default in setting.metadata["choices"]


@pytest.mark.parametrize(
    ("name", "path", "flag", "variable"),
    [
        ("max_connections", ("max_connections",), "--max-connections", "SSGI_MAX_CONNECTIONS"),
        ("max_head_size", ("limits", "max_head_size"), "--max-head-size", "SSGI_MAX_HEAD_SIZE"),
        (
            "websocket_ping_interval",
            ("websockets", "ping_interval"),
            "--websocket-ping-interval",
            "SSGI_WEBSOCKET_PING_INTERVAL",
        ),
        ("deadline_head", ("deadlines", "head"), "--deadline-head", "SSGI_DEADLINE_HEAD"),
        ("flow_high_water", ("flow", "high_water"), "--flow-high-water", "SSGI_FLOW_HIGH_WATER"),
        ("websocket", ("websocket",), "--websocket", "SSGI_WEBSOCKET"),
        ("app", ("app",), "APP", "SSGI_APP"),
        ("codec", ("codec",), "--codec", "SSGI_CODEC"),
    ],
)
def test_the_rule_for_names(name, path, flag, variable):
    found = option(name)
    assert (found.path, found.flag, found.variable) == (path, flag, variable)


def test_nothing_given_is_the_defaults():
    assert combine() == Settings()


def test_settings_cannot_be_changed():
    with pytest.raises(AttributeError):
        Settings().backlog = 3
    with pytest.raises(AttributeError):
        WebSocketSettings().max_queue = 3


def test_an_unknown_name_is_an_error():
    with pytest.raises(TypeError, match="FlowControl has no hihg_water"):
        FlowControl(hihg_water=1)


def test_settings_differ_by_their_values():
    one, same, other = FlowControl(low_water=1), FlowControl(low_water=1), FlowControl()
    assert one == same != other
    assert len({one, same, other}) == 2
    assert repr(one) == "FlowControl(high_water=262144, low_water=1)"
