@_exported import Preprocessing
