"""The same models in MLServer: `mlserver start FOLDER`, where FOLDER/model-settings.json names this runtime.

    { "name": "denoiser", "implementation": "mlserver_runtime.Runtime",
      "inputs": [{ "name": "x", "datatype": "FP32", "shape": [-1, 3, -1, -1] }, ...],
      "outputs": [{ "name": "out", "datatype": "FP32", "shape": [-1, 3, -1, -1] }],
      "parameters": { "extra": { "module": "unet.py", "options": { "weights": "model.safetensors" } } } }
"""

import importlib.util

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Runtime(MLModel):
    """Runs a model file, as serve.py does."""

    async def load(self):
        extra = self.settings.parameters.extra
        spec = importlib.util.spec_from_file_location("served_model", extra["module"])
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.model = module.load(**extra.get("options", {}))
        return True

    async def predict(self, payload):
        inputs = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        outputs = self.model.predict(inputs)
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output(name, np.asarray(output)) for name, output in outputs.items()])
