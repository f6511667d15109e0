@_exported import DiffusionSampling
@_exported import NetworkEngine
@_exported import Networks
@_exported import Preprocessing
@_exported import TensorFiles
