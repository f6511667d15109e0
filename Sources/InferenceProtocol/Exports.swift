@_exported import TensorFiles
