"""Times NiBabel on volumes, for `benchmarks volumes`: peer_volumes.py [--repeat N] FILE ...

Prints a JSON array: for each file the seconds of the shortest run after a warm-up, and the compressed size.
"""
import argparse
import json
import os
import tempfile
import time

import nibabel
import numpy


def shortest(repeat, run):
    run()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def read(path):
    return nibabel.load(path).get_fdata(dtype=numpy.float32, caching="unchanged")


def measure(path, repeat):
    with tempfile.TemporaryDirectory() as folder:
        compressed, plain = (os.path.join(folder, name) for name in ("a.nii.gz", "a.nii"))
        source = nibabel.load(path)
        image = nibabel.Nifti1Image(read(path), source.affine)
        return {
            "read": shortest(repeat, lambda: read(path)),
            "write": shortest(repeat, lambda: nibabel.save(image, compressed)),
            "writePlain": shortest(repeat, lambda: nibabel.save(image, plain)),
            # A copy, as ours: NiBabel maps the file otherwise.
            "readPlain": shortest(repeat, lambda: numpy.array(read(plain))),
            "bytes": os.path.getsize(compressed),
        }


parser = argparse.ArgumentParser()
parser.add_argument("--repeat", type=int, default=5)
parser.add_argument("files", nargs="+")
arguments = parser.parse_args()
print(json.dumps([measure(path, arguments.repeat) for path in arguments.files]))
