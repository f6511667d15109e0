"""Times a metric of scikit-image, or a style key in NumPy, and the memory that it takes beyond the volumes.

    python peer_metrics.py ssim|psnr|nrmse|style-key --size 160 --repeat 3 [--single]
"""

import argparse
import json
import time

import numpy as np
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio, structural_similarity


def volumes(size, dtype):
    axis = (np.arange(size) - (size - 1) / 2) / (0.45 * size)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    random = np.random.default_rng(7)
    head = x * x + y * y + z * z < 1
    reference = np.where(head, 0.6 + 0.3 * x * y + 0.05 * (random.random(head.shape) - 0.5), 0)
    prediction = np.where(head, reference + 0.1 * (random.random(head.shape) - 0.5), 0)
    return prediction.astype(dtype), reference.astype(dtype)


def style_key(volume, bins=128):
    scaled = (volume - volume.min()) / (volume.max() - volume.min())
    counts = np.histogram(scaled, bins=bins, range=(0.001, 1))[0]
    histogram = counts / counts.sum() * 10
    steps = np.diff(histogram) * 10
    return histogram, np.cumsum(histogram), np.concatenate([steps[:1], steps])


parser = argparse.ArgumentParser()
parser.add_argument("case", choices=["ssim", "psnr", "nrmse", "style-key"])
parser.add_argument("--size", type=int, default=160)
parser.add_argument("--repeat", type=int, default=3)
parser.add_argument("--single", action="store_true")
arguments = parser.parse_args()
prediction, reference = volumes(arguments.size, np.float32 if arguments.single else np.float64)


def run():
    # The range of the reference is part of PSNR and SSIM here, as it is there.
    if arguments.case == "ssim":
        structural_similarity(reference, prediction, data_range=reference.max() - reference.min())
    elif arguments.case == "psnr":
        peak_signal_noise_ratio(reference, prediction, data_range=reference.max() - reference.min())
    elif arguments.case == "nrmse":
        normalized_root_mse(reference, prediction)
    else:
        style_key(reference)


def memory():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) << 10


# The peak so far is that of making the volumes: it starts anew from what is held now.
with open("/proc/self/clear_refs", "w") as peak:
    peak.write("5")
before = memory()
run()
seconds = []
for _ in range(arguments.repeat):
    start = time.perf_counter()
    run()
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(seconds), "peakMemory": memory() - before}))
