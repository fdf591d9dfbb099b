"""What passes between a process and its worker: messages of a JSON head and a body, each with its length before it."""

import struct
import traceback
from typing import BinaryIO, Literal

import msgspec

from modelway import errors
from modelway.errors import EngineError, ModelwayError

Kind = Literal["job", "told", "done", "failed"]
_LENGTHS = struct.Struct(">II")


class Message(msgspec.Struct, frozen=True):
    """`job` and `task` to the worker; `told`, `done` or `failed` back. `body` travels beside the JSON head."""

    kind: Kind
    job: str
    task: str = ""


class Failure(msgspec.Struct, frozen=True):
    """An exception of the worker: the name of a class of `modelway.errors`, its two parts, and the lines for --debug."""

    error: str
    problem: str
    fix: str = ""
    transient: bool = False
    trace: str = ""


def send(pipe: BinaryIO, message: Message, body: bytes = b"") -> None:
    head = msgspec.json.encode(message)
    pipe.write(_LENGTHS.pack(len(head), len(body)) + head + body)
    pipe.flush()


def receive(pipe: BinaryIO) -> tuple[Message, bytes] | None:
    """The next message, or None when the other side is gone, even in the middle of a message."""
    lengths = pipe.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head_length, body_length = _LENGTHS.unpack(lengths)
    data = pipe.read(head_length + body_length)
    if len(data) < head_length + body_length:
        return None
    return msgspec.json.decode(data[:head_length], type=Message), data[head_length:]


def failure_of(error: BaseException, task: str) -> Failure:
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, ModelwayError):
        transient = bool(getattr(error, "transient", False))
        return Failure(type(error).__name__, error.problem, error.fix, transient, trace)
    words = f"{task} failed: {type(error).__name__}: {error}"
    return Failure(
        "EngineError", words, "this is a fault of Modelway: run again with --debug and report it", False, trace
    )


def error_of(failure: Failure) -> ModelwayError:
    """The exception that `failure` tells of, of the same class; the worker's own traceback is its note."""
    kind = getattr(errors, failure.error, EngineError)
    error: ModelwayError = kind.__new__(kind)
    ModelwayError.__init__(error, failure.problem, failure.fix)
    if isinstance(error, EngineError):
        error.transient = failure.transient
    if failure.trace:
        error.add_note(failure.trace)
    return error
