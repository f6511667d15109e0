"""The conditional 2-D U-Net of the published method, in PyTorch, from VoxelBridge's safetensors files.

It is a function of a dictionary of weights, by their published names. With random weights it measures speed.
"""

import json
import math
import struct

import torch
import torch.nn.functional as F

PUBLISHED = {
    "in_channels": 6, "out_channels": 3, "model_channels": 128, "num_res_blocks": 2, "channel_mult": [1, 4, 8],
    "attention_resolutions": [32, 16, 8], "num_head_channels": 64, "use_scale_shift_norm": True,
    "resblock_updown": True, "use_spatial_transformer": True, "context_dim": 128}

SMALL = {**PUBLISHED, "model_channels": 32, "num_res_blocks": 1, "channel_mult": [1, 2, 4],
         "attention_resolutions": [4], "num_head_channels": 32}


def read_safetensors(path):
    """The tensors and the metadata of a file."""
    types = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
             "I64": torch.int64, "I32": torch.int32}
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        if entry["dtype"] in types and end > start:
            tensor = torch.frombuffer(data, dtype=types[entry["dtype"]], offset=start,
                                      count=math.prod(entry["shape"]))
            tensors[name.removeprefix("denoise_fn.")] = tensor.reshape(entry["shape"])
    return tensors, metadata


class UNet:
    """The network. Weights that are missing are drawn at random where none are given."""

    def __init__(self, config, weights=None, device="cpu", dtype=torch.float32):
        self.config, self.device, self.dtype, self.is_random = config, device, dtype, weights is None
        self.weights = {name: tensor.to(device, dtype) for name, tensor in (weights or {}).items()}
        self.generator = torch.Generator().manual_seed(0)

    def parameter(self, name, *shape):
        if self.is_random and name not in self.weights:
            tensor = 0.02 * torch.randn(shape, generator=self.generator)
            if len(shape) == 1 and name.endswith("weight"):
                tensor += 1
            self.weights[name] = tensor.to(self.device, self.dtype)
        tensor = self.weights[name]
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} has the shape {tuple(tensor.shape)}; expected {shape}")
        return tensor

    def convolution(self, name, h, channels, size, stride=1):
        weight = self.parameter(f"{name}.weight", channels, h.shape[1], *([size] * (h.ndim - 2)))
        bias = self.parameter(f"{name}.bias", channels)
        return (F.conv2d if h.ndim == 4 else F.conv1d)(h, weight, bias, stride=stride, padding=size // 2)

    def linear(self, name, h, channels, has_bias=True):
        weight = self.parameter(f"{name}.weight", channels, h.shape[-1])
        return F.linear(h, weight, self.parameter(f"{name}.bias", channels) if has_bias else None)

    def group_norm(self, name, h, eps=1e-5):
        c = h.shape[1]
        return F.group_norm(h, 32, self.parameter(f"{name}.weight", c), self.parameter(f"{name}.bias", c), eps)

    def layer_norm(self, name, h):
        c = h.shape[-1]
        return F.layer_norm(h, (c,), self.parameter(f"{name}.weight", c), self.parameter(f"{name}.bias", c))

    def residual(self, name, x, embedding, channels, resample=None):
        h = F.silu(self.group_norm(f"{name}.in_layers.0", x))
        if resample:
            h, x = resample(h), resample(x)
        h = self.convolution(f"{name}.in_layers.2", h, channels, 3)
        scales = self.config["use_scale_shift_norm"]
        e = self.linear(f"{name}.emb_layers.1", F.silu(embedding), 2 * channels if scales else channels)[..., None, None]
        if scales:
            scale, shift = e.chunk(2, dim=1)
            h = self.group_norm(f"{name}.out_layers.0", h) * (1 + scale) + shift
        else:
            h = self.group_norm(f"{name}.out_layers.0", h + e)
        h = self.convolution(f"{name}.out_layers.3", F.silu(h), channels, 3)
        return h + (x if x.shape[1] == channels else self.convolution(f"{name}.skip_connection", x, channels, 1))

    def attend(self, name, queries, context):
        c, width = queries.shape[-1], self.config["num_head_channels"]
        q, k, v = (
            self.linear(f"{name}.to_{part}", source, c, has_bias=False).unflatten(-1, (-1, width)).transpose(1, 2)
            for part, source in (("q", queries), ("k", context), ("v", context)))
        return self.linear(f"{name}.to_out.0", F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2), c)

    def attention(self, name, x, key):
        c = x.shape[1]
        if not self.config["use_spatial_transformer"]:
            flat = x.flatten(2)
            heads = self.convolution(f"{name}.qkv", self.group_norm(f"{name}.norm", flat), 3 * c, 1)
            q, k, v = heads.unflatten(1, (-1, 3, self.config["num_head_channels"])).transpose(3, 4).unbind(2)
            mixed = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).flatten(1, 2)
            return x + self.convolution(f"{name}.proj_out", mixed, c, 1).view_as(x)
        h = self.convolution(f"{name}.proj_in", self.group_norm(f"{name}.norm", x, 1e-6), c, 1)
        h, block = h.flatten(2).transpose(1, 2), f"{name}.transformer_blocks.0"
        normed = self.layer_norm(f"{block}.norm1", h)
        h = h + self.attend(f"{block}.attn1", normed, normed)
        h = h + self.attend(f"{block}.attn2", self.layer_norm(f"{block}.norm2", h), key)
        value, gate = self.linear(f"{block}.ff.net.0.proj", self.layer_norm(f"{block}.norm3", h), 8 * c).chunk(2, dim=-1)
        h = h + self.linear(f"{block}.ff.net.2", value * F.gelu(gate), c)
        return x + self.convolution(f"{name}.proj_out", h.transpose(1, 2).reshape(x.shape), c, 1)

    def down(self, name, h, embedding):
        if self.config["resblock_updown"]:
            return self.residual(f"{name}.0", h, embedding, h.shape[1], lambda image: F.avg_pool2d(image, 2))
        return self.convolution(f"{name}.0.op", h, h.shape[1], 3, stride=2)

    def up(self, name, h, embedding):
        double = lambda image: F.interpolate(image, scale_factor=2, mode="nearest")
        if self.config["resblock_updown"]:
            return self.residual(name, h, embedding, h.shape[1], double)
        return self.convolution(f"{name}.conv", double(h), h.shape[1], 3)

    @torch.inference_mode()
    def __call__(self, x, y, t, key=None):
        """x, y: [windows, 2N+1, rows, columns]; t: [windows]; key: [windows, 3, bins]."""
        config, width = self.config, self.config["model_channels"]
        x, y, t = (tensor.to(self.device) for tensor in (x, y, t))
        key = None if key is None else key.to(self.device, self.dtype)
        rates = torch.exp(-math.log(10_000) * torch.arange(width // 2, device=self.device) / (width // 2))
        angles = t.float()[:, None] * rates
        embedding = torch.cat([angles.cos(), angles.sin()], dim=1).to(self.dtype)
        embedding = F.silu(self.linear("time_embed.0", embedding, 4 * width))
        embedding = self.linear("time_embed.2", embedding, 4 * width)

        h = self.convolution("input_blocks.0.0", torch.cat([x, y], dim=1).to(self.dtype), width, 3)
        saved, index, scale = [h], 1, 1
        levels = list(enumerate(config["channel_mult"]))
        for level, multiplier in levels:
            for _ in range(config["num_res_blocks"]):
                h = self.residual(f"input_blocks.{index}.0", h, embedding, multiplier * width)
                if scale in config["attention_resolutions"]:
                    h = self.attention(f"input_blocks.{index}.1", h, key)
                saved.append(h)
                index += 1
            if level < len(levels) - 1:
                h = self.down(f"input_blocks.{index}", h, embedding)
                saved.append(h)
                index, scale = index + 1, 2 * scale
        h = self.residual("middle_block.0", h, embedding, h.shape[1])
        h = self.attention("middle_block.1", h, key)
        h = self.residual("middle_block.2", h, embedding, h.shape[1])
        index = 0
        for level, multiplier in reversed(levels):
            for block in range(config["num_res_blocks"] + 1):
                h = torch.cat([h, saved.pop()], dim=1)
                h, part = self.residual(f"output_blocks.{index}.0", h, embedding, multiplier * width), 1
                if scale in config["attention_resolutions"]:
                    h, part = self.attention(f"output_blocks.{index}.1", h, key), 2
                if level > 0 and block == config["num_res_blocks"]:
                    h, scale = self.up(f"output_blocks.{index}.{part}", h, embedding), scale // 2
                index += 1
        return self.convolution("out.2", F.silu(self.group_norm("out.0", h)), config["out_channels"], 3).float().cpu()


class Model:
    """What the servers of this folder serve: inputs, outputs, parameters, and `predict`."""

    def __init__(self, network, parameters):
        self.network = network
        slices, context = network.config["out_channels"], network.config["context_dim"]
        self.inputs = [("x", [-1, slices, -1, -1]), ("y", [-1, slices, -1, -1]), ("t", [-1])]
        if context:
            self.inputs.append(("key", [-1, 3, context]))
        self.outputs = [("out", [-1, slices, -1, -1])]
        self.parameters = parameters

    def predict(self, inputs):
        tensors = {name: torch.as_tensor(value, dtype=torch.float32) for name, value in inputs.items()}
        return {"out": self.network(tensors["x"], tensors["y"], tensors["t"], tensors.get("key"))}


def load(weights=None, config=None, random=None, device="cpu", dtype="float32"):
    """A model from a file of weights, or of random weights in a size: `published` or `small`."""
    parameters = {"prediction_type": "gradient"}
    if random:
        tensors, config = None, {"published": PUBLISHED, "small": SMALL}[random]
    else:
        tensors, metadata = read_safetensors(weights)
        config = json.load(open(config)) if config else json.loads(metadata["unet_configuration"])
        if "voxelbridge_translation" in metadata:
            parameters["voxelbridge_translation"] = metadata["voxelbridge_translation"]
            objective = json.loads(metadata["voxelbridge_translation"]).get("objective")
            parameters["prediction_type"] = objective or "gradient"
    parameters["radius"] = str(config["out_channels"] // 2)
    parameters["size_multiple"] = str(2 ** (len(config["channel_mult"]) - 1))
    return Model(UNet(config, tensors, device, getattr(torch, dtype)), parameters)
