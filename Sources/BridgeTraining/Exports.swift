@_exported import BridgeDiffusion
@_exported import ReferenceUNet
@_exported import StyleKeys
@_exported import Volumes
