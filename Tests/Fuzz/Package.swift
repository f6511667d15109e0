// swift-tools-version: 6.1
import PackageDescription

// A package of its own, as it must be built with a sanitizer: see .ci/fuzz.
let package = Package(
    name: "Fuzz",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "VoxelBridge", path: "../..")],
    targets: [
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "CLibFuzzer",
                .product(name: "VolumeIO", package: "VoxelBridge"),
                .product(name: "TensorFiles", package: "VoxelBridge"),
                .product(name: "BridgeTraining", package: "VoxelBridge"),
            ]),
        .systemLibrary(name: "CLibFuzzer"),
    ]
)
