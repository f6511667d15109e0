@_exported import InferenceProtocol
@_exported import Logging
@_exported import ReferenceUNet
