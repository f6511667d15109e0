// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "OneToMany",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "VoxelBridge", path: "../.."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    ],
    targets: [
        .executableTarget(
            name: "OneToMany",
            dependencies: [
                .product(name: "LatentTranslation", package: "VoxelBridge"),
                .product(name: "Preprocessing", package: "VoxelBridge"),
                .product(name: "VolumeIO", package: "VoxelBridge"),
                .product(name: "VolumeFigures", package: "VoxelBridge"),
                .product(name: "VolumeMetrics", package: "VoxelBridge"),
                .product(name: "VolumePhantoms", package: "VoxelBridge"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ])
    ]
)
