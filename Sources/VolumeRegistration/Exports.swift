@_exported import Volumes
