import COpenBLAS
import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

/// OpenBLAS's settings belong to the process: none is changed, and no result depends on them.
@Suite(.serialized)
struct OpenBLASTests {
    @Test(arguments: [[3, 700, 300], [1, 4096, 500], [70, 40, 30_000], [1, 1, 300_000]])
    func productsDependOnTheirSizesAlone(sizes: [Int]) {
        let before = openblas_get_num_threads()
        defer { openblas_set_num_threads(before) }
        var generator = SeededGenerator(seed: 1)
        let x = randomTensor([sizes[0], sizes[2]], &generator)
        let weight = randomTensor([sizes[1], sizes[2]], &generator)
        let results = [Int32](1...3).map { threads in
            openblas_set_num_threads(threads)
            let result = x.linear(weight: weight)
            #expect(openblas_get_num_threads() == threads)
            return result
        }
        #expect(results[1] == results[0] && results[2] == results[0])
        // Against a plain sum of some elements.
        for element in [0, results[0].count / 2, results[0].count - 1] {
            let (row, column) = (element / sizes[1], element % sizes[1])
            let expected = (0..<sizes[2]).reduce(0) { $0 + x.at([row, $1]) * weight.at([column, $1]) }
            #expect(abs(Double(results[0].values[element]) - expected) < 1e-5 * Double(sizes[2]))
        }
    }
}
