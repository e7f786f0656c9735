"""The boto3 clients of the functions: what they leave out, and that they are otherwise those of botocore."""

from __future__ import annotations

import gc
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.loaders
import botocore.session
import pytest
from botocore.loaders import JSONFileLoader

from scheduler.wiring import runtime
from scheduler.wiring.clients import Clients
from scheduler.wiring.data_files import DataFiles

SERVICES = ("dynamodb", "sqs", "lambda", "sns", "events", "stepfunctions", "secretsmanager", "apigateway")


@pytest.mark.parametrize("service", ["dynamodb", "sqs", "lambda"])
def test_clients_time_out_after_five_seconds_and_never_retry(cloud, service):
    """A try is one call, and leaves time to act on its result."""
    config = runtime.current().client(service, 3).meta.config
    assert (1, 4, 1, 3) == (
        config.connect_timeout,
        config.read_timeout,
        config.retries["total_max_attempts"],
        config.max_pool_connections,
    )
    assert "AWS_MAX_ATTEMPTS" not in os.environ


def test_clients_that_many_threads_want_at_once_are_complete(cloud):
    """The first thread of a worker pool makes the client of a target's service."""
    make, services = runtime.current().client, ["sns", "lambda", "events", "stepfunctions"] * 3
    with ThreadPoolExecutor(len(services)) as pool:
        made = list(pool.map(lambda service: make(service, 1), services))
    assert [] == made[0].list_topics()["Topics"]
    assert ["sns", "lambda", "events", "states"] * 3 == [client.meta.service_model.endpoint_prefix for client in made]
    assert gc.isenabled()


def facts_of(client: Any) -> dict[str, Any]:
    """Return what botocore has read about a service."""
    model = client.meta.service_model
    shapes = {name: model.shape_for(name) for name in model.shape_names}
    return {
        "operations": {name: vars(model.operation_model(name))["_operation_model"] for name in model.operation_names},
        "shapes": {name: (shape.type_name, shape.metadata) for name, shape in shapes.items()},
        "metadata": model.metadata,
        "endpoint": client.meta.endpoint_url,
        "signing": (client.meta.region_name, client.meta.config.signature_version),
    }


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "cn-north-1"])
@pytest.mark.parametrize("service", SERVICES)
def test_a_client_has_the_same_model_as_one_of_botocore(monkeypatch, service, region):
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    assert facts_of(botocore.session.Session().create_client(service)) == facts_of(Clients().make(service, 1))


def test_a_client_is_made_without_a_look_at_other_services(monkeypatch):
    """Botocore would list the folders of all 400 services, which takes a tenth of a cold start."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    listed: list[str] = []
    list_folder = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(str(path)) or list_folder(path))
    Clients().make("sqs", 1)
    assert {"sqs"} == {Path(path).name for path in listed}


def test_a_service_that_botocore_does_not_know_is_named(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with pytest.raises(Exception, match="carrier-pigeon"):
        Clients().make("carrier-pigeon", 1)


def test_a_botocore_with_other_loaders_reads_its_files_itself(monkeypatch):
    """Every function needs its clients, also after an update of the runtime."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.delattr(botocore.loaders, "JSONFileLoader")
    monkeypatch.delitem(sys.modules, "scheduler.wiring.data_files")
    assert "https://sqs.eu-central-1.amazonaws.com" == Clients().make("sqs", 1).meta.endpoint_url


def test_files_of_a_later_botocore_are_read_as_it_reads_them(monkeypatch):
    """It has had plain JSON, and then compressed JSON. A third kind must not stop the functions."""
    monkeypatch.setattr(JSONFileLoader, "load_file", lambda self, path: {"read": path})
    assert {"read": "/nowhere/service-2"} == DataFiles().file_loader.load_file("/nowhere/service-2")
