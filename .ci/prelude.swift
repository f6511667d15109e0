// What fragments of the documentation name and do not define; `.ci/outside` compiles them with it. Nothing here is run.
// A word that has another type in one module's documentation stands under `#if`.

@_exported import BridgeTraining
@_exported import Foundation
@_exported import VolumeFigures
@_exported import VolumePhantoms
@_exported import VoxelBridge

#if LatentTranslation
    @_exported import LatentTranslation
#elseif LatentTraining
    @_exported import LatentTraining
#elseif VolumeRegistration
    @_exported import VolumeRegistration
#elseif RemoteDenoising
    @_exported import RemoteDenoising
#elseif DenoisingServer
    @_exported import DenoisingServer
#endif

func example<Value>() -> Value { fatalError("this is compiled, and not run") }

package func preview<Value>(_ value: Value) {}

// Files.
package let folder: URL = example()
package let file: URL = example()
package let copy: URL = example()
package let checkpoint: URL = example()
package let jsonFile: URL = example()

// Volumes and styles.
package let volume: Volume = example()
package let ct: Volume = example()
package let t1: Volume = example()
package let real: Volume = example()
package let reference: Volume = example()
package let prediction: Volume = example()
package let predicted: Volume = example()
package let translated: Volume = example()
package let brain: Volume = example()
package let style: StyleKey = example()
package let (a, b, c): (StyleKey, StyleKey, StyleKey) = example()

// What fragments write to.
nonisolated(unsafe) package var mri: Volume = example()
#if LatentTraining
    nonisolated(unsafe) package var configuration: LatentTrainingConfiguration = example()
#else
    nonisolated(unsafe) package var configuration: TrainingConfiguration = example()
#endif

// The mathematics of paths, on one row of numbers.
package let bridge: BrownianBridge = example()
package let (x, x0, y, eps, output): ([Float], [Float], [Float], [Float], [Float]) = example()

// Networks and samplers.
package let key: Tensor = example()
package let noisy: Tensor = example()
package let numbers: [Float] = example()
package let points: [SIMD2<Double>] = example()

#if LatentTranslation
    package let model: LatentModel = example()
    package let encoded: EncodedVolume = example()
    package let conditioningLatents: Tensor = example()
    package let path: GaussianDiffusion = example()
    package let translator: LatentVolumeTranslator = example()
    nonisolated(unsafe) package var t2: Volume = example()
#else
    package let translator: VolumeTranslator<UNetDenoiser> = example()
#endif

#if DiffusionSampling
    package let source: Tensor = example()
    package let target: Int = example()
    package let sampler: Sampler<LatentDenoiser> = example()

    package func network(_ x: Tensor, _ y: Tensor, timestep: Int, target: Int) throws -> Tensor { example() }

    package struct LatentDenoiser: Denoiser {
        package init() {}
        package var predictionType: PredictionType { example() }
        package func predict(
            _ noisy: Tensor, source: Tensor, at timestep: Int, conditioning: Int, progress: (Double) -> Void
        ) async throws -> Tensor {
            example()
        }
    }
#elseif Preprocessing
    package let sampler: SliceSampler<MyDenoiser> = example()
    package let (mask, flair, atlas, segmentation): (Volume, Volume, Volume, Volume) = example()
    package let pipeline: PreprocessingPipeline = example()
    package let source: PreparedVolume = example()
#elseif ReferenceUNet
    package let source: Tensor = example()
#elseif TensorFiles
    package let weights: URL = example()
#else
    package let sampler: SliceSampler<UNetDenoiser> = example()
#endif

#if BridgeTraining
    package let training: Bool = example()
    package let network: TrainableUNet = example()
    package let data: (training: ManifestDataset, validation: ManifestDataset?) = example()
    package func step(at rate: Double) -> Double { example() }
#endif

#if LatentTraining
    package let data: (training: ModalityDataset, validation: ModalityDataset?) = example()
#endif

package struct MyDenoiser: SliceDenoiser {
    package init() {}
    package var radius: Int { example() }
    package var predictionType: PredictionType { example() }
    package func predict(
        _ windows: SliceWindows, at timestep: Int, conditioning: Void
    ) async throws -> [Float] {
        example()
    }
}
