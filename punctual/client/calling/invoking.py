"""Invoke the functions of a stack, repeat what may be repeated, and raise the errors of Punctual.

A call that certainly had no effect is always repeated: it was throttled, or no connection came about. A call with an
unknown outcome is repeated only if a repeat does no harm. Otherwise the caller gets `NotConfirmed`.
"""

from __future__ import annotations

import enum
import json
import logging
import random
import re
from collections.abc import Callable
from typing import Any

from punctual.client import errors, request
from punctual.client.backend import Backend
from punctual.client.calling import aws_errors, rights
from punctual.client.calling.aws_errors import Interrupted, Throttled
from punctual.client.errors import AccessDenied, FunctionFailed, NotConfirmed, PunctualError, StackNotFound, Unreachable
from punctual.client.outputs import Outputs

TRIES_MAX = 7
PAUSE_S_FIRST, PAUSE_S_MAX = 0.2, 8.0
CONNECT_TRIES_MAX = 3
"""The tries if no call has ever come through. The endpoint is probably wrong, and its caller waits for the error."""

log = logging.getLogger("punctual")

_KINDS = {
    kind.__name__: kind
    for kind in (errors.InvalidSchedule, errors.InvalidRequest, errors.NotFound, errors.OnItsWay, NotConfirmed)
}
_FIELD = re.compile(r"'?([a-z_]+)'? (?:is|are|holds|and [a-z_]+ are)\b")


class Repeat(enum.Enum):
    """Whether a call may be repeated after an unknown outcome."""

    NEVER = "it might act twice"
    SAFE = "it has the same effect, but a refusal does not tell what the first call did"
    SETTLES = "its answer holds whatever the first call did"


class Invoker:
    """Invokes the functions of one stack."""

    def __init__(self, backend: Backend, outputs: Outputs) -> None:
        self._backend, self._outputs = backend, outputs
        self._reached = False
        self._denied: set[str] = set()

    @property
    def reached(self) -> bool:
        """Whether a call has ever come through. If none has, the endpoint is probably wrong."""
        return self._reached

    def schedule(self, payload: bytes) -> Any:
        """Invoke the schedule function with a request or a batch that has a token."""
        return self._invoke("ScheduleFunction", payload, Repeat.SAFE)

    def send(self, payload: bytes, stopped: Callable[[], bool]) -> Any:
        """Invoke the schedule function with a batch. Raise NotConfirmed at the first try with an unknown outcome."""
        return self._invoke("ScheduleFunction", payload, Repeat.NEVER, stopped)

    def manage(self, operation: str, fields: dict[str, Any], repeat: Repeat = Repeat.SETTLES) -> Any:
        """Invoke the manage function with an operation, or a function with smaller rights if IAM denies that one.

        The next operations go straight to the function that IAM allowed.
        """
        functions = rights.functions_for(operation)
        denied: AccessDenied | None = None
        for function in [each for each in functions if each not in self._denied] or functions:
            try:
                return self.operate(function, operation, fields, repeat)
            except AccessDenied as error:
                self._denied.add(function)
                denied = denied or error
            except StackNotFound:  # A stack of an earlier version, or outputs from the caller, may lack the function.
                if denied is None:
                    raise
        assert denied is not None
        raise denied

    def operate(self, function: str, operation: str, fields: dict[str, Any], repeat: Repeat) -> Any:
        """Invoke any function that carries out operations, by its output."""
        payload = request.encoded({"operation": operation, **fields})
        return self._invoke(function, payload, repeat, advice=rights.advice(function, operation))

    def administer(self, operation: str, fields: dict[str, Any], repeat: Repeat) -> Any:
        """Invoke the admin function with an operation."""
        return self.operate("AdminFunction", operation, fields, repeat)

    def _invoke(
        self,
        output: str,
        payload: bytes,
        repeat: Repeat,
        stopped: Callable[[], bool] = lambda: False,
        *,
        advice: str = "",
    ) -> Any:
        advice = advice or rights.advice(output)
        unknown: PunctualError | None = None
        failure: PunctualError | None = None
        for attempt in range(TRIES_MAX):
            if failure is not None:
                if stopped():
                    break
                self._pause(output, attempt, failure)
            try:
                answer = self._once(output, payload, advice)
            except PunctualError as error:
                failure = error
                unknown = error if _is_unknown(error) else unknown
                if not self._try_again(error, attempt, repeat):
                    break
            else:
                self._reached = True
                return answer
        assert failure is not None
        raise _final(failure, unknown, repeat) from failure.__cause__

    def _try_again(self, error: PunctualError, attempt: int, repeat: Repeat) -> bool:
        if _is_unknown(error):
            return repeat is not Repeat.NEVER
        if isinstance(error, Throttled):
            return True
        return _is_passing(error) and (self._reached or attempt + 1 < CONNECT_TRIES_MAX)

    def _pause(self, output: str, attempt: int, failure: PunctualError) -> None:
        pause_s = min(PAUSE_S_MAX, PAUSE_S_FIRST * 2 ** (attempt - 1)) * random.uniform(0.5, 1)
        log.info("%s: try %d in %.1f s (%s)", output, attempt + 1, pause_s, failure.code)
        self._backend.sleep(pause_s)

    def _once(self, output: str, payload: bytes, advice: str) -> Any:
        name = self._outputs.get(output)
        try:
            with aws_errors.translated("lambda:InvokeFunction", advice):
                answer = self._backend.client("lambda").invoke(FunctionName=name, Payload=payload)
                content = answer["Payload"].read()
        except StackNotFound:
            self._outputs.forget()
            raise
        if not answer.get("FunctionError"):
            return json.loads(content)
        raise _function_error(name, content, answer.get("ResponseMetadata", {}).get("RequestId"))


def field_of(message: str) -> str | None:
    """Return the field that a message of the functions names first, if any."""
    found = _FIELD.match(message)
    return found[1] if found else None


def _function_error(name: str, content: bytes, request_id: str | None) -> PunctualError:
    try:
        facts = json.loads(content)
    except ValueError:
        facts = {}
    kind, message = str(facts.get("errorType", "")), str(facts.get("errorMessage", ""))
    if kind in _KINDS:
        field = field_of(message) if kind.startswith("Invalid") else None
        return _KINDS[kind](message, field=field, request_id=request_id)
    if kind == "Sandbox.Timedout" or "Task timed out" in message:
        return NotConfirmed(f"the function {name} ran out of time; try again", request_id=request_id)
    return FunctionFailed(
        f"the function {name} failed with {kind or 'an error'}: {message}; its log says more", request_id=request_id
    )


def _is_unknown(error: PunctualError) -> bool:
    """Return whether the call may have had an effect."""
    return isinstance(error, NotConfirmed | Interrupted)


def _is_passing(error: PunctualError) -> bool:
    """Return whether the call had no effect, and the next one may succeed."""
    return isinstance(error, Unreachable) and error.retryable


def _final(failure: PunctualError, unknown: PunctualError | None, repeat: Repeat) -> PunctualError:
    """Return the error for the caller. `unknown` is the last one whose call may have had an effect."""
    if unknown is None:
        return failure
    if not (_is_unknown(failure) or _is_passing(failure)):
        return failure if repeat is Repeat.SETTLES else _unsettled(unknown, failure)
    if isinstance(unknown, NotConfirmed):
        return unknown
    return NotConfirmed(f"{unknown}; it may or may not have had an effect", request_id=unknown.request_id)


def _unsettled(unknown: PunctualError, refusal: PunctualError) -> NotConfirmed:
    return NotConfirmed(
        f"an earlier try may have had an effect ({unknown}), and a repeat was answered with {refusal.code}: {refusal}",
        request_id=refusal.request_id,
    )
