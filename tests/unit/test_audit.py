"""Who asks for a change, as far as Lambda tells."""

from types import SimpleNamespace

from scheduler.audit import Actor


def context(**identity):
    return SimpleNamespace(
        aws_request_id="request-1", **({"identity": SimpleNamespace(**identity)} if identity else {})
    )


def test_a_direct_call_has_the_rights_of_its_function_and_the_id_of_the_request():
    """IAM does not tell a function who invoked it."""
    assert Actor("owner", "request-1") == Actor.of(context(cognito_identity_id=None), "owner")
    assert Actor("caller", "request-1") == Actor.of(context(), "caller")


def test_a_call_through_cognito_has_its_identity():
    identity = "eu-central-1:0a1b2c3d-0000-0000-0000-000000000000"
    assert Actor(identity, "request-1") == Actor.of(context(cognito_identity_id=identity), "caller")
