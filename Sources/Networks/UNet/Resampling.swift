/// Halves or doubles the resolution: `[batch, channels, rows, columns]` to half or twice the rows and columns.
struct Resampling: Layer {
    /// Which way to go.
    enum Direction { case down, up }

    let direction: Direction
    let convolution: Convolution?

    /// A mean of 2 x 2 pixels, or each pixel repeated: no parameters.
    init(_ direction: Direction) {
        self.direction = direction
        convolution = nil
    }

    /// Down, a convolution of stride 2, `path.op`; up, each pixel repeated and then a convolution, `path.conv`.
    init(_ direction: Direction, convolvedAt path: String, channels: Int) {
        self.direction = direction
        convolution =
            switch direction {
            case .down:
                Convolution("\(path).op", inputs: channels, outputs: channels, kernel: [3, 3], stride: 2)
            case .up: Convolution("\(path).conv", inputs: channels, outputs: channels, kernel: [3, 3])
            }
    }

    var parameters: [Parameter] { convolution?.parameters ?? [] }

    /// `[batch, channels, rows, columns]` to half or twice the rows and columns.
    func callAsFunction<A: LayerArithmetic>(_ x: A.Value, with arithmetic: A) -> A.Value {
        switch (direction, convolution) {
        case (.down, nil): arithmetic.averagePooled(x)
        case (.down, let convolution?): convolution(x, with: arithmetic)
        case (.up, nil): arithmetic.upsampled(x)
        case (.up, let convolution?): convolution(arithmetic.upsampled(x), with: arithmetic)
        }
    }
}
