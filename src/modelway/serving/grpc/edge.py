"""The calls of GRPCInferenceService: from a message to a question, and from answers to a message."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import grpc

import modelway
from modelway.errors import ModelwayError
from modelway.serving import replies, repository
from modelway.serving.answer import Answer
from modelway.serving.asking import Asking
from modelway.serving.gathering import Gathering
from modelway.serving.grpc import inference_pb2 as messages
from modelway.serving.grpc.codes import code_of, details_of
from modelway.serving.grpc.reading import Reading, parse_frame
from modelway.serving.grpc.replying import Replies
from modelway.serving.models import ColdError, Table
from modelway.serving.question import Question, Upto
from modelway.serving.servable import Servable
from modelway.serving.tensors import rows_for
from modelway.serving.traced import Traced
from modelway.tracing.context import TRACEPARENT, TRACERESPONSE

EXTENSIONS = ("model_repository",)


class Edge:
    """One for a server; used on the event loop's thread."""

    def __init__(self, asking: Asking) -> None:
        self._asking, self._reading, self._replies = asking, Reading(), Replies()
        self._gathering = Gathering(asking.ask)
        self._loop = asyncio.get_running_loop()

    async def infer(self, body: bytes, context: Any, version: str | None = None) -> bytes:
        """A ModelInferResponse, serialised; a call whose client has gone or whose time is over is not asked.

        `version`: who shall answer where the message does not say so, as `Served.version` reads it.
        """
        left = context.time_remaining()
        if left is not None and left <= 0:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline was over when the request was read")
        traced = self._traced(context)
        try:
            answer = self._asked(body, left, version, traced)
            if traced is not None:
                context.set_trailing_metadata(((TRACERESPONSE.decode(), traced.response.decode()),))
            return await answer
        except ModelwayError as error:
            await context.abort(code_of(error), details_of(error))
            raise

    async def stream(
        self, bodies: AsyncIterator[bytes], context: Any, version: str | None = None
    ) -> AsyncIterator[bytes]:
        """One ModelStreamInferResponse a request, in their order; a refused one does not end the stream."""
        async for body in bodies:
            try:
                asked = self._asked(body, context.time_remaining(), version, self._traced(context))
                answered = messages.ModelInferResponse.FromString(await asked)
                made = messages.ModelStreamInferResponse(infer_response=answered)
            except ModelwayError as error:
                made = messages.ModelStreamInferResponse(error_message=details_of(error))
            yield made.SerializeToString()

    def _traced(self, context: Any) -> Traced | None:
        """Of a request that is sampled."""
        if self._asking.begin is None:
            return None
        sent = [(key.encode(), value.encode() if isinstance(value, str) else value)
                for key, value in context.invocation_metadata() or ()]  # fmt: skip
        trace = self._asking.begin(dict(sent).get(TRACEPARENT), sent)
        return None if trace is None else Traced(trace, time.perf_counter())

    def _asked(
        self, body: bytes, left: float | None, version: str | None, traced: Traced | None
    ) -> "asyncio.Future[bytes]":
        """The reply to come, within the seconds that are `left` to the call; raises ModelwayError for what is refused at once."""
        began, model, label, request, asking = time.perf_counter(), "", "", "", self._asking
        reply: asyncio.Future[bytes] = self._loop.create_future()
        try:
            frame = parse_frame(body)
            model, version = frame.model_name, frame.model_version or version
            served = asking.served(model)
            asked = self._reading.asked(frame)
            request = asked.id or asking.new_id()
            servable = asking.choose(served, version, asked.routing_key, asked.first, request)
            label = str(servable.number)
            outputs = replies.chosen_outputs(servable, asked.outputs)
            rows = rows_for(asked, servable)
        except ColdError:

            def refuse(error: ModelwayError) -> None:
                asking.telemetry.refused(request or asking.new_id(), model, "", error, began, traced)
                reply.set_exception(error)

            asking.warm(model, lambda: self._follow(reply, body, left, version, traced), refuse)
            return reply
        except ModelwayError as error:
            asking.telemetry.refused(request or asking.new_id(), asking.known(model), label, error, began, traced)
            raise
        gathered = asking.at_once(servable, len(body))
        context = (reply, outputs, bool(frame.raw_input_contents), gathered)
        question = Question(request, served, servable, rows, began, self._reply, self._fail, context)
        times = [began + seconds for seconds in (left, asked.timeout) if seconds is not None]
        question.named, question.until, question.caller = (
            version is not None,
            min(times, default=None),
            asked.routing_key,
        )
        if traced is not None:
            traced.asked, question.traced = time.perf_counter(), traced
        (self._gathering if gathered else asking).ask(question, len(body))
        return reply

    def _follow(
        self,
        reply: "asyncio.Future[bytes]",
        body: bytes,
        left: float | None,
        version: str | None,
        traced: Traced | None,
    ) -> None:
        """The model is in memory now: what becomes of the request becomes of `reply`."""
        try:
            asked = self._asked(body, left, version, traced)
        except ModelwayError as error:
            reply.set_exception(error)
            return
        asked.add_done_callback(partial(_hand_on, reply))

    def _reply(self, question: Question, answers: Sequence[Answer], upto: Upto) -> None:
        reply, outputs, raw, gathered = question.context
        if gathered:
            self._gathering.answered()
        made = self._replies.format(question.servable, question.request, answers, upto, outputs, raw)
        if not reply.done():  # the client has gone
            reply.set_result(made)
        self._asking.telemetry.answered(question)

    def _fail(self, question: Question, error: ModelwayError) -> None:
        reply, _, _, gathered = question.context
        if gathered:
            self._gathering.answered()
        if not reply.done():
            reply.set_exception(error)
        self._asking.telemetry.failed(question, error)

    # -- what is no inference ----------------------------------------------------------------------------------------------

    @property
    def _table(self) -> Table:
        return self._asking.server.models.table

    def live(self, _: Any) -> Any:
        return messages.ServerLiveResponse(live=True)

    def ready(self, _: Any) -> Any:
        return messages.ServerReadyResponse(ready=self._table.ready)

    def about(self, _: Any) -> Any:
        return messages.ServerMetadataResponse(name="modelway", version=modelway.__version__, extensions=EXTENSIONS)

    def model_ready(self, asked: Any) -> Any:
        """Raises NotFoundError for what is not known, StateError for what is to come."""
        served = self._table.get(asked.name)
        if asked.version:
            served.version(asked.version)
        return messages.ModelReadyResponse(ready=True)

    def metadata(self, asked: Any) -> Any:
        """Raises NotFoundError, StateError."""
        served = self._table.get(asked.name)
        named = served.version(asked.version) if asked.version else served.newest
        versions = [named.number] if asked.version else sorted(served.versions)
        return _metadata(named, versions)

    def index(self, asked: Any) -> Any:
        made = messages.RepositoryIndexResponse()
        for one in repository.listed(self._table, asked.ready):
            made.models.add(name=one.name, version=one.version, state=one.state, reason=one.reason)
        return made

    def load(self, asked: Any) -> Any:
        """Raises NotFoundError, StateError."""
        name = asked.model_name or asked.repository_name
        repository.demand_loaded(self._table, name)
        return messages.RepositoryModelLoadResponse(model_name=name, loaded=True)

    def unload(self, asked: Any) -> Any:
        """Always refused: raises NotFoundError, MethodError."""
        repository.refuse_unload(self._table, asked.model_name or asked.repository_name)
        return messages.RepositoryModelUnloadResponse()


def _hand_on(reply: "asyncio.Future[bytes]", done: "asyncio.Future[bytes]") -> None:
    if reply.done():  # the client has gone
        return
    if (error := done.exception()) is not None:
        reply.set_exception(error)
    else:
        reply.set_result(done.result())


def _metadata(servable: Servable, versions: Sequence[int]) -> Any:
    manifest = servable.manifest
    made = messages.ModelMetadataResponse(
        name=manifest.model, versions=[str(number) for number in versions], platform=replies.PLATFORM
    )
    for tensor in servable.inputs:
        made.inputs.add(name=tensor.name, datatype=replies.datatype_of(tensor), shape=[-1])
    for name in servable.outputs:
        made.outputs.add(name=name, datatype=replies.output_of(manifest, name, ())["datatype"], shape=[-1])
    return made
