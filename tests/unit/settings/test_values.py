"""What people write for a value, and what they are told when it is none."""

from __future__ import annotations

import pytest

from ssgi_gateway.settings.values import convert, did_you_mean, show


def about(unit="", choices=(), minimum=0):
    return {"unit": unit, "choices": choices, "minimum": minimum}


TEXTS = tuple[str, ...]


@pytest.mark.parametrize(
    ("raw", "kind", "metadata", "value"),
    [
        ("1", bool, about(), True),
        (" Yes ", bool, about(), True),
        ("off", bool, about(), False),
        (False, bool, about(), False),
        ("12", int, about("connections"), 12),
        (12, int, about("connections"), 12),
        ("0", int, about("bytes"), 0),
        ("65536", int, about("bytes"), 65536),
        ("64k", int, about("bytes"), 65536),
        ("64K", int, about("bytes"), 65536),
        ("64KiB", int, about("bytes"), 65536),
        ("64kb", int, about("bytes"), 65536),
        ("1m", int, about("bytes"), 1048576),
        ("2g", int, about("bytes"), 2147483648),
        (4096, int, about("bytes"), 4096),
        ("30", float, about("seconds"), 30.0),
        ("0.5", float, about("seconds"), 0.5),
        ("30s", float, about("seconds"), 30.0),
        (30, float, about("seconds"), 30.0),
        ("660", int, about("octal"), 0o660),
        ("0660", int, about("octal"), 0o660),
        ("0o600", int, about("octal"), 0o600),
        (0o640, int, about("octal"), 0o640),
        ("027", int, about("umask"), 0o027),
        ("22", int, about("umask"), 0o022),
        ("0", int, about("umask"), 0),
        ("a, b,,c ", TEXTS, about(), ("a", "b", "c")),
        (["a", "b,c"], TEXTS, about(), ("a", "b,c")),
        ("https://a", TEXTS | None, about(), ("https://a",)),
        ("", str | None, about(), ""),
        ("auto", str, about(choices=("auto", "ssgi")), "auto"),
    ],
)
def test_reads(raw, kind, metadata, value):
    found = convert(raw, kind, metadata)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("raw", "kind", "metadata", "said"),
    [
        ("maybe", bool, about(), "'maybe' is neither yes nor no; write 1 or 0"),
        (1, bool, about(), "1 is neither yes nor no"),
        ("ten", int, about("connections"), "'ten' is not a whole number"),
        ("1.5", int, about("connections"), "not a whole number"),
        ("1_000", int, about("connections"), "not a whole number"),
        ("9" * 30, int, about("connections"), "not a whole number"),
        (True, int, about("connections"), "True is not a whole number"),
        ("64q", int, about("bytes"), "'64q' is not a size; write bytes, or a number with k, m or g, such as 64k"),
        ("k", int, about("bytes"), "is not a size"),
        ("1.5m", int, about("bytes"), "is not a size"),
        ([1], int, about("bytes"), "is not a whole number"),
        ("-1", int, about("bytes"), "-1 is too small; write 0 or more"),
        ("1000", int, about("bytes", minimum=1024), "1000 is too small; write 1k or more"),
        ("0", float, about("seconds", minimum=0.01), "0.0 is too small; write 0.01 or more"),
        ("soon", float, about("seconds"), "'soon' is not a number of seconds, such as 30 or 0.5"),
        ("nan", float, about("seconds"), "not a number of seconds"),
        ("inf", float, about("seconds"), "not a number of seconds"),
        (float("inf"), float, about("seconds"), "not a number of seconds"),
        (True, float, about("seconds"), "not a number of seconds"),
        ("680", int, about("octal"), "'680' is no permissions; write three octal digits, such as 660"),
        ("rw-rw----", int, about("octal"), "no permissions"),
        ("4755", int, about("octal"), "no permissions"),
        (0o1777, int, about("octal"), "no permissions"),
        ("6", int, about("octal"), "no permissions"),
        ("999", int, about("umask"), "'999' is no umask; write octal digits (0 to 7), such as 027"),
        ("u=rwx", int, about("umask"), "no umask"),
        ("1777", int, about("umask"), "no umask"),
        ([1, 2], TEXTS, about(), "is not a list of texts"),
        (7, TEXTS, about(), "is not a list of texts"),
        (7, str, about(), "7 is not a text"),
        ("a\0b", str, about(), "holds a NUL byte"),
        ("portabel", str, about(choices=("auto", "portable")), "not one of auto, portable; did you mean portable?"),
        ("", str, about(choices=("auto", "portable")), "'' is not one of auto, portable"),
    ],
)
def test_refuses_and_names_what_to_write(raw, kind, metadata, said):
    with pytest.raises(ValueError, match=r".") as info:
        convert(raw, kind, metadata)
    assert said in str(info.value)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (131072, "bytes", "128k"),
        (1048576, "bytes", "1m"),
        (1500, "bytes", "1500"),
        (0, "bytes", "0"),
        (10000, "connections", "10000"),
        (0.5, "seconds", "0.5"),
        (20.0, "seconds", "20"),
        (0o660, "octal", "0660"),
        (True, "", "yes"),
        (False, "", "no"),
        (("a", "b"), "", "a, b"),
        ((), "", ""),
        (None, "", ""),
        ("", "", ""),
    ],
)
def test_shows_as_people_write(value, unit, text):
    assert show(value, {"unit": unit}) == text


def test_suggests_only_what_is_alike():
    assert did_you_mean("--sgci", ["--scgi", "--fastcgi"]) == "; did you mean --scgi?"
    assert did_you_mean("--colour", ["--scgi", "--fastcgi"]) == ""
