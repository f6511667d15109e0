// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "OwnPath",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "VoxelBridge", path: "../..")],
    targets: [
        .executableTarget(
            name: "OwnPath",
            dependencies: [
                .product(name: "VoxelBridge", package: "VoxelBridge"),
                .product(name: "BridgeTraining", package: "VoxelBridge"),
                .product(name: "VolumePhantoms", package: "VoxelBridge"),
            ])
    ]
)
