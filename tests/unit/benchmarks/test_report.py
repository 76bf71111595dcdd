"""The pure half of the benchmarks: statistics, pages, plots, what is chosen, and what load generators say."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from benchmarks import front, load, measure, peers, plots, report
from benchmarks.figures import Samples, Spread, spread
from benchmarks.machine import BenchmarkError
from benchmarks.rows import CORE, GROUPS, Row
from benchmarks.works import BY_NAME, WORKS

ROUND = {"count": 1000, "rate": 10000.0, "p50": 90.0, "p90": 120.0, "p99": 200.0, "busy": 0.5, "rss": 3e7, "pss": 2e7,
         "processes": 1}  # fmt: skip


def sample(work, server, cpu, number=1, **figures):
    return {"work": work, "server": server, "round": number, "figures": {**ROUND, "cpu": cpu, **figures}}


def raw(*samples, failures=()):
    return {
        "date": "2026-01-02",
        "options": {
            "rounds": 3, "seconds": 5, "connections": 32, "transfer": 10**9, "idle": 10000,
            "pinned": True, "tree": False,
        },
        "machine": {"processor": "2 x Abacus", "system": "Linux 6", "load": "0.10 0.10 0.10"},
        "versions": {"Python": "3.11.2", "uWSGI": "2.0.31"},
        "samples": list(samples),
        "failures": list(failures),
    }  # fmt: skip


# -- statistics --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([4], Spread(4, 4, 4)),
        ([9, 1, 2], Spread(2, 1, 9)),
        ([1, 2, 3, 10], Spread(2.5, 1, 10)),
    ],
)
def test_spread(values, expected):
    assert spread(values) == expected


def test_a_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians():
    # The machine was slow in the second round, for both: the medians' ratio would be 10 / 12.
    samples = Samples(
        [sample("hello", "a", cpu, at) for at, cpu in enumerate([6, 20, 10])]
        + [sample("hello", "b", cpu, at) for at, cpu in enumerate([12, 40, 10])]
    )
    assert samples.ratio("hello", "a", "b", "cpu") == Spread(0.5, 0.5, 1.0)


def test_a_ratio_takes_only_rounds_that_both_have():
    samples = Samples([sample("hello", "a", 5, 1), sample("hello", "a", 50, 2), sample("hello", "b", 10, 1)])
    assert samples.ratio("hello", "a", "b", "cpu") == Spread(0.5, 0.5, 0.5)
    assert samples.ratio("hello", "a", "nobody", "cpu") is None


def test_samples_of_another_work_do_not_mix():
    samples = Samples([sample("hello", "a", 5), sample("json", "a", 7), sample("json", "b", 7)])
    assert samples.median("hello", "a", "cpu") == 5
    assert samples.servers("hello") == ["a"]
    assert samples.servers("json") == ["a", "b"]
    assert samples.median("hello", "a", "no such figure") is None


def test_least_and_greatest_go_by_the_median():
    samples = Samples([sample("hello", "a", 5, rate=70.0), sample("hello", "b", 4, rate=60.0)])
    assert samples.least("hello", ["a", "b"], "cpu") == "b"
    assert samples.least("hello", ["a", "b"], "rate", greatest=True) == "a"
    assert samples.least("hello", ["nobody"], "cpu") is None


# -- the page ----------------------------------------------------------------------------------------------------


def test_a_goal_is_reached_or_missed():
    page = report.page(
        raw(sample("hello", "gateway-scgi", 6.5), sample("hello", "uwsgi-scgi", 10), sample("hello", "limit-scgi", 3))
    )
    assert "| SCGI, CPU a request / uWSGI over SCGI | 0.65 (0.65 to 0.65) | 0.65 | reached |" in page
    assert "| SCGI, CPU a request / C that parses nothing | 2.17 (2.17 to 2.17) | 1.7 | **missed** |" in page


def test_where_we_are_not_ahead_is_written():
    page = report.page(
        raw(
            sample("hello", "gateway-scgi", 10, rate=5000.0),
            sample("hello", "uwsgi-scgi", 8, rate=5001.0, pss=1e7),
            sample("hello", "limit-scgi", 1, rate=99999.0),
        )
    )
    told = re.search(r"## Where this project is not ahead\n\n(.*?)\n\n## ", page, re.DOTALL)[1].splitlines()
    assert told == [
        "* SCGI, CPU a request / uWSGI over SCGI: 1.25, the goal is 0.65.",
        "* SCGI, CPU a request / C that parses nothing: 10.00, the goal is 1.7.",
        # Not the throughput: a difference of 0.02 % is none. Not the limit: it is no peer.
        "* A small answer through nginx: µs of CPU a request, as a part of the best of ours (ssgi-gateway, SCGI): "
        "uWSGI, SCGI 0.80.",
        "* A small answer through nginx: memory of the whole server, as a part of the best of ours "
        "(ssgi-gateway, SCGI): uWSGI, SCGI 0.50.",
    ]


def test_ahead_everywhere_is_written_too_but_not_of_a_run_without_us():
    ahead = report.page(raw(sample("hello", "gateway-scgi", 5), sample("hello", "uwsgi-scgi", 10)))
    assert "Nowhere in this run." in ahead
    assert "not ahead" not in report.page(raw(sample("hello", "uwsgi-scgi", 10)))


def test_a_missing_peer_is_shown_with_the_reason():
    failure = {"work": "hello", "server": "uwsgi-scgi", "reason": "no C compiler"}
    page = report.page(raw(sample("hello", "gateway-scgi", 5), sample("hello", "limit-scgi", 4), failures=[failure]))
    assert "* uWSGI, SCGI is missing: no C compiler" in page
    assert "| 0.65 | not measured (uwsgi-scgi: no C compiler) |" in page


def test_a_peer_that_failed_in_a_later_round_keeps_its_figures():
    failure = {"work": "hello", "server": "uwsgi-scgi", "reason": "it hung"}
    page = report.page(raw(sample("hello", "uwsgi-scgi", 5), failures=[failure]))
    assert "* uWSGI, SCGI dropped out: it hung" in page
    assert "| uWSGI, SCGI | 5.00 |" in page


def test_a_table_has_the_best_first_and_multiples_of_our_best():
    page = report.page(
        raw(sample("hello", "uvicorn", 150), sample("hello", "gateway-scgi", 12), sample("hello", "gateway-fastcgi", 6))
    )
    rows = [line.split(" | ")[:3] for line in page.splitlines() if re.match(r"\| (\*\*ssgi|Uvicorn)", line)]
    assert rows == [
        ["| **ssgi-gateway, FastCGI**", "6.00", "1.00"],
        ["| **ssgi-gateway, SCGI**", "12.0", "2.00"],
        ["| Uvicorn", "150", "25.00"],
    ]


def test_transfers_show_megabytes_a_second():
    page = report.page(raw(sample("upload", "uvicorn", 500, rate=1.5e9)))
    assert "| Uvicorn | 500 |  | 1,500 | 0.50 | 30.0 | 20.0 |" in page


def test_a_row_without_a_goal_has_no_verdict():
    page = report.page(raw(sample("fleet-start", "gateway-scgi-w8", 6), sample("fleet-start", "uvicorn-w8", 5)))
    assert "| 8 workers, CPU of the start / Uvicorn | 1.20 (1.20 to 1.20) |  |  |" in page


def test_the_page_and_the_plots_are_made_anew_from_the_raw_data(tmp_path):
    (tmp_path / "json.svg").write_text("of an earlier run")
    report.write(raw(sample("hello", "gateway-scgi", 5), sample("hello", "uvicorn", 15)), tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["hello.svg", "results.md"]
    assert "](hello.svg)" in (tmp_path / "results.md").read_text()
    ET.parse(tmp_path / "hello.svg")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234.5, "1,234"), (123.4, "123"), (99.94, "99.9"), (12.34, "12.3"), (1.234, "1.23"), (0, "0.00")],
)
def test_numbers_have_three_digits(value, shown):
    assert report.number(value) == shown


# -- plots -------------------------------------------------------------------------------------------------------

SVG = "{http://www.w3.org/2000/svg}"


def test_bars_are_in_proportion():
    picture = ET.fromstring(
        plots.bars("CPU", "µs", [plots.Bar("a", 5, "5.00", "gateway"), plots.Bar("b", 20, "20.0", "peer")])
    )
    first, second = picture.iter(f"{SVG}rect")
    assert float(second.get("width")) == pytest.approx(4 * float(first.get("width")))
    assert (first.get("class"), second.get("class")) == ("gateway", "peer")
    assert float(second.get("x")) + float(second.get("width")) + plots.VALUE == plots.WIDTH


def test_text_is_escaped():
    picture = ET.fromstring(plots.bars('a "b" <c>', "& less", [plots.Bar("<&>", 1, "1", "peer")]))
    assert picture.get("aria-label") == 'a "b" <c>'
    assert [it.text for it in picture.iter(f"{SVG}text")] == ['a "b" <c>', "& less", "<&>", "1"]


@pytest.mark.parametrize("all", [[], [plots.Bar("a", 0, "0", "peer")]])
def test_nothing_and_zero_can_be_drawn(all):
    assert len(list(ET.fromstring(plots.bars("t", "u", all)).iter(f"{SVG}rect"))) == len(all)


# -- who takes part ----------------------------------------------------------------------------------------------


def names(plan):
    return {(work.name, server.name) for work, servers in plan for server in servers}


def test_all_take_part_by_default():
    assert names(measure.chosen(WORKS, peers.SERVERS, ())) == {
        (work, server.name) for server in peers.SERVERS for work in server.works
    }


def test_works_and_servers_are_chosen_independently():
    assert names(measure.chosen(WORKS, peers.SERVERS, ("hello", "aioscgi", "picows"))) == {("hello", "aioscgi")}
    assert names(measure.chosen(WORKS, peers.SERVERS, ("picows",))) == {
        ("websocket-32", "picows"), ("websocket-16k", "picows"), ("idle", "picows"),
    }  # fmt: skip
    scgi = names(measure.chosen(WORKS, peers.SERVERS, ("scgi", "hello")))
    assert ("hello", "uwsgi-scgi") in scgi
    assert {work for work, _ in scgi} == {"hello"}


def test_a_word_that_names_a_work_names_no_server():
    chosen = names(measure.chosen(WORKS, peers.SERVERS, ("idle",)))
    assert {("idle", "uvicorn"), ("idle", "granian-idle")} <= chosen
    assert {work for work, _ in chosen} == {"idle"}


def test_goals_are_what_the_goals_compare():
    assert names(measure.chosen(WORKS, peers.SERVERS, ("goals",))) == {
        (row.work, name) for group in GROUPS.values() for row in group for name in (row.ours, row.other)
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [(("uvicron",), "no work or server is called uvicron"), (("json", "picows"), "nobody takes part")],
)
def test_words_that_choose_nothing_are_an_error(words, message):
    with pytest.raises(BenchmarkError, match=message):
        measure.chosen(WORKS, peers.SERVERS, words)


@pytest.mark.parametrize("row", [row for group in GROUPS.values() for row in group], ids=lambda row: row.title)
def test_goals_compare_what_is_measured(row: Row):
    assert BY_NAME[row.work].figure == row.figure
    for name in (row.ours, row.other):
        assert row.work in peers.BY_NAME[name].works


def test_names_are_unique_and_works_exist():
    assert len(peers.BY_NAME) == len(peers.SERVERS)
    assert {work for server in peers.SERVERS for work in server.works} <= BY_NAME.keys()
    assert all(work.kind in measure.KINDS and work.function in measure.EXPECTED for work in WORKS)
    assert len({row.title for row in CORE}) == len(CORE)


@pytest.mark.parametrize("server", peers.SERVERS, ids=lambda server: server.name)
def test_each_server_has_a_command_for_each_of_its_works(server, tmp_path):
    place = measure.Place(tmp_path, tmp_path, 80)
    for work in (BY_NAME[name] for name in server.works):
        words = server.words(work, place.words(server, 4711))
        where = "4711" if work.direct else f"{tmp_path}/{server.name}.sock"
        if server.route != "cgi":  # a web server starts these for each request: they listen nowhere
            assert any(where in word for word in words)
        assert not any(re.search(r"[{}]", word) for word in words)


def test_nginx_has_a_location_for_each_server(tmp_path):
    text = front.configuration(peers.SERVERS, tmp_path, 8080)
    for server in (it for it in peers.SERVERS if it.route != "cgi"):
        assert f"server unix:{tmp_path}/{server.name}.sock;" in text
        assert f"location /{server.name} {{ " in text


# -- what load generators say ------------------------------------------------------------------------------------

WRK = """\
Running 5s test @ http://127.0.0.1:8080/uvicorn/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   619.52us    1.02ms  20.52ms   96.68%
    Req/Sec    72.16k     9.53k   83.66k    84.00%
  Latency Distribution
     50%  412.00us
     75%  480.00us
     90%    1.25ms
     99%    1.02s
  359283 requests in 5.10s, 55.16MB read
Requests/sec:  70446.33
Transfer/sec:     10.82MB
"""


def test_wrk_is_understood():
    assert load.parse_wrk(WRK) == {
        "count": 359283, "rate": pytest.approx(70447.6, abs=0.1), "errors": 0, "p50": 412, "p90": 1250, "p99": 1.02e6,
    }  # fmt: skip


def test_a_few_errors_are_counted_and_many_are_a_failure():
    few = WRK + "  Socket errors: connect 0, read 3, write 1, timeout 2\n"
    assert load.parse_wrk(few)["errors"] == 6
    with pytest.raises(BenchmarkError, match="360 of 359283 requests failed"):
        load.parse_wrk(WRK + "  Non-2xx or 3xx responses: 360\n")


@pytest.mark.parametrize("text", ["", "unable to connect", WRK.replace("359283", "0")])
def test_no_answer_is_a_failure(text):
    with pytest.raises(BenchmarkError, match="no request was answered"):
        load.parse_wrk(text)
