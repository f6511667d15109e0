@_exported import ReferenceUNet
@_exported import VolumeIO
@_exported import VolumeMetrics
@_exported import VolumeTranslation
