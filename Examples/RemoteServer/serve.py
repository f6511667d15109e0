#!/usr/bin/env python3
"""Serves a PyTorch model by the Open Inference Protocol, with nothing but PyTorch and Python's own library:

    python serve.py unet.py --option random=published --option device=cuda --option dtype=float16

The model is a Python file with a function `load(**options)`. It returns an object with `inputs` and `outputs`, lists of
names and shapes; `parameters`, a dictionary of strings; and `predict`, from a dictionary of tensors to another.
"""

import argparse
import importlib.util
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch

TYPES = {"FP32": torch.float32, "FP16": torch.float16, "BF16": torch.bfloat16, "INT64": torch.int64,
         "INT32": torch.int32}
LENGTH = "Inference-Header-Content-Length"


class BadRequest(Exception):
    pass


def read_request(body, length, model):
    """The tensors of a request, the type of the first, and whether the output is wanted as bytes."""
    header = json.loads(body[:length] if length is not None else body)
    rest, tensors, first = memoryview(body)[length:] if length is not None else memoryview(b""), {}, "FP32"
    for entry in header["inputs"]:
        name, shape, datatype = entry["name"], entry["shape"], entry["datatype"]
        if datatype not in TYPES:
            raise BadRequest(f"{name}: the datatype {datatype} is not known")
        size = entry.get("parameters", {}).get("binary_data_size")
        if size is None:
            tensor = torch.tensor(entry["data"], dtype=TYPES[datatype])
        else:
            tensor = torch.frombuffer(bytearray(rest[:size]), dtype=TYPES[datatype])
            rest = rest[size:]
        if name == model.inputs[0][0]:
            first = datatype
        tensors[name] = tensor.reshape(shape)
    for name, shape in model.inputs:
        found = list(tensors[name].shape) if name in tensors else None
        if found is None or len(found) != len(shape) or any(s not in (-1, f) for f, s in zip(found, shape)):
            raise BadRequest(f"{name} has the shape {found}; expected {shape}")
    wanted = header.get("outputs", [{}])[0].get("parameters", {})
    is_binary = wanted.get("binary_data", header.get("parameters", {}).get("binary_data_output", False))
    return tensors, first, is_binary


def write_answer(name, outputs, datatype, is_binary, seconds):
    entries, tail = [], b""
    for output, tensor in outputs.items():
        tensor = tensor.to(TYPES[datatype]).contiguous()
        entry = {"name": output, "datatype": datatype, "shape": list(tensor.shape)}
        if is_binary:
            data = bytes(tensor.view(torch.uint8).untyped_storage())
            entry["parameters"] = {"binary_data_size": len(data)}
            tail += data
        else:
            entry["data"] = tensor.flatten().tolist()
        entries.append(entry)
    header = {"model_name": name, "model_version": "1", "outputs": entries, "parameters": {"server_seconds": seconds}}
    return json.dumps(header).encode(), tail


def handler(model, name):
    lock = threading.Lock()
    metadata = {
        "name": name, "versions": ["1"], "platform": "pytorch",
        "inputs": [{"name": n, "datatype": "FP32", "shape": s} for n, s in model.inputs],
        "outputs": [{"name": n, "datatype": "FP32", "shape": s} for n, s in model.outputs],
        "parameters": {**model.parameters, "datatypes": "FP32,FP16,BF16"}}
    path = f"/v2/models/{name}"
    documents = {
        "/v2": {"name": "serve.py", "version": "1", "extensions": ["binary_tensor_data"]}, path: metadata,
        "/v2/health/live": {}, "/v2/health/ready": {}, f"{path}/ready": {}}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self, status, header, tail=b""):
            self.send_response(status)
            self.send_header("Content-Type", "application/octet-stream" if tail else "application/json")
            self.send_header("Content-Length", str(len(header) + len(tail)))
            if tail:
                self.send_header(LENGTH, str(len(header)))
            self.end_headers()
            self.wfile.write(header + tail)

        def do_GET(self):
            document = documents.get(self.path)
            found = document is not None
            self.answer(200 if found else 404,
                        json.dumps(document if found else {"error": f"there is nothing at {self.path}"}).encode())

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            start = time.perf_counter()
            if self.path != f"{path}/infer":
                return self.answer(404, json.dumps({"error": f"there is nothing at {self.path}"}).encode())
            try:
                length = self.headers.get(LENGTH)
                tensors, datatype, is_binary = read_request(body, int(length) if length else None, model)
            except (BadRequest, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
                return self.answer(400, json.dumps({"error": str(error)}).encode())
            try:
                with lock:
                    outputs = model.predict(tensors)
            except Exception as error:
                return self.answer(500, json.dumps({"error": str(error)}).encode())
            self.answer(200, *write_answer(name, outputs, datatype, is_binary, time.perf_counter() - start))

        def log_message(self, *_):
            pass

    return Handler


def load_module(path):
    spec = importlib.util.spec_from_file_location("served_model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a Python file with load(**options)")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="an option of load")
    parser.add_argument("--name", default="denoiser", help="the model's name in requests")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    model = load_module(arguments.model).load(**dict(option.split("=", 1) for option in arguments.option))
    server = Server((arguments.host, arguments.port), handler(model, arguments.name))
    print(f"Serving '{arguments.name}' on http://{arguments.host}:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
