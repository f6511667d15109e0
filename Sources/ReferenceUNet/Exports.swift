@_exported import VolumeTranslation
