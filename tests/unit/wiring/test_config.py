"""A cold start fails with the name of any missing or invalid setting."""

import pytest

from scheduler.wiring import config


def test_a_missing_variable_is_named():
    """Every variable that this function needs."""
    with pytest.raises(config.ConfigurationError, match="lacks TABLE_NAME, OUTPUT_QUEUE_URL"):
        config.from_environment("TABLE_NAME", "OUTPUT_QUEUE_URL", environment={"TABLE_NAME": ""})


def test_an_optional_variable_has_a_default():
    """The defaults are the template's."""
    settings = config.from_environment(environment={})
    assert (4, 900_000, 600) == (settings.partition_count, settings.reach_ms, settings.feed_interval_s)
    assert (frozenset(), False) == (settings.listed.arns, settings.require_user)


def test_targets_are_separated_by_commas():
    """CloudFormation joins a list that way. Spaces and empty entries are ignored."""
    assert {"a", "b"} == config.from_environment(environment={"TARGET_ARNS": "a, b,,"}).listed.arns


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARTITION_COUNT", "0"),
        ("PARTITION_COUNT", "257"),
        ("PARTITION_COUNT", "four"),
        ("REACH_SECONDS", "901"),
        ("REACH_SECONDS", "-1"),
        ("REACH_SECONDS", "²"),
        ("FEED_INTERVAL_MINUTES", "11"),
        ("REQUIRE_USER", "yes"),
    ],
)
def test_an_invalid_value_is_named_with_the_accepted_values(name, value):
    """The cold start finds it, not the first schedule."""
    with pytest.raises(config.ConfigurationError, match=f"{name} is '{value}'; wanted: "):
        config.from_environment(environment={name: value})


def test_a_queue_may_be_given_by_its_name():
    """It lies beside the output queue. The environment has room for 4 KB."""
    beside = {"OUTPUT_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/1/output"}
    named = config.from_environment(environment={**beside, "INPUT_QUEUE_URL": "input"})
    assert "https://sqs.eu-central-1.amazonaws.com/1/input" == named.input_queue_url
    whole = config.from_environment(environment={**beside, "INPUT_QUEUE_URL": "https://sqs.other/2/input"})
    assert ("https://sqs.other/2/input", "") == (whole.input_queue_url, whole.failure_queue_url)
