"""The capacity mode of the table: what it changes, and what its numbers mean."""

import json
import re
from pathlib import Path

import pytest

from punctual.testing.template import Template

PATH = Path(__file__).parents[2] / "template.yml"
QUOTAS = json.loads((PATH.parent / "bench" / "quotas.json").read_text())["quotas"]
PRICES = json.loads((PATH.parent / "bench" / "prices.json").read_text())
BOUNDS = ["ReadCapacityMin", "ReadCapacityMax", "WriteCapacityMin", "WriteCapacityMax"]
AUTO_SCALING = {
    "ReadCapacity": "AWS::ApplicationAutoScaling::ScalableTarget",
    "ReadCapacityScaling": "AWS::ApplicationAutoScaling::ScalingPolicy",
    "WriteCapacity": "AWS::ApplicationAutoScaling::ScalableTarget",
    "WriteCapacityScaling": "AWS::ApplicationAutoScaling::ScalingPolicy",
}


def made(mode, **parameters):
    return Template(PATH, {"CapacityMode": mode, **parameters})


def table(template):
    return template.resources["Table"]["Properties"]


def test_a_change_of_the_mode_keeps_the_table(table_schema):
    """No property that CloudFormation can only set on a new table differs."""
    before, after = table(made("on-demand")), table(made("provisioned"))
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert {"BillingMode", "ProvisionedThroughput"} == changed
    at_creation = [*table_schema["createOnlyProperties"], *table_schema["conditionalCreateOnlyProperties"]]
    assert not changed & {path.removeprefix("/properties/") for path in at_creation}


def test_only_the_capacity_differs_between_the_modes():
    """The table is auto-scaled only if it is provisioned."""
    before, after = made("on-demand").resources, made("provisioned").resources
    assert "PAY_PER_REQUEST" == before["Table"]["Properties"]["BillingMode"]
    assert "ProvisionedThroughput" not in before["Table"]["Properties"]
    assert set(AUTO_SCALING) == set(after) - set(before)
    assert AUTO_SCALING == {name: after[name]["Type"] for name in AUTO_SCALING}
    assert {name for name in before if before[name] != after[name]} == {"Table"}


def test_auto_scaling_moves_the_capacity_of_this_table_between_the_bounds():
    numbers = dict(zip(BOUNDS, ("7", "70", "8", "80"), strict=True))
    template = made("provisioned", **numbers)
    assert {"ReadCapacityUnits": "7", "WriteCapacityUnits": "8"} == table(template)["ProvisionedThroughput"]
    for kind, least, most in (("Read", "7", "70"), ("Write", "8", "80")):
        target = template.resources[f"{kind}Capacity"]["Properties"]
        assert (least, most) == (target["MinCapacity"], target["MaxCapacity"])
        assert f"dynamodb:table:{kind}CapacityUnits" == target["ScalableDimension"]
        assert f"table/{template.name('Table')}" == target["ResourceId"]
        policy = template.resources[f"{kind}CapacityScaling"]["Properties"]
        tracking = policy["TargetTrackingScalingPolicyConfiguration"]
        metric = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
        assert f"DynamoDB{kind}CapacityUtilization" == metric
        assert PRICES["assumed"]["capacity_in_use"] * 100 == tracking["TargetValue"]


def test_the_unused_capacity_covers_the_deletes_of_a_feed():
    """A feed deletes in one go what was stored in one interval.

    DynamoDB saves the unused capacity of 300 s. With a steady rate, half of the units are deletes.
    """
    rate, interval_s, burst_s = 100, 600, 300
    stores = deletes = rate
    held = (stores + deletes) / PRICES["assumed"]["capacity_in_use"]
    assert deletes * interval_s <= burst_s * held


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_is_a_whole_number_within_the_quota_of_a_table(name):
    """A deployment with any other value is refused before it begins."""
    parameter = made("provisioned")._document["Parameters"][name]
    pattern, most = parameter["AllowedPattern"], QUOTAS["table_write_units"]
    for number in (1, 5, 9, 10, 999, 1_000, 9_999, 10_000, 39_999, most):
        assert re.fullmatch(pattern, str(number)), number
    for text in ("0", str(most + 1), "50000", "100000", "05", "5.0", "-5", "", " 5", "off"):
        assert not re.fullmatch(pattern, text), text
    assert f"a whole number from 1 to {most}" == parameter["ConstraintDescription"]
    assert re.fullmatch(pattern, parameter["Default"])


def test_the_default_bounds_limit_the_bill():
    """The comments of the template say what the greatest capacity costs if it is held all month."""
    text, hours = PATH.read_text(), PRICES["assumed"]["hours_per_month"]
    defaults = {name: int(made("provisioned").parameters[name]) for name in BOUNDS}
    assert defaults["ReadCapacityMin"] <= defaults["ReadCapacityMax"]
    assert defaults["WriteCapacityMin"] <= defaults["WriteCapacityMax"] == QUOTAS["hash_key_write_units"]
    for kind, price in PRICES["dollars_per_unit_hour"].items():
        dollars = round(defaults[f"{kind.capitalize()}CapacityMax"] * price * hours)
        assert f"${dollars} a month, if it is ever held all the time" in text, kind
