"""Settings of any shape: told what is wrong with them, or working."""

from types import new_class
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import example, given, strategies as st

from fuzz.stage import Resident, is_alive, play, say_goodbye, witnessed
from fuzz.values import anything, keys, numbers, texts
from resilient_channels import AsyncResilientMixin, conf
from resilient_channels.core.policies import SECTIONS, option_names
from shells.clients import V1
from shells.visits import open_visit, settle

WORDS = sorted({
    word
    for options in ("auto", "always", "off", "isolate", "close", "raise", "drop_oldest",
        "drop_newest", "coalesce", "refuse", "newest_wins", "unix:", "10.0.0.0/8", "::1")
    for word in (options, options.upper())
})  # fmt: skip
networks = st.lists(st.one_of(st.sampled_from(WORDS), texts), max_size=3)
values = st.one_of(
    numbers, st.none(), st.booleans(), st.sampled_from(WORDS), texts, networks, anything,
    st.dictionaries(texts, texts, max_size=3),
)  # fmt: skip


def section_of(name: str) -> st.SearchStrategy[dict[Any, Any]]:
    known = st.sampled_from(option_names(name))
    return st.dictionaries(st.one_of(known, known, known, keys), values, max_size=4)


known_sections = st.fixed_dictionaries({}, optional={name: section_of(name) for name in SECTIONS})
configs = st.one_of(
    known_sections,
    known_sections,
    st.dictionaries(st.one_of(st.sampled_from(sorted(SECTIONS)), keys), anything, max_size=3),
    anything,
)


@given(configs)
@example({"HEARTBEAT": {"interval": 10**400}})
@example({"LIMITS": {"trusted_proxies": ["\x00", "10.0.0.1/8"]}})
def test_whatever_the_setting_says_is_understood_or_told_to_be_wrong(config):
    problems = list(conf.find_problems(config, conf.SETTING))
    assert all(
        isinstance(problem, str) and problem.startswith(conf.SETTING) for problem in problems
    )
    with witnessed() as witness, override_settings(RESILIENT_CHANNELS=config):
        # A start refuses it; changed at run time, it is reported, and the defaults hold.
        policies = conf.get_policies(Resident)
        reports = [
            record for record in witness.records if record.getMessage() == "settings.invalid"
        ]
        assert bool(reports) == bool(problems)
        if problems:
            with override_settings(RESILIENT_CHANNELS={}):
                assert policies == conf.get_policies(Resident)


@given(configs)
@example({"HEARTBEAT": {"interval": 10**400}})
@example({"TEARDOWN": {"timeout": 5e-324}})
@example({"LIMITS": {"rate": 1.7e308, "new_per_second": 5e-324}})
def test_a_consumer_with_any_options_is_refused_or_works(config):
    problems = list(conf.find_problems(config, "Resident.resilience", of_class=True))
    if problems:
        with pytest.raises(TypeError) as refusal:
            make_consumer(config)
        assert str(refusal.value) == "; ".join(problems)
        return
    consumer = make_consumer(config)
    for offer in ([], [V1]):
        play(visit_of(consumer, offer))


def make_consumer(config: Any) -> type:
    def body(namespace: dict[str, Any]) -> None:
        namespace["resilience"] = config

    return new_class("Resident", (AsyncResilientMixin, Resident), {}, body)


async def visit_of(consumer: type, offer: list[str]) -> None:
    visit = await open_visit(consumer, subprotocols=offer)
    if consumer.resilience.get("ERRORS", {}).get("mode") != "raise":
        for _ in range(2):
            visit.client_sends("fail")
    await is_alive(visit)
    await settle(1)
    await say_goodbye(visit)


class Strange:
    """What no project has in its settings, and what must not matter."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not to be compared")

    def __repr__(self) -> str:
        raise RuntimeError("not to be written")

    __hash__ = object.__hash__


@pytest.mark.parametrize("strange", [10**5000, -(10**5000), Strange()], ids=["int", "less", "odd"])
@pytest.mark.parametrize("section", SECTIONS)
def test_what_cannot_be_compared_or_written_is_told_to_be_wrong(section, strange):
    assert len(list(conf.find_problems(strange, "X"))) == 1
    assert len(list(conf.find_problems({section: strange}, "X"))) == 1
    if isinstance(strange, int):  # a dict compares its keys
        assert len(list(conf.find_problems({strange: {}}, "X"))) == 1
        assert len(list(conf.find_problems({section: {strange: 1}}, "X"))) == 1
    for option in option_names(section):
        [problem] = conf.find_problems({section: {option: strange}}, "X")
        assert problem.startswith("X: ")
