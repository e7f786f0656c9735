"""The functions' own code, as it lies in the repository or in the installed package, and fresh copies of its handlers.

The code is imported under names of its own (`scheduler`), as on Lambda; here they are taken out of the way again
right after, so that a module of the same name in somebody's own tests is never mistaken for it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_PACKAGE = Path(__file__).resolve().parent.parent


class Missing(Exception):
    """Neither the repository nor the installed package holds what is wanted."""


def stack_file(name: str) -> Path:
    """A file or folder of the stack: beside the package in the repository, within it where it is installed."""
    for folder in (_PACKAGE.parent, _PACKAGE / "stack"):
        if (folder / "template.yml").is_file() and (folder / name).exists():
            return folder / name
    raise Missing(f"{name} is neither beside {_PACKAGE.name}/ nor in {_PACKAGE.name}/stack/")


class Source:
    """The code of all functions. What a module of it prints goes to `write`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.write: Callable[[str], None] = lambda line: None
        self._modules: dict[str, ModuleType] = {}
        self._handlers: dict[str, CodeType] = {}
        importlib.invalidate_caches()
        with self._in_sight():
            self.world: Any = importlib.import_module("scheduler.world")

    def handler(self, path: str, environment: Mapping[str, str], outside: Callable[[], Any]) -> Callable[..., Any]:
        """A handler as a cold start makes it: its module runs anew, in this environment and this world.

        The package behind the handlers is shared by all; it holds nothing that changes, which a test makes sure of.
        """
        name, _, function = path.rpartition(".")
        if name not in self._handlers:
            file = self.folder / f"{name}.py"
            self._handlers[name] = compile(file.read_text(encoding="utf-8"), str(file), "exec")
        module = ModuleType(name)
        module.__dict__["print"] = self._print
        with self._in_sight(), _environment(environment):
            original, self.world.outside = self.world.outside, outside
            try:
                exec(self._handlers[name], module.__dict__)
            finally:
                self.world.outside = original
        handler: Callable[..., Any] = getattr(module, function)
        return handler

    def world_of(self, **parts: Any) -> Any:
        """The functions' own World, with other parts."""
        return self.world.World(**parts)

    def modules(self) -> dict[str, ModuleType]:
        return dict(self._modules)

    @contextmanager
    def _in_sight(self) -> Iterator[None]:
        """Our modules stand in for whatever has their names, for as long as a handler is loaded."""
        theirs = {name: sys.modules.pop(name) for name in _ours_in_sight()}
        sys.modules.update(self._modules)
        sys.path.insert(0, str(self.folder))
        try:
            yield
        finally:
            sys.path.remove(str(self.folder))
            for name in _ours_in_sight():
                module = sys.modules.pop(name)
                if name not in self._modules:
                    module.__dict__["print"] = self._print
                    self._modules[name] = module
            sys.modules.update(theirs)

    def _print(self, *values: object, **_: object) -> None:
        self.write(" ".join(map(str, values)))


def _ours_in_sight() -> list[str]:
    return [name for name in sys.modules if name.startswith("scheduler") and name.split(".")[0] == "scheduler"]


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """What Lambda gives a function, and nothing of the machine that this runs on."""
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
