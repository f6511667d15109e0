import Networks

/// The passes of a program, and what each gives.
extension ProgramBuilder {
    private mutating func newImage(channels: Int, _ extents: Extents) -> (index: Int, image: ImageExpression) {
        let image = ArenaPlan.Image(channels: channels, pixels: extents.pixels)
        images.append(image)
        let index = images.count - 1
        let references = (0..<image.blocks).map { BlockReference(image: index, block: $0) }
        return (index, ImageExpression(blocks: references, channels: channels, extents: extents))
    }

    mutating func load(_ index: Int, shape: [Int]) -> ImageValue {
        let new = newImage(channels: shape[1], Extents(shape[2...]))
        steps.append(
            LoadStep(image: index, channels: shape[1], pixels: new.image.pixels, writes: new.index))
        return ImageValue(expression: new.image)
    }

    /// The same image with nothing deferred.
    mutating func plain(_ x: ImageValue) -> ImageValue {
        if x.expression.isPlain && !x.awaitsGELU { return x }
        let new = newImage(channels: x.expression.channels, x.expression.size)
        if x.awaitsGELU {
            steps.append(
                GateStep(value: nil, gate: x.expression.blocks, pixels: new.image.pixels, writes: new.index))
        } else {
            steps.append(WriteStep(source: x.expression, addend: nil, writes: new.index))
        }
        return ImageValue(expression: new.image)
    }

    mutating func convolved(_ x: ImageValue, _ weights: PackedConvolution) -> ImageValue {
        let isResampledPoint = weights.geometry.places == 1 && x.expression.resampling != .same
        let x = x.awaitsGELU || isResampledPoint ? plain(x) : x
        let size = weights.geometry.result(of: x.expression.size)
        let new = newImage(channels: weights.outputs, size)
        steps.append(
            ConvolutionStep(
                source: x.expression, weights: weights, residual: nil, writes: new.index, size: size))
        return ImageValue(expression: new.image)
    }

    mutating func normalized(
        _ x: ImageValue, weight: FloatBuffer, bias: FloatBuffer, epsilon: Float
    ) -> ImageValue {
        let x = plain(x).expression
        let new = newImage(channels: x.channels, x.extents)
        steps.append(
            LayerNormStep(
                source: x.blocks, channels: x.channels, pixels: x.pixels, weight: weight, bias: bias,
                epsilon: epsilon, writes: new.index))
        return ImageValue(expression: new.image)
    }

    mutating func attended(
        _ queries: ImageValue, keys: AttentionStep.Tokens, values: AttentionStep.Tokens, heads: Int,
        contextTokens: Int
    ) -> ImageValue {
        let queries = plain(queries).expression
        let new = newImage(channels: queries.channels, queries.extents)
        steps.append(
            AttentionStep(
                queries: queries.blocks, keys: keys, values: values, channels: queries.channels, heads: heads,
                pixels: queries.pixels, contextTokens: contextTokens, writes: new.index))
        return ImageValue(expression: new.image)
    }

    mutating func resampled(_ x: ImageValue, _ resampling: ImageExpression.Resampling) -> ImageValue {
        // Averages are taken of what a single kernel computes.
        let isComplex = resampling == .half && (x.expression.factor != nil || x.expression.isRectified)
        let isDeferred = x.expression.resampling != .same || x.expression.factor != nil || x.awaitsGELU
        var x = isDeferred || isComplex ? plain(x) : x
        x.expression.resampling = resampling
        return x
    }

    mutating func activated(_ x: ImageValue, _ activation: ImageExpression.Activation) -> ImageValue {
        let isDeferred = x.expression.isActivated || x.expression.resampling == .half || x.awaitsGELU
        var x = isDeferred ? plain(x) : x
        x.expression.activation = activation
        return x
    }

    /// `x y`, or `x (1 + y)`.
    mutating func multiplied(_ x: ImageValue, by y: ImageValue, addsOne: Bool) -> ImageValue {
        let factor = plain(y).expression
        let isDeferred = x.expression.isActivated || x.expression.resampling != .same || x.awaitsGELU
        var x = isDeferred || x.expression.factor != nil ? plain(x) : x
        x.expression.factor = ImageExpression.Factor(blocks: factor.blocks, addsOne: addsOne)
        return x
    }

    mutating func quantized(_ x: ImageValue, _ layer: Codebook, _ entries: FloatBuffer) -> ImageValue {
        let x = plain(x).expression
        let new = newImage(channels: x.channels, x.extents)
        let shape = layer.weight.shape
        steps.append(
            CodebookStep(
                source: x.blocks, codes: PackedCodebook(entries, count: shape[0], width: shape[1]),
                pixels: x.pixels, writes: new.index))
        return ImageValue(expression: new.image)
    }

    mutating func staged(_ x: ImageValue, _ stage: ImageExpression.Stage) -> ImageValue {
        let isDeferred = x.expression.isActivated || x.expression.resampling != .same || x.awaitsGELU
        var x = isDeferred || x.expression.factor != nil ? plain(x) : x
        x.expression.stages.append(stage)
        return x
    }

    mutating func gated(_ value: ImageValue, by gate: ImageValue) -> ImageValue {
        let factor = plain(value).expression
        let new = newImage(channels: factor.channels, factor.extents)
        steps.append(
            GateStep(
                value: factor.blocks, gate: gate.expression.blocks, pixels: factor.pixels, writes: new.index))
        return ImageValue(expression: new.image)
    }

    mutating func gathered(
        _ channels: [(BlockReference, Int)], like image: ImageExpression
    ) -> ImageExpression {
        let new = newImage(channels: channels.count, image.extents)
        steps.append(GatherStep(channels: channels.map { (block: $0.0, lane: $0.1) }, writes: new.index))
        return new.image
    }

    // MARK: Sums

    /// The sum of two images, each with the number of operations that use it.
    mutating func sum(_ a: (value: ImageValue, uses: Int), _ b: (value: ImageValue, uses: Int)) -> ImageValue {
        let isFirstLater = writer(a.value) >= writer(b.value)
        for (later, earlier) in isFirstLater ? [(a, b), (b, a)] : [(b, a), (a, b)] {
            if let joined = joined(later.value, uses: later.uses, with: earlier.value) { return joined }
        }
        let addend = plain(b.value)
        let source = a.value.awaitsGELU ? plain(a.value) : a.value
        let new = newImage(channels: source.expression.channels, source.expression.size)
        steps.append(WriteStep(source: source.expression, addend: addend.expression.blocks, writes: new.index))
        return ImageValue(expression: new.image)
    }

    /// Makes the convolution that gives `later`, if one does and for nothing else, add `earlier` to its result.
    private mutating func joined(_ later: ImageValue, uses: Int, with earlier: ImageValue) -> ImageValue? {
        guard uses == 1, later.expression.isPlain, let image = later.expression.images.first,
            later.expression.images.count == 1, later.expression.blocks.count == images[image].blocks,
            let index = steps.firstIndex(where: { $0.writes == image }),
            var step = steps[index] as? ConvolutionStep, step.residual == nil, !earlier.awaitsGELU,
            earlier.expression.images.allSatisfy({ image in steps[..<index].contains { $0.writes == image } })
        else { return nil }
        if earlier.expression.isPlain {
            step.residual = earlier.expression.blocks
            steps[index] = step
        } else {
            let new = newImage(channels: earlier.expression.channels, earlier.expression.size)
            step.residual = new.image.blocks
            steps[index] = step
            steps.insert(WriteStep(source: earlier.expression, addend: nil, writes: new.index), at: index)
        }
        return later
    }

    /// The last step that writes a part of a value.
    private func writer(_ value: ImageValue) -> Int {
        let images = value.expression.images
        return steps.lastIndex { images.contains($0.writes) } ?? -1
    }

    /// Adds steps that compute the moments of normalised images, where the steps that write them do not.
    mutating func addMeasures() {
        let measured = steps.reduce(into: Set<Int>()) { $0.formUnion($1.measures) }
        steps = steps.flatMap { step -> [any ProgramStep] in
            step.computesMoments || !measured.contains(step.writes)
                ? [step] : [step, MeasureStep(writes: step.writes)]
        }
    }
}
