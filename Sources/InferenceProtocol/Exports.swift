@_exported public import TensorFiles
