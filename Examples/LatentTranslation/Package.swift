// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "LatentTranslationDemo",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "VoxelBridge", path: "../..")],
    targets: [
        .executableTarget(
            name: "LatentTranslationDemo",
            dependencies: [
                .product(name: "LatentTranslation", package: "VoxelBridge"),
                .product(name: "VolumeIO", package: "VoxelBridge"),
                .product(name: "VolumePhantoms", package: "VoxelBridge"),
            ])
    ]
)
