@_exported import TensorFiles
@_exported import VolumeTranslation
