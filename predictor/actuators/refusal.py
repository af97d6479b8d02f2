"""An API server's refusal as a reason.

`kubernetes.py` and `listing.py` call it with every answer that is not a success. Pure; the server's
own message is kept, cut to a length that fits an audit record.
"""

from __future__ import annotations

import msgspec

from predictor.actuators.connection import TOO_MANY_REQUESTS, Answer
from predictor.core.reasons import Code, Reason

_MESSAGE_MAX = 300
_SERVER_ERROR = 500
_CODES = {
    401: Code.FORBIDDEN,
    403: Code.FORBIDDEN,
    404: Code.TARGET_MISSING,
    409: Code.MOVED_ON,
    410: Code.MOVED_ON,
    TOO_MANY_REQUESTS: Code.UNREACHABLE,
}
_CONFLICT = 409
_UNPROCESSABLE = 422
_MANAGER_CONFLICT = b"FieldManagerConflict"


class _Status(msgspec.Struct, frozen=True):
    message: str = ""
    details: dict[str, msgspec.Raw] | None = None


def refusal(answer: Answer, place: str) -> Reason:
    """What the status means for us, and what the server said about `place`.

    409 is two things (Kubernetes API conventions): the object moved on from the version that was
    sent, or another manager owns a field; only the second one names managers.
    """
    otherwise = Code.UNREACHABLE if answer.status >= _SERVER_ERROR else Code.REFUSED
    code = _CODES.get(answer.status, otherwise)
    if answer.status == _CONFLICT and _MANAGER_CONFLICT in answer.body:
        code = Code.CONFLICT
    return Reason(code, f"{place}: the API server answered {answer.status}: {_message(answer)}")


def patch_refusal(answer: Answer, place: str) -> Reason:
    """The same for a JSON Patch, whose failed test the server tells only by naming no fault."""
    if answer.status == _UNPROCESSABLE and not _status(answer).details:
        return Reason(Code.MOVED_ON, f"{place} changed between the last look and the write")
    return refusal(answer, place)


def _message(answer: Answer) -> str:
    message = _status(answer).message or answer.body[:_MESSAGE_MAX].decode(errors="replace")
    return message if len(message) <= _MESSAGE_MAX else f"{message[:_MESSAGE_MAX]}…"


def _status(answer: Answer) -> _Status:
    try:
        return msgspec.json.decode(answer.body, type=_Status)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Status()
