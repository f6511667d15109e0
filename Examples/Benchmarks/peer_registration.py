"""Registers volumes to a fixed one with ANTs or elastix, for `benchmarks register --python`.

    peer_registration.py ants|elastix FIXED FOLDER COUNT THREADS

FOLDER holds 0.nii, 1.nii, ...; each gets a transform 0.tfm, 1.tfm, ... in ITK's text format. Prints the seconds and
the processor seconds of each registration as JSON, without reading files. Settings are the programs' own for rigid registration, from the centres of
mass: Mattes mutual information, with a pyramid of four resolutions.
"""

import json
import os
import sys
import time

peer, fixed_path, folder, count, threads = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = threads


def clocks():
    return time.perf_counter(), time.process_time()


def since(start):
    return [now - then for now, then in zip(clocks(), start)]


def register_with_ants(fixed, moving, path):
    start = clocks()
    found = ants.registration(fixed, moving, type_of_transform="Rigid")
    seconds = since(start)
    ants.write_transform(ants.read_transform(found["fwdtransforms"][0]), path)
    return seconds


def register_with_elastix(fixed, moving, path):
    parameters = itk.ParameterObject.New()
    settings = parameters.GetDefaultParameterMap("rigid")
    settings["AutomaticTransformInitialization"] = ["true"]
    settings["AutomaticTransformInitializationMethod"] = ["CenterOfGravity"]
    parameters.AddParameterMap(settings)
    start = clocks()
    _, found = itk.elastix_registration_method(
        fixed, moving, parameter_object=parameters, log_to_console=False, number_of_threads=int(threads))
    seconds = since(start)
    found = found.GetParameterMap(0)
    with open(path, "w") as file:
        print("#Insight Transform File V1.0\n#Transform 0\nTransform: Euler3DTransform_double_3_3", file=file)
        print("Parameters:", *found["TransformParameters"], file=file)
        print("FixedParameters:", *found["CenterOfRotationPoint"], file=file)
    return seconds


if peer == "ants":
    import ants
    read, register = ants.image_read, register_with_ants
else:
    import itk
    read, register = lambda path: itk.imread(path, itk.F), register_with_elastix

# Libraries print messages to standard output.
output = os.dup(1)
os.dup2(2, 1)
fixed = read(fixed_path)
times = [register(fixed, read(f"{folder}/{index}.nii"), f"{folder}/{index}.tfm") for index in range(count)]
os.write(output, json.dumps(times).encode())
