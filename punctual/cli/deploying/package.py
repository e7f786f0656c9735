"""The template as CloudFormation takes it: with the functions' code in a bucket instead of a folder."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from punctual import stack_files
from punctual.cli.deploying.bucket import Bucket
from punctual.cli.errors import WrongUsage

_CODE = re.compile(r"^(?P<start> +CodeUri: )functions/$", re.MULTILINE)
# They are for the local AWS. On AWS, 127.0.0.1 is the machine on which the function runs.
_PLAIN_HTTP = re.compile(r"(^|[\s,])http://", re.IGNORECASE)


@dataclass(frozen=True)
class Package:
    """The template and the functions that this installation brings."""

    template: str
    functions: Path

    @classmethod
    def installed(cls) -> Package:
        template = stack_files.stack_file("template.yml").read_text(encoding="utf-8")
        return cls(template, stack_files.stack_file("functions"))

    @property
    def version(self) -> str:
        return stack_files.version(self.template)

    @property
    def parameters(self) -> list[str]:
        return stack_files.parameter_names(self.template)

    def given(self, words: tuple[str, ...]) -> dict[str, str]:
        """Return the parameters of the command line. Raise WrongUsage if the template has no such parameter."""
        try:
            return stack_files.parsed_parameters(words, self.parameters)
        except ValueError as error:
            raise WrongUsage(f"--parameter: {error}") from None

    def upload(self, bucket: Bucket) -> str:
        """Upload the code and the template, and return the address of the template."""
        code = bucket.upload(f"functions/{stack_files.digest(self.functions)}.zip", stack_files.zipped(self.functions))
        body = self.packaged(code).encode()
        key = f"templates/{hashlib.sha256(body).hexdigest()}.yml"
        bucket.upload(key, body)
        return bucket.url(key)

    def packaged(self, code: str) -> str:
        """Return the template with the address of the code in every function."""
        packaged, count = _CODE.subn(lambda found: found["start"] + code, self.template)
        if not count:
            raise ValueError("the template has no function with the code of the folder functions/")
        return packaged


def refuse_local_settings(given: dict[str, str]) -> None:
    """Raise WrongUsage for parameters that are meant for the local AWS."""
    if _PLAIN_HTTP.search(given.get("WebhookHosts", "")):
        raise WrongUsage(
            "WebhookHosts lists a host with http://, which is for the local stack only (punctual dev); "
            "name the host without a scheme, and it is called over HTTPS"
        )
    if given.get("WebhookAllowPrivate") == "true":
        raise WrongUsage("WebhookAllowPrivate=true is for the local stack only (punctual dev); leave it out")
