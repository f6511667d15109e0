// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "VoxelBridge",
    platforms: [.macOS(.v15), .iOS(.v18), .visionOS(.v2)],
    products: [
        .library(name: "VolumeIO", targets: ["VolumeIO"]),
        .library(name: "Preprocessing", targets: ["Preprocessing"]),
        .library(name: "VolumeRegistration", targets: ["VolumeRegistration"]),
        .library(name: "StyleKeys", targets: ["StyleKeys"]),
        .library(name: "BridgeDiffusion", targets: ["BridgeDiffusion"]),
        .library(name: "DiffusionSampling", targets: ["DiffusionSampling"]),
        .library(name: "SliceSampling", targets: ["SliceSampling"]),
        .library(name: "VolumeMetrics", targets: ["VolumeMetrics"]),
        .library(name: "VolumeFigures", targets: ["VolumeFigures"]),
        .library(name: "VolumePhantoms", targets: ["VolumePhantoms"]),
        .library(name: "TensorFiles", targets: ["TensorFiles"]),
        .library(name: "ReferenceUNet", targets: ["ReferenceUNet"]),
        .library(name: "BridgeTraining", targets: ["BridgeTraining"]),
        .library(name: "LatentTraining", targets: ["LatentTraining"]),
        .library(name: "VolumeTranslation", targets: ["VolumeTranslation"]),
        .library(name: "LatentTranslation", targets: ["LatentTranslation"]),
        .library(name: "RemoteDenoising", targets: ["RemoteDenoising"]),
        .library(name: "DenoisingServer", targets: ["DenoisingServer"]),
        .library(name: "VoxelBridge", targets: ["VoxelBridge"]),
        .executable(name: "voxelbridge", targets: ["VoxelBridgeTool"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0", traits: []),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    ],
    targets: [
        // The core: Swift alone, nothing to install.
        .target(name: "VoxelSupport"),
        .target(name: "Volumes", dependencies: ["VoxelSupport"]),
        .target(name: "Preprocessing", dependencies: ["VoxelSupport", "Volumes"]),
        .target(
            name: "StyleKeys", dependencies: ["VoxelSupport", "Volumes", "Preprocessing", "CVoxelKernels"]),
        .target(name: "BridgeDiffusion", dependencies: ["VoxelSupport"]),
        .target(name: "DiffusionSampling", dependencies: ["VoxelSupport", "BridgeDiffusion"]),
        .target(name: "SliceSampling", dependencies: ["Volumes", "BridgeDiffusion", "DiffusionSampling"]),
        .target(
            name: "VolumeMetrics", dependencies: ["VoxelSupport", "Volumes", "StyleKeys", "CVoxelKernels"]),
        .target(name: "VolumePhantoms", dependencies: ["VoxelSupport", "Volumes", "Preprocessing"]),
        .target(name: "TensorFiles", dependencies: ["VoxelSupport", "DiffusionSampling"]),
        .target(name: "Networks", dependencies: ["VoxelSupport", "TensorFiles"]),
        .target(
            name: "VolumeTranslation",
            dependencies: [
                "VoxelSupport", "Volumes", "Preprocessing", "StyleKeys", "BridgeDiffusion", "DiffusionSampling",
                "SliceSampling",
            ]),

        // Leaves that stand on a system library each.
        .target(name: "VolumeIO", dependencies: ["VoxelSupport", "Volumes", "CNIfTI", "CISAL"]),
        .target(
            name: "VolumeRegistration", dependencies: ["VoxelSupport", "Volumes", "Preprocessing", "CLAPACKE"]),
        .target(
            name: "VolumeFigures",
            dependencies: [
                "VoxelSupport", "Volumes", "Preprocessing", "StyleKeys", "VolumeMetrics", "CPNG", "CZlib",
            ],
            resources: [.embedInCode("Report/report.css"), .embedInCode("Report/report.js")]),
        .target(
            name: "NetworkEngine",
            dependencies: ["VoxelSupport", "TensorFiles", "Networks", "COpenBLAS", "CVoxelKernels"]),
        .target(
            name: "ReferenceUNet",
            dependencies: [
                "VoxelSupport", "Volumes", "StyleKeys", "DiffusionSampling", "SliceSampling",
                "VolumeTranslation",
                "TensorFiles", "Networks", "NetworkEngine",
            ]),

        .target(
            name: "LatentTranslation",
            dependencies: [
                "VoxelSupport", "Volumes", "Preprocessing", "BridgeDiffusion", "DiffusionSampling",
                "TensorFiles",
                "Networks", "NetworkEngine",
            ]),

        // Networks that run elsewhere: the protocol, its client and its server.
        .target(name: "InferenceProtocol", dependencies: ["VoxelSupport", "TensorFiles"]),
        .target(
            name: "RemoteDenoising",
            dependencies: [
                "VoxelSupport", "VolumeTranslation", "TensorFiles", "InferenceProtocol",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
            ]),
        .target(
            name: "DenoisingServer",
            dependencies: [
                "VoxelSupport", "InferenceProtocol", "ReferenceUNet",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        .target(
            name: "BridgeTraining",
            dependencies: [
                "VoxelSupport", "Volumes", "VolumeIO", "Preprocessing", "VolumeRegistration", "StyleKeys",
                "BridgeDiffusion", "DiffusionSampling", "SliceSampling", "VolumeFigures", "TensorFiles",
                "Networks", "NetworkEngine", "ReferenceUNet",
                "VolumeTranslation",
            ]),

        .target(
            name: "LatentTraining",
            dependencies: [
                "VoxelSupport", "Volumes", "VolumeIO", "BridgeDiffusion", "DiffusionSampling", "VolumeFigures",
                "TensorFiles", "Networks", "NetworkEngine", "LatentTranslation", "BridgeTraining",
            ]),

        // Everything for translation, and its command.
        .target(
            name: "VoxelBridge",
            dependencies: ["VolumeIO", "VolumeMetrics", "ReferenceUNet", "VolumeTranslation"]),
        .executableTarget(
            name: "VoxelBridgeTool",
            dependencies: [
                "VoxelSupport", "VoxelBridge", "LatentTranslation", "VolumeRegistration", "BridgeTraining",
                "LatentTraining", "VolumeFigures", "RemoteDenoising", "DenoisingServer",
                "VolumePhantoms", "TensorFiles", "Networks", "NetworkEngine",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        // A development tool, which is no product: it also times what is not public.
        .executableTarget(
            name: "benchmarks",
            dependencies: [
                "BridgeTraining", "NetworkEngine", "Networks", "Preprocessing", "ReferenceUNet",
                "SliceSampling",
                "StyleKeys", "TensorFiles", "VolumeIO", "VolumeMetrics", "VolumeRegistration", "VoxelSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Examples/Benchmarks/Sources"),

        // C, as thin as it can be.
        .target(name: "CVoxelKernels"),
        .target(
            name: "CNIfTI",
            linkerSettings: [.linkedLibrary("nifti2"), .linkedLibrary("znz")]),
        .systemLibrary(name: "CISAL", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CLAPACKE", pkgConfig: "lapacke", providers: [.apt(["liblapacke-dev"])]),
        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // Tests: one folder a module.
        .target(
            name: "TestSupport", dependencies: ["Volumes", "BridgeDiffusion", "TensorFiles", "VoxelSupport"],
            path: "Tests/TestSupport"),
        .target(
            name: "TensorTestSupport", dependencies: ["NetworkEngine", "TestSupport"],
            path: "Tests/TensorTestSupport"),
        .testTarget(name: "VoxelSupportTests", dependencies: ["VoxelSupport", "TestSupport"]),
        .testTarget(name: "VolumesTests", dependencies: ["Volumes", "TestSupport"]),
        .testTarget(name: "VolumeIOTests", dependencies: ["VolumeIO", "CNIfTI", "TestSupport"]),
        .testTarget(name: "PreprocessingTests", dependencies: ["Preprocessing", "VolumeIO", "TestSupport"]),
        .testTarget(
            name: "VolumeRegistrationTests", dependencies: ["VolumeRegistration", "VolumeIO", "TestSupport"]),
        .testTarget(
            name: "StyleKeysTests", dependencies: ["StyleKeys", "VolumeIO", "TensorFiles", "TestSupport"]),
        .testTarget(name: "BridgeDiffusionTests", dependencies: ["BridgeDiffusion", "TestSupport"]),
        .testTarget(
            name: "DiffusionSamplingTests", dependencies: ["DiffusionSampling", "TensorFiles", "TestSupport"]),
        .testTarget(name: "SliceSamplingTests", dependencies: ["SliceSampling", "TestSupport"]),
        .testTarget(
            name: "VolumeMetricsTests", dependencies: ["VolumeMetrics", "StyleKeys", "VolumeIO", "TestSupport"]),
        .testTarget(
            name: "VolumeFiguresTests",
            dependencies: ["VolumeFigures", "VolumeMetrics", "StyleKeys", "CPNG", "CZlib", "TestSupport"]),
        .testTarget(
            name: "VolumePhantomsTests",
            dependencies: [
                "VolumePhantoms", "VolumeIO", "StyleKeys", "VolumeMetrics", "VoxelSupport", "TestSupport",
            ]),
        .testTarget(name: "TensorFilesTests", dependencies: ["TensorFiles", "TestSupport"]),
        .testTarget(name: "NetworksTests", dependencies: ["Networks", "TestSupport"]),
        .testTarget(
            name: "NetworkEngineTests",
            dependencies: ["NetworkEngine", "COpenBLAS", "CVoxelKernels", "TensorTestSupport", "TestSupport"]),
        .testTarget(
            name: "ReferenceUNetTests", dependencies: ["ReferenceUNet", "TensorTestSupport", "TestSupport"]),
        .testTarget(
            name: "LatentTranslationTests",
            dependencies: ["LatentTranslation", "TestSupport"]),
        .testTarget(name: "InferenceProtocolTests", dependencies: ["InferenceProtocol", "TestSupport"]),
        .testTarget(
            name: "RemoteDenoisingTests",
            dependencies: [
                "RemoteDenoising", "DenoisingServer", "InferenceProtocol", "VoxelSupport", "TestSupport",
                .product(name: "Hummingbird", package: "hummingbird"),
            ]),
        .testTarget(
            name: "DenoisingServerTests",
            dependencies: [
                "DenoisingServer", "InferenceProtocol", "VoxelSupport", "TestSupport",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
            ]),
        .testTarget(
            name: "BridgeTrainingTests",
            dependencies: [
                "BridgeTraining", "Networks", "VolumeIO", "VolumeRegistration", "VoxelSupport", "TestSupport",
            ]),
        .testTarget(
            name: "LatentTrainingTests",
            dependencies: ["LatentTraining", "VolumeIO", "TestSupport"]),
        .testTarget(
            name: "VolumeTranslationTests", dependencies: ["VolumeTranslation", "VoxelBridge", "TestSupport"]),
        .testTarget(name: "VoxelBridgeTests", dependencies: ["VoxelBridge", "TestSupport"]),
        .testTarget(
            name: "VoxelBridgeToolTests",
            dependencies: [
                "VoxelBridgeTool", "VoxelBridge", "VolumeRegistration", "VolumePhantoms", "TestSupport",
            ]),
        .testTarget(name: "PackageTests", dependencies: ["TestSupport"]),
    ]
)
