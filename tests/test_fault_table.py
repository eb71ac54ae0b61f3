"""The generated table of every fault on every server is whole, and hides no difference."""

import re
from pathlib import Path

import pytest

from tour.facts import Facts
from tour.faults import ALL
from tour.judge import Promise, broken, differences, ends
from tour.page import cell, render
from tour.runner import Row
from tour.servers import TITLES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "_generated" / "fault-table.md"
TEXT = PAGE.read_text(encoding="utf-8")
FAULTS = {fault.title: fault for fault in ALL if fault.layer == "memory"}

SECONDS = r"\d+\.\d s"
END = rf"(\d+ [A-Z]+\??), (?:1 call|20 calls), {SECONDS}(?:, at our reset)?"
OPEN = rf"(open|(?P<count>\d+) of (?P=count) open), {SECONDS}"
REFUSED = rf"(refused with \d+), {SECONDS}"
CELL = re.compile(rf"(?:{END}|{OPEN}|{REFUSED})(?: <sup>(?P<notes>[\d,]+)</sup>)?")


def tables():
    """The tables of the page: the resilient side's, then the plain one's, by fault and server."""
    found = []
    for line in TEXT.splitlines():
        if line.startswith("| Fault |"):
            servers = [name.strip() for name in line.split("|")[2:-1]]
            found.append({})
        elif line.startswith("| ") and "| --- |" not in line:
            title, *cells = (text.strip() for text in line.split("|")[1:-1])
            found[-1][title] = dict(zip(servers, cells, strict=True))
    return found


RESILIENT, PLAIN = tables()


def test_every_fault_of_a_socket_is_there_for_every_server():
    for table in (RESILIENT, PLAIN):
        assert list(table) == list(FAULTS)
        for cells in table.values():
            assert list(cells) == list(TITLES.values())


def test_no_cell_is_empty_and_nothing_was_left_unmeasured():
    for table in (RESILIENT, PLAIN):
        for title, cells in table.items():
            for server, text in cells.items():
                assert text, (title, server)
                assert "not measured" not in text, (title, server)


@pytest.mark.parametrize("title", FAULTS)
def test_the_resilient_side_ends_once_or_stays_open(title):
    for server, text in RESILIENT[title].items():
        assert CELL.fullmatch(text), (server, text)


@pytest.mark.parametrize("title", FAULTS)
def test_servers_differ_only_where_a_note_says_why(title):
    found = [CELL.fullmatch(text) for text in RESILIENT[title].values()]
    outcomes = {next(filter(None, match.groups())) for match in found if not match["notes"]}

    assert len(outcomes) <= 1, outcomes


def test_every_note_is_there_and_referred_to():
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", TEXT, re.MULTILINE)]
    referred = {
        int(number)
        for found in re.findall(r"<sup>(.*?)</sup>", TEXT)
        for number in found.split(",")
    }

    assert numbers == list(range(1, len(numbers) + 1))
    assert referred == set(numbers)


def test_the_notes_are_what_the_faults_say_today():
    notes = re.findall(r"^\d+\. (.*)$", TEXT, re.MULTILINE)
    said = {
        note
        for fault in FAULTS.values()
        for server in TITLES
        for note in differences(fault.promises, server)
    }

    assert set(notes) == said


# --- how it is made ---------------------------------------------------------------------------


def lost(*, certain, code=1006):
    facts = Facts(ended=1, disconnects=[code], took=0.04)
    facts.infos = [{"code": code, "kind": "lost", "certain": certain}]
    return facts


def test_a_server_is_held_to_what_it_lets_be_known_and_to_no_less():
    promises = ends(1000, "client")

    assert broken(promises, lost(certain=False), "hypercorn") == []
    assert broken(promises, lost(certain=True), "hypercorn") != []
    assert broken(promises, lost(certain=False), "granian") != []
    assert broken(ends(1005, "client"), lost(certain=False), "granian") == []


@pytest.mark.parametrize("server", ["daphne", "uvicorn", "uvicorn-wsproto"])
def test_no_doubt_is_accepted_of_servers_that_can_tell(server):
    assert broken(ends(1006, "lost"), lost(certain=True), server) == []
    assert broken(ends(1006, "lost"), lost(certain=False), server) != []


def test_a_second_disconnect_breaks_a_promise_everywhere():
    facts = lost(certain=False)
    facts.disconnects *= 2

    for server in TITLES:
        assert "disconnect() runs exactly once" in broken(ends(1006, "lost"), facts, server)


def test_a_difference_is_marked_once_and_explained_below():
    fault = next(fault for fault in ALL if fault.name == "close-1000")
    sides = {"plain": lost(certain=False), "resilient": lost(certain=False)}
    rows = {name: [Row(fault, name, sides)] for name in ("daphne", "hypercorn")}

    text = render(rows, "the command", plain=False)

    (row,) = (line for line in text.splitlines() if line.startswith(f"| {fault.title} |"))
    assert row.count("<sup>1</sup>") == 1
    assert row.endswith("1006 LOST?, 1 call, 0.0 s <sup>1</sup> |")
    assert "\n1. Hypercorn" in text
    assert "plain Channels" not in text


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (Facts(ended=1, error="TimeoutError"), "not measured: TimeoutError"),
        (Facts(ended=1, members=1), "no `disconnect()`, 1 dead in the group"),
        (Facts(ended=0), "no `disconnect()`, still running"),
        (Facts(ended=1, disconnects=[None], took=0.1), "None, 1 call, 0.1 s"),
        (Facts(ended=1, disconnects=[1006, 1006], took=0.1), "1006, 2 calls, 0.1 s"),
        (Facts(ended=1, alive=1, took=0.3), "open, 0.3 s"),
        (Facts(total=9, ended=9, alive=8, took=0.3), "8 of 9 open, 0.3 s"),
    ],
)
def test_a_cell_tells_the_worst(facts, words):
    assert cell(facts) == words


def test_a_promise_holds_elsewhere_as_it_is_unless_something_is_said():
    promise = Promise("a", lambda _: True, {"daphne": Promise("b", lambda _: False)})

    assert promise.on("granian") is promise
    assert promise.on("daphne").sentence == "b"
