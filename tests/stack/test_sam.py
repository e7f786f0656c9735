"""The SAM CLI accepts the template and packages exactly the functions' code."""

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

import punctual
from punctual.local.emulation.emulator import Emulator
from tools.publishing import dist, sar
from tools.publishing.source import with_source

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SAM = Path(os.environ.get("PUNCTUAL_SAM", ROOT / ".venv-sam" / "bin" / "sam"))
AWS = Path(sys.executable).parent / "aws"
SAM_S_MAX = 120
BUCKET = "packages"
STRAYS = ("__pycache__/feed.pyc", "scheduler/__pycache__/feeding.pyc", ".mypy_cache/CACHEDIR.TAG", ".DS_Store")

Sam = Callable[..., str]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the SAM CLI reads, after the clean-up that precedes each `make build`."""
    project = tmp_path_factory.mktemp("project")
    # Other tests write __pycache__ during the copy.
    shutil.copytree(ROOT / "functions", project / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    (project / "docs").mkdir()
    for name in ("Makefile", "template.yml", "samconfig.toml", "docs/sar.md", "LICENSE"):
        shutil.copy(ROOT / name, project / name)
    for stray in STRAYS:
        path = project / "functions" / stray
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("left by a tool")
    subprocess.run(["make", "tidy-functions"], cwd=project, check=True)
    return project


@pytest.fixture(scope="module")
def sam(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Sam:
    """Run the SAM CLI there, without this machine's AWS settings and without Python on the path."""
    if not SAM.exists():
        pytest.fail(f"there is no {SAM}: `make test` installs it, or PUNCTUAL_SAM says where it is", pytrace=False)
    plain = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PATH": str(tmp_path_factory.mktemp("nothing")),
        "SAM_CLI_TELEMETRY": "0",
    }

    def run(*arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [SAM, *arguments],
            cwd=project,
            env=plain | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SAM_S_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.fixture(scope="module")
def template(sam: Sam, project: Path, emulator: Emulator) -> dict[str, Any]:
    """The template after `sam build` and `sam package`, with the code in a bucket of the local AWS."""
    emulator.client("s3").create_bucket(Bucket=BUCKET)
    sam("build")
    sam("package", "--s3-bucket", BUCKET, "--output-template-file", "packaged.yml", **emulator.environment())
    packaged: dict[str, Any] = yaml_parse((project / "packaged.yml").read_text())
    return packaged


def test_the_template_is_valid(sam: Sam) -> None:
    """`sam validate --lint` reports nothing."""
    assert "is a valid SAM Template" in sam("validate", "--lint")


def test_the_functions_share_one_package_with_exactly_their_code(template: dict[str, Any], emulator: Emulator) -> None:
    """It holds the files of functions/, byte by byte, whatever Python the build machine has."""
    [location] = {function["CodeUri"] for function in functions(template)}
    package = zipfile.ZipFile(io.BytesIO(fetched(emulator, location)))

    assert code() == {name: package.read(name) for name in package.namelist()}


def test_every_handler_is_in_the_package(template: dict[str, Any]) -> None:
    """The name of a handler is that of a file in functions/."""
    handlers = {function["Handler"].removesuffix(".handler") + ".py" for function in functions(template)}

    assert handlers <= code().keys()


@pytest.mark.parametrize(("field", "name"), [("LicenseUrl", "LICENSE"), ("ReadmeUrl", "docs/sar.md")])
def test_the_package_names_licence_and_readme(
    template: dict[str, Any], emulator: Emulator, field: str, name: str
) -> None:
    """`sam publish` takes them from where `sam package` put them."""
    location = template["Metadata"]["AWS::ServerlessRepo::Application"][field]

    assert (ROOT / name).read_bytes() == fetched(emulator, location)


def test_the_packaged_template_keeps_the_rules_of_the_repository(template: dict[str, Any], project: Path) -> None:
    """Only the address of the source is missing, which `make package` adds."""
    published = with_source(template, "https://example.com/someone/punctual", "0" * 40)

    assert [] == list(sar.faults(published, project))


def test_a_deploy_asks_nothing_and_keeps_earlier_parameters(sam: Sam, template: dict[str, Any]) -> None:
    """The defaults are in samconfig.toml. An update without changes, or without a parameter, is no error."""
    with Emulator() as emulator:
        sam("deploy", "--parameter-overrides", "PartitionCount=8", **emulator.environment())
        sam("deploy", **emulator.environment())

        [stack] = emulator.client("cloudformation").describe_stacks(StackName="punctual")["Stacks"]
    parameters = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack["Parameters"]}
    assert "8" == parameters.pop("PartitionCount")
    assert defaults(template).items() >= parameters.items()


def test_the_files_of_a_release_deploy_with_the_aws_cli(emulator: Emulator, tmp_path: Path) -> None:
    """The commands are those of docs/install.md, with names that are free here."""
    dist.write_stack(tmp_path)
    emulator.client("s3").create_bucket(Bucket="releases")
    section = (ROOT / "docs" / "install.md").read_text().split("\n## Deploy with the AWS CLI\n")[1]
    commands = section.split("```sh\n")[1].split("```")[0].replace("\\\n", " ").replace("your-bucket", "releases")
    for command in (
        commands.replace("1.0.0", punctual.__version__).replace("name punctual", "name released").splitlines()
    ):
        words = [str(AWS) if word == "aws" else word for word in command.split()]
        environment = os.environ | emulator.environment()
        done = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=SAM_S_MAX, check=False
        )
        assert 0 == done.returncode, done.stderr

    [stack] = emulator.client("cloudformation").describe_stacks(StackName="released")["Stacks"]
    assert "CREATE_COMPLETE" == stack["StackStatus"]
    assert punctual.__version__ in [output["OutputValue"] for output in stack["Outputs"]]


def defaults(template: dict[str, Any]) -> dict[str, str]:
    return {name: str(parameter.get("Default", "")) for name, parameter in template["Parameters"].items()}


def functions(template: dict[str, Any]) -> list[dict[str, Any]]:
    resources = template["Resources"].values()
    return [resource["Properties"] for resource in resources if resource["Type"] == "AWS::Serverless::Function"]


def code() -> dict[str, bytes]:
    """Return the code of the functions by its path in functions/."""
    folder = ROOT / "functions"
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def fetched(emulator: Emulator, location: str) -> bytes:
    """Return the content of `s3://bucket/key`."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    body: bytes = emulator.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return body
