"""Load the functions' own code from the repository or the installed package, with fresh copies of its handlers.

The code is imported under its own names (`scheduler`), as on Lambda. These names are removed from `sys.modules` right
after, so that a user's test never gets our module instead of its own of the same name.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

PACKAGE = "scheduler"
"""The package of the functions."""


class Source:
    """The code of all functions. `write` gets everything that its modules print."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.write: Callable[[str], None] = lambda line: None
        self._modules: dict[str, ModuleType] = {}
        self._handlers: dict[str, CodeType] = {}
        self._builtins = {**vars(builtins), "__import__": self._import}
        self._finder = _Finder(self.folder, self._builtins)
        importlib.invalidate_caches()
        with self._in_sight():
            self.runtime_module: Any = importlib.import_module("scheduler.wiring.runtime")

    def handler(self, path: str, environment: Mapping[str, str], runtime: Callable[[], Any]) -> Callable[..., Any]:
        """Return a handler as a cold start makes it: its module runs anew, in this environment and this runtime.

        All handlers share the package behind them. It has no state that changes, and a test ensures that.
        """
        name, _, function = path.rpartition(".")
        if name not in self._handlers:
            file = self.folder / f"{name}.py"
            self._handlers[name] = compile(file.read_text(encoding="utf-8"), str(file), "exec")
        module = ModuleType(name)
        module.__dict__.update({"print": self._print, "__builtins__": self._builtins})
        with self._in_sight(), _environment(environment):
            original, self.runtime_module.current = self.runtime_module.current, runtime
            try:
                exec(self._handlers[name], module.__dict__)
            finally:
                self.runtime_module.current = original
        handler: Callable[..., Any] = getattr(module, function)
        return handler

    def runtime_of(self, **parts: Any) -> Any:
        """Return the functions' own Runtime, with other parts."""
        return self.runtime_module.Runtime(**parts)

    @property
    def call_s_max(self) -> float:
        """Return the longest that the functions wait for an answer of AWS."""
        return float(self._modules[f"{PACKAGE}.wiring.clients"].CALL_S_MAX)

    def undelivered(self, error: str, **facts: Any) -> Exception:
        """Return the functions' own Undelivered, for a transport that replaces one of theirs."""
        failure: Exception = self._modules[f"{PACKAGE}.errors"].Undelivered(error, **facts)
        return failure

    def webhook_headers(
        self, webhook: Mapping[str, Any], id: str, due_ms: int, data: str, application: str = ""
    ) -> dict[str, str]:
        """Return the headers that the functions' own transport sends with a webhook, with their names in lower case."""
        with self._in_sight():
            transport: Any = importlib.import_module(f"{PACKAGE}.transports.webhook")
        parts = {"headers": webhook.get("headers", {}), "cookies": webhook.get("cookies", {})}
        origin = SimpleNamespace(authority=urlsplit(webhook["url"]).netloc)
        schedule = SimpleNamespace(id=id, due_ms=due_ms, data=data)
        headers = transport._headers(SimpleNamespace(origin=origin, **parts), schedule, application)
        return {name.lower(): value for name, value in headers.items()}

    def modules(self) -> dict[str, ModuleType]:
        return dict(self._modules)

    @contextmanager
    def _in_sight(self) -> Iterator[None]:
        """Put our modules in place of any modules with the same names while a handler is loaded."""
        theirs = {name: sys.modules.pop(name) for name in _ours_in_sight()}
        sys.modules.update(self._modules)
        sys.meta_path.insert(0, self._finder)
        try:
            yield
        finally:
            sys.meta_path.remove(self._finder)
            for name in _ours_in_sight():
                module = sys.modules.pop(name)
                if name not in self._modules:
                    module.__dict__["print"] = self._print
                    self._modules[name] = module
            sys.modules.update(theirs)

    def _import(self, name: str, *how: Any, **named: Any) -> ModuleType:
        """Import our own module also when our code imports it while it runs."""
        loaded, parts = self._modules.get(name), how[2] if len(how) > 2 else None
        if loaded is not None and parts and all(part in loaded.__dict__ for part in parts):
            return loaded  # The normal case after the first import.
        if name.partition(".")[0] != PACKAGE or self._finder in sys.meta_path:
            return builtins.__import__(name, *how, **named)
        with self._in_sight():
            return builtins.__import__(name, *how, **named)

    def _print(self, *values: object, **_: object) -> None:
        self.write(" ".join(map(str, values)).removesuffix("\n"))


class _Finder(MetaPathFinder):
    """Finds our package in its folder.

    Its modules see their own builtins from their first line on, because a function keeps the builtins that it was
    defined with.
    """

    def __init__(self, folder: Path, own_builtins: dict[str, Any]) -> None:
        self._folder, self._builtins = folder, own_builtins

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] != PACKAGE:
            return None
        spec = PathFinder.find_spec(name, path or [str(self._folder)], target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin, self._builtins)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, own_builtins: dict[str, Any]) -> None:
        super().__init__(name, path)
        self._builtins = own_builtins

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._builtins
        super().exec_module(module)


def _ours_in_sight() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == PACKAGE]


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set the environment variables that Lambda gives a function, and hide those of this machine."""
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
