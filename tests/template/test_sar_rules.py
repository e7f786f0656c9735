"""`make publish` checks a template against the documented rules of the Serverless Application Repository (SAR).

Each test breaks one rule, and the check names it in one line.
"""

import copy
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

import punctual
from tests.template_document import template_document
from tools.publishing import resources, sar
from tools.publishing.metadata import FILE_BYTES_MAX
from tools.publishing.source import with_source

ROOT = Path(__file__).parents[2]
KEY = "AWS::ServerlessRepo::Application"
SOURCE, COMMIT = "https://example.com/someone/punctual", "0123456789abcdef0123456789abcdef01234567"
TEXT = (ROOT / "template.yml").read_text()


@pytest.fixture(scope="module")
def packaged():
    """The template as `make package` leaves it, with licence and readme still on this machine."""
    return with_source(yaml_parse(TEXT.replace("CodeUri: functions/\n", "CodeUri: s3://bucket/key\n")), SOURCE, COMMIT)


@pytest.fixture
def template(packaged):
    """A copy for one test, because parsing takes half a second."""
    return copy.deepcopy(packaged)


def faults(template, folder=ROOT):
    return list(sar.faults(template, folder))


def with_metadata(template, **fields):
    metadata = {name: value for name, value in {**template["Metadata"][KEY], **fields}.items() if value is not None}
    return {**template, "Metadata": {KEY: metadata}}


def with_resource(template, **resource):
    return {**template, "Resources": {**template["Resources"], "Added": resource}}


def test_the_template_keeps_every_rule(template):
    assert [] == faults(template)


def test_the_template_of_the_repository_is_not_published_as_it_is():
    """Its code is in a folder, and the source is missing."""
    found = faults(copy.deepcopy(template_document()))
    assert "HomePageUrl is missing; SAR wants an https:// address, 2048 characters at most" in found
    assert any(
        each.startswith("the code of FeedFunction is at functions/; publish the template that") for each in found
    )


@pytest.mark.parametrize(
    "transform",
    [
        ["AWS::Serverless-2016-10-31", "AWS::LanguageExtensions"],
        "AWS::LanguageExtensions",
        "AWS::Include",
        [],
    ],
)
def test_another_transform_is_a_fault(template, transform):
    found = faults({**template, "Transform": transform})
    assert any(each.startswith("Transform is ") and "and no other" in each for each in found)


def test_a_macro_in_a_resource_is_a_fault(template):
    topic = {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": "s3://bucket/more.yml"}}}
    found = faults(with_resource(template, Type="AWS::SNS::Topic", Properties=topic))
    assert "Fn::Transform is in the template; SAR takes no macros" in found


@pytest.mark.parametrize("kind", ["AWS::Scheduler::Schedule", "AWS::Lambda::Url", "Custom::Thing"])
def test_a_resource_that_the_repository_does_not_take_is_a_fault(template, kind):
    found = faults(with_resource(template, Type=kind, Properties={}))
    assert [f"Added has the type {kind}, which SAR does not take; see sar_resources.txt"] == found


def test_a_resource_that_sam_makes_counts_too(template):
    """A function URL is a property of a function, and a resource after the transform."""
    function = template["Resources"]["ViewFunction"]["Properties"]
    function["FunctionUrlConfig"] = {"AuthType": "AWS_IAM"}
    assert ["ViewFunctionUrl has the type AWS::Lambda::Url, which SAR does not take; see sar_resources.txt"] == [
        each for each in faults(template) if "Url has" in each
    ]


@pytest.mark.parametrize(
    "author", ["Punctual contributors", "Punctual", "punctual--contributors", "-punctual", "", None]
)
def test_an_author_out_of_pattern_is_a_fault(template, author):
    (found,) = faults(with_metadata(template, Author=author))
    assert found.startswith("Author is ")
    assert found.endswith("SAR wants lower-case letters, digits and single hyphens, 127 characters at most")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Name", "point in time"),
        ("Name", "p" * 141),
        ("Description", ""),
        ("Description", "d" * 257),
        ("SemanticVersion", "1.0"),
        ("SemanticVersion", "v1.0.0"),
        ("SemanticVersion", "01.0.0"),
        ("SemanticVersion", {"Ref": "Version"}),
        ("SpdxLicenseId", None),
        ("HomePageUrl", "http://example.com/"),
        ("SourceCodeUrl", "https://example"),
    ],
)
def test_metadata_out_of_pattern_is_a_fault(template, field, value):
    (found, *_) = faults(with_metadata(template, **{field: value}))
    assert found.startswith(f"{field} is ")


@pytest.mark.parametrize("version", ["1.0.0", "1.10.0-rc.1", "2.0.0+build.7"])
def test_every_semantic_version_is_accepted(template, version):
    assert [] == faults(with_metadata(template, SemanticVersion=version))


def test_labels_have_a_pattern_and_a_number(template):
    assert ["there are 11 Labels; SAR takes 10"] == faults(with_metadata(template, Labels=list("abcdefghijk")))
    (found,) = faults(with_metadata(template, Labels=["point in time"]))
    assert found.startswith("the label 'point in time' is out of pattern")


def test_an_unknown_field_of_the_metadata_is_a_fault(template):
    assert ["Licence is no field of the metadata"] == faults(with_metadata(template, Licence="MIT"))


@pytest.fixture
def folder(tmp_path):
    """A folder with the files that the metadata names."""
    (tmp_path / "docs").mkdir()
    for name in ("LICENSE", "docs/sar.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_a_missing_licence_is_a_fault(template, folder):
    (folder / "LICENSE").unlink()
    assert ["LicenseUrl is LICENSE, and there is no such file"] == faults(template, folder)
    assert ["LicenseUrl is missing; SAR wants the path of a file"] == faults(with_metadata(template, LicenseUrl=None))


def test_the_licence_is_the_one_that_the_metadata_names(template, folder):
    (folder / "LICENSE").write_text("All rights reserved.")
    assert ["LICENSE is not the text of the licence MIT"] == faults(template, folder)
    assert ["SpdxLicenseId is 'ISC'; this check knows MIT"] == faults(with_metadata(template, SpdxLicenseId="ISC"))


@pytest.mark.parametrize("size", [0, FILE_BYTES_MAX + 1])
def test_a_readme_has_a_size(template, folder, size):
    (folder / "docs" / "sar.md").write_bytes(b"x" * size)
    assert [f"docs/sar.md has {size:,} bytes; SAR takes from 1 to 5,242,880"] == faults(template, folder)


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("[more](reference.md)", "reference.md"),
        ("![way](docs/way.svg)", "docs/way.svg"),
        ('<img src="a.png">', "a.png"),
    ],
)
def test_a_relative_link_in_the_readme_is_a_fault(template, folder, text, link):
    """SAR shows the page without the repository around it."""
    (folder / "docs" / "sar.md").write_text(f"# Punctual\n\n{text}\n")
    assert [f"docs/sar.md links to {link}; SAR shows the file alone: write a whole address"] == faults(template, folder)


def test_a_template_that_is_too_large_is_a_fault(template):
    template["Outputs"] = {f"Output{number}": {"Value": "x"} for number in range(201)}
    assert ["the template has 201 outputs; CloudFormation takes at most 200"] == faults(template)
    template["Outputs"] = {"Long": {"Value": "x" * 1_000_000}}
    (found,) = faults(template)
    assert re.fullmatch(r"the template has [\d,]+ bytes; CloudFormation takes at most 1,000,000", found)


@pytest.mark.parametrize("action", ["iam:*", "iam:PutRolePolicy", ["sqs:SendMessage", "iam:AttachRolePolicy"]])
def test_a_broad_right_is_a_fault(template, action):
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    policy = {"PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
    (found,) = faults(with_resource(template, Type="AWS::IAM::ManagedPolicy", Properties=policy))
    assert found.startswith("Added allows iam:")


def test_a_broad_managed_policy_is_a_fault(template):
    role = {
        "AssumeRolePolicyDocument": {},
        "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AWSLambda_FullAccess"],
    }
    assert ["Added has the policy AWSLambda_FullAccess; SAR refuses it: list the actions"] == faults(
        with_resource(template, Type="AWS::IAM::Role", Properties=role)
    )


def test_the_pages_name_the_capabilities(template):
    """A person who deploys the application acknowledges them."""
    needed = sar.capabilities(template)
    assert {"CAPABILITY_IAM", "CAPABILITY_RESOURCE_POLICY"} == needed
    page = (ROOT / "docs" / "install.md").read_text().split("\n## Deploy from the Serverless Application Repository")[1]
    for text in (page, (ROOT / "docs" / "sar.md").read_text()):
        assert needed == set(re.findall(r"CAPABILITY_[A-Z_]*[A-Z]", text))


def test_a_role_with_a_name_of_its_own_needs_another_capability(template):
    named = with_resource(template, Type="AWS::IAM::Role", Properties={"RoleName": "feed"})
    assert "CAPABILITY_NAMED_IAM" in sar.capabilities(named)


def test_the_list_of_types_has_its_source_and_its_date():
    text = resources.LIST.read_text()
    assert "https://docs.aws.amazon.com/serverlessrepo/latest/devguide/list-supported-resources.html" in text
    assert re.search(r"Read on 20\d\d-\d\d-\d\d", text)
    assert len(resources.supported()) > 50


@pytest.mark.parametrize(
    ("source", "commit", "wanted"),
    [
        ("git@example.com:someone/punctual", COMMIT, "wanted: an address such as https://github.com/owner/name"),
        (SOURCE, "main", "wanted: the 40 digits that `git rev-parse HEAD` prints"),
    ],
)
def test_a_source_without_a_public_address_is_refused(template, source, commit, wanted):
    with pytest.raises(ValueError, match=re.escape(wanted)):
        with_source(template, source, commit)


def test_the_commands_of_make_publish_add_the_source_and_check_the_template(tmp_path, template):
    """A fault ends the second command with status 1, so that make publishes nothing."""
    path = tmp_path / "published.json"
    metadata = {**template["Metadata"][KEY], "LicenseUrl": "s3://bucket/licence", "ReadmeUrl": "s3://bucket/readme"}
    del metadata["HomePageUrl"], metadata["SourceCodeUrl"]
    path.write_text(json.dumps({**template, "Metadata": {KEY: metadata}}))

    refused = run("sar", path)
    assert (1, "") == (refused.returncode, refused.stdout)
    assert 2 == refused.stderr.count("error: ")

    assert 0 == run("source", path, f"{SOURCE}.git", COMMIT).returncode
    accepted = run("sar", path)
    assert (0, "") == (accepted.returncode, accepted.stderr)
    assert f"punctual {punctual.__version__} keeps the rules of SAR." in accepted.stdout
    published = json.loads(path.read_text())["Metadata"][KEY]
    assert (SOURCE, f"{SOURCE}/tree/{COMMIT}") == (published["HomePageUrl"], published["SourceCodeUrl"])


def run(module, *arguments):
    command = [sys.executable, "-m", f"tools.publishing.{module}", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_make_publish_checks_before_it_publishes():
    makefile = (ROOT / "Makefile").read_text()
    package = makefile.split("\npackage: ")[1].split("\n\n")[0]
    steps = ["$(SAM) package", "tools/plain_template.py", "tools.publishing.source", "tools.publishing.sar"]
    assert steps == sorted(steps, key=package.index)
    assert makefile.split("\npublish: ")[1].startswith("package ")
