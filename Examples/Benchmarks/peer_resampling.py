"""Times TorchIO and SciPy on resampling, for `benchmarks resample`: peer_resampling.py VOLUME GRID [--threads N] [--repeat N] CASE ...

GRID is the oblique grid in JSON: its shape, and the three rows of its affine. A CASE is GRID:ORDER, where GRID is `oblique` or
a spacing in millimetres, with `a` behind it to smooth first. Prints one JSON object: the seconds of each case's shortest
run after a warm-up. Orders 0 and 1 are TorchIO's (SimpleITK's resampler, in parallel), 3 is SciPy's affine_transform.
"""
import argparse
import json
import time

import numpy as np
import SimpleITK as sitk
import torch
import torchio as tio
from scipy import ndimage

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--repeat", type=int, default=3)
parser.add_argument("volume")
parser.add_argument("grid")
parser.add_argument("cases", nargs="+")
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(arguments.threads)

image = tio.ScalarImage(arguments.volume)
image.load()
voxels = np.ascontiguousarray(image.numpy()[0], np.float32)
oblique = json.loads(arguments.grid)
oblique = (tuple(oblique["shape"]), np.vstack([oblique["rows"], [0, 0, 0, 1]]))


def torchio(grid, antialias, interpolation):
    target = oblique if grid == "oblique" else float(grid)
    resample = tio.Resample(target, image_interpolation=interpolation, antialias=antialias)
    return lambda: resample(image)


def scipy(grid):
    if grid == "oblique":
        shape, affine = oblique
        matrix = np.linalg.inv(image.affine) @ affine
        return lambda: ndimage.affine_transform(voxels, matrix[:3, :3], matrix[:3, 3], shape, order=3)
    steps = float(grid) / np.array(image.spacing)
    shape = tuple(int(np.ceil(n / step - 1e-3)) for n, step in zip(voxels.shape, steps))
    offset = [(n - 1) / 2 - (m - 1) / 2 * step for n, m, step in zip(voxels.shape, shape, steps)]
    return lambda: ndimage.affine_transform(voxels, np.diag(steps), offset, shape, order=3)


times = {}
for case in arguments.cases:
    grid, order = case.split(":")
    antialias, grid = grid.endswith("a"), grid.removesuffix("a")
    run = scipy(grid) if order == "3" else torchio(grid, antialias, ["nearest", "linear"][int(order)])
    run()
    times[case] = float("inf")
    for _ in range(arguments.repeat):
        start = time.perf_counter()
        run()
        times[case] = min(times[case], time.perf_counter() - start)
print(json.dumps(times))
