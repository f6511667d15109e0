@_exported import BridgeDiffusion
@_exported import Preprocessing
@_exported import ReferenceUNet
@_exported import SliceSampling
@_exported import StyleKeys
@_exported import VolumeIO
@_exported import VolumeMetrics
@_exported import Volumes
