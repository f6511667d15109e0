@_exported import NetworkEngine
@_exported import Networks
@_exported import TensorFiles
@_exported import VolumeTranslation
