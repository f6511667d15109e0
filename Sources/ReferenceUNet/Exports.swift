@_exported import NetworkEngine
@_exported import Networks
@_exported import SliceSampling
@_exported import StyleKeys
@_exported import TensorFiles
