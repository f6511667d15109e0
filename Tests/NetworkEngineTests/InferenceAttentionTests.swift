import Networks
import TensorTestSupport
import TestSupport
import Testing

@testable import NetworkEngine

/// Tokens, compiled: linear maps, layer normalisation, gates and attention are what plain arithmetic gives.
struct InferenceAttentionTests {
    /// An image's pixels as tokens, `[1, pixels, channels]`.
    private func tokens(_ a: PlainTrace, _ channels: Int, _ rows: Int, _ columns: Int) -> GraphValue {
        a.image(channels, rows, columns).reshaped([1, channels, rows * columns]).transposed()
    }

    private func agrees(
        cases: Int, sourceLocation: SourceLocation = #_sourceLocation,
        _ compose: (PlainTrace, inout SeededGenerator) -> Void
    ) async {
        await checkLaw(cases: cases, sourceLocation: sourceLocation) { generator in
            let trace = PlainTrace(&generator)
            compose(trace, &generator)
            let worst = try trace.worst()
            try #require(worst.error < 2e-5, "\(worst.place) is off by \(worst.error)")
        }
    }

    @Test func layersOfTokens() async {
        await agrees(cases: 20) { a, generator in
            let (width, outputs) = (generator.size(in: 2...40), generator.size(in: 1...40))
            let x = tokens(a, width, generator.size(in: 1...6), generator.size(in: 1...7))
            let normed = LayerNorm("n", width: width)(x)
            let hasBias = Bool.random(using: &generator)
            let both = Linear("l", inputs: width, outputs: 2 * outputs, hasBias: hasBias)(normed)
            let value = both.slice(axis: 2, 0..<outputs)
            let gate = both.slice(axis: 2, outputs..<2 * outputs).gelu()
            let gated = Bool.random(using: &generator) ? (value * gate) : (gate * value)
            _ = x + Linear("o", inputs: outputs, outputs: width)(gated)
            _ = GraphValue.concatenated([x, both.silu()], axis: 2)
        }
    }

    @Test(arguments: [8, 16, 24, 40])
    func attentionOfPixels(headChannels: Int) async {
        await agrees(cases: 8) { a, generator in
            let width = headChannels * generator.size(in: 1...3)
            let x = tokens(a, width, generator.size(in: 1...9), generator.size(in: 1...9))
            let maps = ["q", "k", "v"].map { Linear($0, inputs: width, outputs: width)(x) }
            let heads = width / headChannels
            let attended = maps[0].attention(keys: maps[1], values: maps[2], heads: heads)
            _ = Linear("o", inputs: width, outputs: width)(attended)
            _ = x.attention(keys: x, values: x, heads: heads)
        }
    }

    /// Queries in several blocks, of more tokens than one column block holds.
    @Test func attentionOfManyPixels() async {
        await agrees(cases: 2) { a, generator in
            let x = tokens(a, 48, generator.size(in: 10...20), 17)
            _ = x.attention(keys: x, values: x, heads: 2)
        }
    }

    @Test(arguments: [1, 3, 17], [8, 16, 24, 40])
    func attentionToSharedTokens(count: Int, headChannels: Int) async {
        await agrees(cases: 4) { a, generator in
            let (heads, width) = (generator.size(in: 1...3), generator.size(in: 1...9))
            let context = a.shared([1, count, width])
            // The result takes the place of an image whose blocks are full: nothing may be left beyond its channels.
            let wide = tokens(a, 80, generator.size(in: 1...5), generator.size(in: 1...7))
            let x = Linear("q", inputs: 80, outputs: heads * headChannels)(wide)
            let maps = ["k", "v"].map {
                Linear($0, inputs: width, outputs: heads * headChannels, hasBias: false)(context)
            }
            let attended = x.attention(keys: maps[0], values: maps[1], heads: heads)
            _ = LayerNorm("n", width: heads * headChannels)(attended)
        }
    }

    /// Context from another image, which has another number of pixels.
    @Test func attentionToAnotherImage() async {
        await agrees(cases: 8) { a, generator in
            let image = a.image(24, 4, 6)
            let x = image.silu().reshaped([1, 24, 24]).transposed()
            let y = image.averagePooled().reshaped([1, 24, 6]).transposed()
            _ = x.attention(keys: y, values: y.gelu(), heads: generator.size(in: 1...2))
        }
    }

    /// Each head's queries, keys and values lie side by side, as one convolution gives them.
    @Test(arguments: [8, 16, 24, 40])
    func attentionOfOneProjection(headChannels: Int) async {
        await agrees(cases: 8) { a, generator in
            let heads = generator.size(in: 1...3)
            let (channels, pixels) = (heads * headChannels, generator.size(in: 1...40))
            let x = a.image(5, 1, pixels).reshaped([1, 5, pixels])
            let all = Convolution("c", inputs: 5, outputs: 3 * channels, kernel: [1])(x).transposed()
            let perHead = all.reshaped([1, pixels, heads, 3 * headChannels])
            let thirds = (0..<3).map {
                perHead.slice(axis: 3, $0 * headChannels..<($0 + 1) * headChannels).reshaped([
                    1, pixels, channels,
                ])
            }
            let attended = thirds[0].attention(keys: thirds[1], values: thirds[2], heads: heads)
            let y = Convolution("o", inputs: channels, outputs: 5, kernel: [1])(attended.transposed())
            _ = (x + y).reshaped([1, 5, 1, pixels])
        }
    }
}
