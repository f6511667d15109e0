"""Times PyTorch on single layers, for `benchmarks all`: peer_layers.py [--threads N] [--repeat N] KIND:INPUTS:OUTPUTS:SIZE ...
SIZE is ROWSxCOLUMNS or PLANESxROWSxCOLUMNS.

Prints one JSON object: the seconds of each layer's shortest run after a warm-up.
"""
import argparse
import json
import time

import torch
import torch.nn.functional as F

TIME, KEY_TOKENS, KEY_WIDTH, HEAD = 512, 3, 128, 64


def weight(*shape):
    return torch.randn(*shape) * 0.05


def convolution(inputs, outputs, kernel, axes=2):
    w, b = weight(outputs, inputs, *[kernel] * axes), weight(outputs)
    return lambda x: (F.conv2d if axes == 2 else F.conv3d)(x, w, b, padding=kernel // 2)


def linear(inputs, outputs, bias=True):
    w, b = weight(outputs, inputs), weight(outputs) if bias else None
    return lambda x: F.linear(x, w, b)


def group_norm(channels):
    w, b = 1 + weight(channels), weight(channels)
    return lambda x: F.group_norm(x, 32, w, b)


def normalized(inputs, outputs, axes=2):
    norm, conv = group_norm(inputs), convolution(inputs, outputs, 3, axes)
    return lambda x: conv(F.silu(norm(x)))


def halving(inputs, outputs):
    w, b, up = weight(outputs, inputs, 3, 3, 3), weight(outputs), convolution(outputs, outputs, 3, 3)
    return lambda x: up(F.interpolate(F.conv3d(F.pad(x, (0, 1) * 3), w, b, stride=2), scale_factor=2, mode="nearest"))


def narrowing(inputs, outputs):
    one, back = normalized(inputs, 1, 3), convolution(1, outputs, 3, 3)
    return lambda x: back(one(x))


def attention(width, _):
    norm, qkv, out = group_norm(width), weight(3 * width, width, 1), weight(width, width, 1)

    def run(x):
        flat = x.flatten(2)
        q, k, v = F.conv1d(norm(flat), qkv).unflatten(1, (width // 32, 3, 32)).transpose(-1, -2).unbind(2)
        h = F.scaled_dot_product_attention(q, k, v).transpose(-1, -2).flatten(1, 2)
        return (flat + F.conv1d(h, out)).reshape(x.shape)
    return run


def residual(inputs, outputs, resample=lambda x: x):
    norm1, conv1, norm2, conv2 = group_norm(inputs), convolution(inputs, outputs, 3), group_norm(outputs), \
        convolution(outputs, outputs, 3)
    modulation, time_step = linear(TIME, 2 * outputs), weight(1, TIME)
    shortcut = convolution(inputs, outputs, 1) if inputs != outputs else lambda x: x

    def run(x):
        h = conv1(resample(F.silu(norm1(x))))
        scale, shift = modulation(F.silu(time_step))[:, :, None, None].chunk(2, dim=1)
        return shortcut(resample(x)) + conv2(F.silu(norm2(h) * (1 + scale) + shift))
    return run


def resampling(inputs, outputs):
    down = residual(inputs, outputs, lambda x: F.avg_pool2d(x, 2))
    up = residual(outputs, outputs, lambda x: F.interpolate(x, scale_factor=2, mode="nearest"))
    return lambda x: up(down(x))


def transformer(width, _):
    norm, project, back = group_norm(width), convolution(width, width, 1), convolution(width, width, 1)
    gate, forward, key = linear(width, 8 * width), linear(4 * width, width), weight(1, KEY_TOKENS, KEY_WIDTH)
    own, styled = ([linear(width, width, False), linear(context, width, False), linear(context, width, False),
                    linear(width, width)] for context in (width, KEY_WIDTH))
    scales = [(1 + weight(width), weight(width)) for _ in range(3)]

    def attend(parts, x, context):
        q, k, v = (part(z).unflatten(-1, (-1, HEAD)).transpose(1, 2) for part, z in zip(parts, (x, context, context)))
        return parts[3](F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    def run(x):
        h = project(norm(x)).flatten(2).transpose(1, 2)
        n1, n2, n3 = (lambda z, s=s: F.layer_norm(z, (width,), *s) for s in scales)
        n = n1(h)
        h = h + attend(own, n, n)
        h = h + attend(styled, n2(h), key)
        value, g = gate(n3(h)).chunk(2, dim=-1)
        h = h + forward(value * F.gelu(g))
        return x + back(h.transpose(1, 2).reshape(x.shape))
    return run


KINDS = dict(convolution=lambda i, o: convolution(i, o, 3), pointwise=lambda i, o: convolution(i, o, 1),
             normalized=normalized, residual=residual, resampling=resampling, transformer=transformer)
VOLUME_KINDS = dict(convolution=lambda i, o: convolution(i, o, 3, 3), pointwise=lambda i, o: convolution(i, o, 1, 3),
                    normalized=lambda i, o: normalized(i, o, 3), halving=halving, narrowing=narrowing, attention=attention)

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--repeat", type=int, default=3)
parser.add_argument("layers", nargs="+")
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
times = {}
with torch.inference_mode():
    for layer in arguments.layers:
        kind, inputs, outputs, size = layer.split(":")
        size = [int(extent) for extent in size.split("x")]
        run = (KINDS if len(size) == 2 else VOLUME_KINDS)[kind](int(inputs), int(outputs))
        x = torch.randn(1, int(inputs), *size)
        run(x)
        times[layer] = float("inf")
        for _ in range(arguments.repeat):
            start = time.perf_counter()
            run(x)
            times[layer] = min(times[layer], time.perf_counter() - start)
print(json.dumps(times))
