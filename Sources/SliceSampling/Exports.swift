@_exported import BridgeDiffusion
@_exported import Volumes
