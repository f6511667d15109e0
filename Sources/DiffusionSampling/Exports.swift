@_exported import BridgeDiffusion
