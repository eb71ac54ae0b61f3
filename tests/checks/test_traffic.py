"""What one client may send: I002."""

import pytest
from django.test import override_settings

from checks.configurations import ids
from resilient_channels.checks import APP, check_traffic
from resilient_channels.conf import find_problems

ALL = {"message_bytes": 65_536, "json_depth": 32, "rate": 50, "burst": 100}


def found(**limits):
    with override_settings(RESILIENT_CHANNELS={"LIMITS": limits}):
        return check_traffic()


def test_without_limits_all_are_recommended_with_values():
    [message] = found()

    assert message.id == f"{APP}.I002"
    assert not message.is_serious()
    assert message.msg.endswith(": message_bytes, json_depth, rate.")
    assert message.hint == f"A good beginning: {ALL}."


@pytest.mark.parametrize("name", ["message_bytes", "json_depth", "rate"])
def test_only_what_is_missing_is_recommended(name: str):
    [message] = found(**{**ALL, name: None})

    assert message.msg.endswith(f": {name}.")
    assert name in message.hint


def test_with_all_of_them_nothing_is_said():
    assert found(**ALL) == []


def test_what_is_recommended_makes_sense():
    assert list(find_problems({"LIMITS": ALL}, "here")) == []


def test_of_settings_that_make_no_sense_nothing_is_said():
    assert ids(found(rate=-1)) == []
