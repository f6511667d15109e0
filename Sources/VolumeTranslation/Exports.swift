@_exported import Preprocessing
@_exported import SliceSampling
@_exported import StyleKeys
