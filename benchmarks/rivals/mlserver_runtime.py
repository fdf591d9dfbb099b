"""A runtime for MLServer that runs an ONNX graph on one thread; it brings none of its own."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri

from benchmarks.rivals.session import open_session


class Onnx(MLModel):
    async def load(self) -> bool:
        self.session = open_session(await get_model_uri(self._settings))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        scores = self.session.run(["scores"], {"numbers": rows})[0]
        outputs = [NumpyCodec.encode_output("scores", scores)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
