"""Read the data files of botocore, which describe the services, in less time than botocore needs.

Before botocore reads the two files of a service, it looks for such files in the folders of all 400 services. It also
makes an `OrderedDict` of each JSON object, which takes twice as long as a plain dictionary. Dictionaries had no order
when botocore was written.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader, Loader

_READ: dict[str, Callable[[Path], bytes]] = {
    ".json": Path.read_bytes,
    ".json.gz": lambda path: gzip.decompress(path.read_bytes()),
}


class DataFiles(Loader):
    """The files of each service that is asked for. It lists no others, and does not read `AWS_DATA_PATH`."""

    def __init__(self) -> None:
        super().__init__(file_loader=_JsonFiles())
        self._services: set[str] = set()

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        self._services.add(service_name)
        return super().load_service_model(service_name, type_name, api_version)

    def list_available_services(self, type_name: str) -> list[str]:
        """Return the services that were asked for. A missing file is noticed when it is read."""
        return sorted(self._services)


class _JsonFiles(JSONFileLoader):
    def load_file(self, file_path: str) -> Any:
        for ending, read in _READ.items():
            try:
                return json.loads(read(Path(file_path + ending)))
            except FileNotFoundError:
                continue
        # None for a missing file, such as the `sdk-extras` of most services. A later botocore may have other kinds.
        return super().load_file(file_path)
