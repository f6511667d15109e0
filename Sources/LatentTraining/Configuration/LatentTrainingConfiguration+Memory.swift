import BridgeTraining
import LatentTranslation
import Networks

extension LatentTrainingConfiguration {
    /// A lower bound of the bytes of memory that a step of a stage needs: the activations of an example, and the parameters
    /// with their gradients, moments and average.
    package func memory(toTrain stage: LatentStage, recomputesActivations: Bool) -> Int {
        let volume = Array(model.preparation.plannedShape.reversed())
        let latent = volume.map { $0 / model.firstStage.factor }
        func kept(_ network: some Network, _ size: [Int]) -> Double {
            network.graph(batch: 1, size: size).numbersKept(recomputing: recomputesActivations)
        }
        switch stage {
        case .autoencoder:
            let kept =
                kept(LatentEncoder(model.firstStage), volume) + kept(LatentDecoder(model.firstStage), latent)
            // The adaptive weight is of the whole batch.
            return bytes(
                toTrain: model.firstStage.autoencoderParameters,
                activations: kept * Double(autoencoder.losses.isAdaptive ? autoencoder.batch : 1))
        case .translator:
            return bytes(
                toTrain: model.firstStage.translatorParameters,
                activations: kept(SpadeTranslator(model.firstStage, target: 0), latent))
        case .denoiser:
            guard let sizes = model.denoiser else { return 0 }
            let network = LatentUNet3D(sizes)
            return bytes(toTrain: network.parameters, activations: kept(network, latent))
        }
    }
}
