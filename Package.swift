// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "VoxelBridge",
    platforms: [.macOS(.v15), .iOS(.v18), .visionOS(.v2)],
    products: [
        .library(name: "VolumeIO", targets: ["VolumeIO"]),
        .library(name: "Preprocessing", targets: ["Preprocessing"]),
        .library(name: "StyleKeys", targets: ["StyleKeys"]),
        .library(name: "BridgeDiffusion", targets: ["BridgeDiffusion"]),
        .library(name: "SliceSampling", targets: ["SliceSampling"]),
        .library(name: "VolumeMetrics", targets: ["VolumeMetrics"]),
        .library(name: "VolumeFigures", targets: ["VolumeFigures"]),
        .library(name: "VolumePhantoms", targets: ["VolumePhantoms"]),
        .library(name: "ReferenceUNet", targets: ["ReferenceUNet", "Tensors"]),
        .library(name: "BridgeTraining", targets: ["BridgeTraining"]),
        .library(name: "VolumeTranslation", targets: ["VolumeTranslation"]),
        .executable(name: "voxelbridge", targets: ["VoxelBridgeTool"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        // The core: Swift alone, nothing to install.
        .target(name: "VoxelSupport"),
        .target(name: "Volumes"),
        .target(name: "Preprocessing", dependencies: ["Volumes"]),
        .target(name: "StyleKeys", dependencies: ["VoxelSupport", "Volumes"]),
        .target(name: "BridgeDiffusion"),
        .target(name: "SliceSampling", dependencies: ["VoxelSupport", "Volumes", "BridgeDiffusion"]),
        .target(name: "VolumeMetrics", dependencies: ["Volumes"]),
        .target(name: "VolumePhantoms", dependencies: ["VoxelSupport", "Volumes", "Preprocessing"]),

        // Leaves that stand on a system library each.
        .target(name: "VolumeIO", dependencies: ["VoxelSupport", "Volumes", "CNIfTI"]),
        .target(name: "VolumeFigures", dependencies: ["VoxelSupport", "Volumes", "CPNG"]),
        .target(name: "Tensors", dependencies: ["COpenBLAS", "CVoxelKernels"]),
        .target(name: "ReferenceUNet", dependencies: ["Tensors", "SliceSampling", "StyleKeys"]),

        .target(
            name: "BridgeTraining",
            dependencies: [
                "VoxelSupport", "Volumes", "VolumeIO", "Preprocessing", "StyleKeys", "BridgeDiffusion",
                "SliceSampling", "VolumeFigures", "Tensors", "ReferenceUNet",
            ]),

        // The whole path, and its command.
        .target(
            name: "VolumeTranslation",
            dependencies: [
                "Volumes", "VolumeIO", "Preprocessing", "StyleKeys", "BridgeDiffusion", "SliceSampling",
                "VolumeMetrics", "ReferenceUNet",
            ]),
        .executableTarget(
            name: "VoxelBridgeTool",
            dependencies: [
                "VolumeTranslation", "BridgeTraining", "VolumeFigures", "VolumePhantoms", "Tensors",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        // C, as thin as it can be.
        .target(name: "CVoxelKernels"),
        .target(
            name: "CNIfTI",
            linkerSettings: [.linkedLibrary("nifti2"), .linkedLibrary("znz")]),
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),

        // Tests: one folder a module.
        .target(name: "TestSupport", dependencies: ["Volumes", "BridgeDiffusion"], path: "Tests/TestSupport"),
        .target(
            name: "TensorTestSupport", dependencies: ["Tensors", "TestSupport"], path: "Tests/TensorTestSupport"
        ),
        .testTarget(name: "VoxelSupportTests", dependencies: ["VoxelSupport", "TestSupport"]),
        .testTarget(name: "VolumesTests", dependencies: ["Volumes", "TestSupport"]),
        .testTarget(name: "VolumeIOTests", dependencies: ["VolumeIO", "CNIfTI", "TestSupport"]),
        .testTarget(name: "PreprocessingTests", dependencies: ["Preprocessing", "VolumeIO", "TestSupport"]),
        .testTarget(name: "StyleKeysTests", dependencies: ["StyleKeys", "VolumeIO", "Tensors", "TestSupport"]),
        .testTarget(name: "BridgeDiffusionTests", dependencies: ["BridgeDiffusion", "TestSupport"]),
        .testTarget(name: "SliceSamplingTests", dependencies: ["SliceSampling", "TestSupport"]),
        .testTarget(name: "VolumeMetricsTests", dependencies: ["VolumeMetrics", "VolumeIO", "TestSupport"]),
        .testTarget(name: "VolumeFiguresTests", dependencies: ["VolumeFigures", "CPNG", "TestSupport"]),
        .testTarget(
            name: "VolumePhantomsTests",
            dependencies: ["VolumePhantoms", "VolumeIO", "StyleKeys", "VolumeMetrics", "TestSupport"]),
        .testTarget(
            name: "TensorsTests",
            dependencies: ["Tensors", "CVoxelKernels", "TensorTestSupport", "TestSupport"]),
        .testTarget(
            name: "ReferenceUNetTests",
            dependencies: ["ReferenceUNet", "Tensors", "TensorTestSupport", "TestSupport"]),
        .testTarget(
            name: "BridgeTrainingTests",
            dependencies: ["BridgeTraining", "VolumeIO", "Tensors", "TestSupport"]),
        .testTarget(
            name: "VolumeTranslationTests", dependencies: ["VolumeTranslation", "Tensors", "TestSupport"]),
        .testTarget(
            name: "VoxelBridgeToolTests",
            dependencies: ["VoxelBridgeTool", "VolumeTranslation", "VolumePhantoms", "Tensors", "TestSupport"]),
        .testTarget(name: "PackageTests", dependencies: ["TestSupport"]),
    ]
)
