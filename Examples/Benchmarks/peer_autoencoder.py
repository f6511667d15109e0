"""Times PyTorch on a training step of the 3-D autoencoder, for `benchmarks latent-train --part autoencoder`:
peer_autoencoder.py --models FOLDER [--config published|small] [--shape 48x48x32] [--threads N] [--repeat N]
FOLDER holds aldm.py, the models.

Prints one JSON object: the seconds of the shortest step after a warm-up.
"""
import argparse
import json
import sys
import time

options = argparse.ArgumentParser()
options.add_argument("--models", required=True)
options.add_argument("--config", default="small")
options.add_argument("--shape", default="48x48x32")
options.add_argument("--threads", type=int, default=2)
options.add_argument("--repeat", type=int, default=3)
options = options.parse_args()
sys.path.insert(0, options.models)

import torch
import torch.nn.functional as F
import aldm

torch.set_num_threads(options.threads)
config = aldm.AutoencoderConfig() if options.config == "published" else aldm.AutoencoderConfig(
    ch=16, num_groups=8, n_embed=512, translator_width=32, translator_hidden=16)
network = aldm.randomize(aldm.Autoencoder3D(config), 1)
del network.spade
optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
x = torch.rand(1, 1, *[int(n) for n in options.shape.split("x")]) * 2 - 1


def step():
    optimizer.zero_grad()
    result, codebook_loss = network(x)
    (F.l1_loss(result, x) + codebook_loss).backward()
    optimizer.step()


step()
times = []
for _ in range(options.repeat):
    start = time.perf_counter()
    step()
    times.append(time.perf_counter() - start)
print(json.dumps({"seconds_per_step": min(times)}))
