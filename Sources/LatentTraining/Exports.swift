@_exported import BridgeTraining
@_exported import LatentTranslation
