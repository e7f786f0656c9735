"""Configuration: complete and sane, or the cold start fails with the name of what is not."""

import pytest

from scheduler.wiring import config


def test_a_missing_variable_is_named():
    """Each one that this function needs."""
    with pytest.raises(config.ConfigurationError, match="lacks TABLE_NAME, OUTPUT_QUEUE_URL"):
        config.from_environment("TABLE_NAME", "OUTPUT_QUEUE_URL", environment={"TABLE_NAME": ""})


def test_what_is_not_required_has_a_default():
    """The defaults of the template."""
    settings = config.from_environment(environment={})
    assert (4, 900_000, 600) == (settings.partition_count, settings.reach_ms, settings.feed_interval_s)
    assert (frozenset(), False) == (settings.listed.arns, settings.require_user)


def test_targets_are_a_list_with_commas():
    """As CloudFormation joins them; spaces and empty ones do no harm."""
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
def test_nonsense_is_named_with_what_is_wanted(name, value):
    """Rather than found out at the first schedule."""
    with pytest.raises(config.ConfigurationError, match=f"{name} is '{value}'; wanted: "):
        config.from_environment(environment={name: value})
