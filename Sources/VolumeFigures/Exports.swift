@_exported import VolumeMetrics
