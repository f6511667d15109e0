@_exported import StyleKeys
@_exported import Volumes
