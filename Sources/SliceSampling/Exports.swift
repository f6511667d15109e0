@_exported import BridgeDiffusion
@_exported import DiffusionSampling
@_exported import Volumes
