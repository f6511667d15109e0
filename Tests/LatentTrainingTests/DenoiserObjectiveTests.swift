import BridgeDiffusion
import LatentTranslation
import Networks
import TensorFiles
import TestSupport
import Testing
import VoxelSupport

@testable import LatentTraining

struct DenoiserObjectiveTests {
    /// What the network is trained to predict gives back the latent that noise was added to.
    @Test(arguments: [PredictionType.noise, .velocity, .sample, .gradient])
    func theTargetDeterminesTheLatent(predictionType: PredictionType) async {
        await checkLaw(cases: 20) { generator in
            let path = LatentModelConfiguration.publishedPath
            let objective = DenoiserObjective(
                .published, path: path, predicting: predictionType, losses: DenoiserLosses())
            func latent() -> Tensor { Tensor(shape: [1, 2, 2, 2, 2], values: generator.floats(16)) }
            let example = DenoiserObjective.Example(
                target: latent(), conditioningLatents: latent(), noise: latent(),
                timestep: Int.random(in: 0..<path.trainingTimesteps, using: &generator), targetClass: 0)
            let noisy = objective.noisy(example).values
            let estimate = path.estimate(from: predictionType, at: example.timestep)(
                noisy: noisy, target: objective.target(example).values, source: noisy)
            // An error in the noise grows with the timestep, up to 84 times.
            try #require(relativeL2(estimate, example.target.values) < 1e-4)
        }
    }

    @Test func aModelStatesWhatItsDenoiserPredicts() throws {
        var configuration = LatentModelConfiguration()
        let published = try JSONValue(encoding: configuration)
        #expect(published["objective"] == .string("noise"))
        configuration.predictionType = .velocity
        #expect(try JSONValue(encoding: configuration).decode(LatentModelConfiguration.self) == configuration)
        try configuration.validate()
        configuration.predictionType = .difference
        #expect {
            try configuration.validate()
        } throws: {
            "\($0)".contains("objective") && "\($0)".contains("velocity")
        }
    }
}
