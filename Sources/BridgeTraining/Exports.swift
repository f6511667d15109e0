@_exported import ReferenceUNet
