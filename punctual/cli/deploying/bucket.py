"""The bucket that a deployment reads its code from. It is made if it is missing, and nothing in it is ever deleted.

Every call names the account that must own the bucket, so that nothing goes to a bucket of somebody else's with that
name. A setting that is there already is left as it is, because the owner may want it stricter. An interrupted run
leaves a bucket without some settings, and the next run adds them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from punctual.cli.deploying.aws import Place, called, code_of
from punctual.cli.errors import CommandFailed
from punctual.client.errors import PunctualError

if TYPE_CHECKING:
    from punctual.cli.run import Run

MISSING = ("404", "NoSuchBucket", "NoSuchKey", "NotFound")
NOT_OURS = ("403", "Forbidden", "AccessDenied", "BucketAlreadyExists")


class Setting(NamedTuple):
    """A setting of the bucket: its part of the operations' names, the code for its absence, and its value."""

    name: str
    absent: str
    value: dict[str, Any]


class Bucket:
    """The bucket of one account and region."""

    def __init__(self, run: Run, place: Place, name: str | None = None) -> None:
        self.name = name or f"punctual-deploy-{place.account}-{place.region}"
        self._run, self._place = run, place

    def prepare(self) -> bool:
        """Make the bucket if it is missing, and protect it. Return whether it is new."""
        is_new = not self._exists()
        if is_new:
            self._make()
        for setting in self._settings():
            if is_new or not self._has(setting):
                self._call(f"Put{setting.name}", **setting.value)
        return is_new

    def upload(self, key: str, content: bytes) -> str:
        """Store an object unless it is there, and return its `s3://` address. The key is a hash of the content."""
        try:
            self._call("HeadObject", Key=key)
        except PunctualError as error:
            if code_of(error) not in (*MISSING, "403"):  # The answer to whoever may not list the bucket.
                raise
            self._call("PutObject", Key=key, Body=content)
        return f"s3://{self.name}/{key}"

    def url(self, key: str) -> str:
        """Return the address under which CloudFormation reads an object."""
        return f"{self._run.client('s3').meta.endpoint_url}/{self.name}/{key}"

    def _exists(self) -> bool:
        try:
            self._call("HeadBucket")
        except PunctualError as error:
            if code_of(error) in MISSING:
                return False
            if code_of(error) in NOT_OURS:
                raise self._not_ours() from error
            raise
        return True

    def _make(self) -> None:
        where = {} if self._place.region == "us-east-1" else {"LocationConstraint": self._place.region}
        optional = {"CreateBucketConfiguration": where} if where else {}
        try:
            called(self._run, "s3", "CreateBucket", Bucket=self.name, ObjectOwnership="BucketOwnerEnforced", **optional)
        except PunctualError as error:
            if code_of(error) == "BucketAlreadyExists":
                raise self._not_ours() from error
            if code_of(error) != "BucketAlreadyOwnedByYou":  # Another deployment was faster.
                raise

    def _not_ours(self) -> CommandFailed:
        return CommandFailed(
            f"the bucket {self.name} is not yours, or you may not use it: "
            "ask for s3:ListBucket on it, or name another bucket with --bucket"
        )

    def _has(self, setting: Setting) -> bool:
        try:
            self._call(f"Get{setting.name}")
        except PunctualError as error:
            if code_of(error) == setting.absent:
                return False
            raise
        return True

    def _settings(self) -> list[Setting]:
        encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
        blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        return [
            Setting(
                "PublicAccessBlock",
                "NoSuchPublicAccessBlockConfiguration",
                {"PublicAccessBlockConfiguration": dict.fromkeys(blocked, True)},
            ),
            Setting(
                "BucketOwnershipControls",
                "OwnershipControlsNotFoundError",
                {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
            ),
            Setting(
                "BucketEncryption",
                "ServerSideEncryptionConfigurationNotFoundError",
                {"ServerSideEncryptionConfiguration": encryption},
            ),
            Setting("BucketPolicy", "NoSuchBucketPolicy", {"Policy": json.dumps(self._tls_only())}),
        ]

    def _tls_only(self) -> dict[str, Any]:
        partition = self._run.client("s3").meta.partition
        arn = f"arn:{partition}:s3:::{self.name}"
        refused = {
            "Sid": "RefusePlainHttp",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        return {"Version": "2012-10-17", "Statement": [refused]}

    def _call(self, operation: str, **arguments: Any) -> Any:
        return called(
            self._run, "s3", operation, Bucket=self.name, ExpectedBucketOwner=self._place.account, **arguments
        )
