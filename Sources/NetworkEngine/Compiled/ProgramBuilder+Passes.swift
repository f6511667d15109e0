import Networks

/// The passes of a program, and what each gives.
extension ProgramBuilder {
    private mutating func newImage(channels: Int, rows: Int, columns: Int) -> (
        index: Int, image: ImageExpression
    ) {
        let image = ArenaPlan.Image(channels: channels, rows: rows, columns: columns)
        images.append(image)
        let index = images.count - 1
        let references = (0..<image.blocks).map { BlockReference(image: index, block: $0) }
        return (index, ImageExpression(blocks: references, channels: channels, rows: rows, columns: columns))
    }

    mutating func load(_ index: Int, shape: [Int]) -> ImageValue {
        let new = newImage(channels: shape[1], rows: shape[2], columns: shape[3])
        steps.append(LoadStep(image: index, channels: shape[1], pixels: shape[2] * shape[3], writes: new.index))
        return ImageValue(expression: new.image)
    }

    /// The same image with nothing deferred.
    mutating func plain(_ x: ImageValue) -> ImageValue {
        if x.expression.isPlain && !x.awaitsGELU { return x }
        let (rows, columns) = x.expression.size
        let new = newImage(channels: x.expression.channels, rows: rows, columns: columns)
        if x.awaitsGELU {
            steps.append(
                GateStep(value: nil, gate: x.expression.blocks, pixels: rows * columns, writes: new.index))
        } else {
            steps.append(WriteStep(source: x.expression, addend: nil, writes: new.index))
        }
        return ImageValue(expression: new.image)
    }

    mutating func convolved(_ x: ImageValue, _ weights: PackedConvolution) -> ImageValue {
        let x = x.awaitsGELU || (weights.kernel == 1 && x.expression.resampling != .same) ? plain(x) : x
        let size = x.expression.size
        let extent = { (n: Int) in (n + 2 * weights.padding - weights.kernel) / weights.stride + 1 }
        let (rows, columns) = (extent(size.rows), extent(size.columns))
        let new = newImage(channels: weights.outputs, rows: rows, columns: columns)
        steps.append(
            ConvolutionStep(
                source: x.expression, weights: weights, residual: nil, writes: new.index, rows: rows,
                columns: columns))
        return ImageValue(expression: new.image)
    }

    mutating func normalized(
        _ x: ImageValue, weight: FloatBuffer, bias: FloatBuffer, epsilon: Float
    ) -> ImageValue {
        let x = plain(x).expression
        let new = newImage(channels: x.channels, rows: x.rows, columns: x.columns)
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
        let new = newImage(channels: queries.channels, rows: queries.rows, columns: queries.columns)
        steps.append(
            AttentionStep(
                queries: queries.blocks, keys: keys, values: values, channels: queries.channels, heads: heads,
                pixels: queries.pixels, contextTokens: contextTokens, writes: new.index))
        return ImageValue(expression: new.image)
    }

    mutating func resampled(_ x: ImageValue, _ resampling: ImageExpression.Resampling) -> ImageValue {
        var x = x.expression.resampling != .same || x.awaitsGELU ? plain(x) : x
        x.expression.resampling = resampling
        return x
    }

    mutating func staged(_ x: ImageValue, _ stage: ImageExpression.Stage) -> ImageValue {
        let isDeferred = x.expression.appliesSiLU || x.expression.resampling != .same || x.awaitsGELU
        var x = isDeferred ? plain(x) : x
        x.expression.stages.append(stage)
        return x
    }

    mutating func gated(_ value: ImageValue, by gate: ImageValue) -> ImageValue {
        let factor = plain(value).expression
        let new = newImage(channels: factor.channels, rows: factor.rows, columns: factor.columns)
        steps.append(
            GateStep(
                value: factor.blocks, gate: gate.expression.blocks, pixels: factor.pixels, writes: new.index))
        return ImageValue(expression: new.image)
    }

    mutating func gathered(
        _ channels: [(BlockReference, Int)], like image: ImageExpression
    ) -> ImageExpression {
        let new = newImage(channels: channels.count, rows: image.rows, columns: image.columns)
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
        let (rows, columns) = source.expression.size
        let new = newImage(channels: source.expression.channels, rows: rows, columns: columns)
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
            let (rows, columns) = earlier.expression.size
            let new = newImage(channels: earlier.expression.channels, rows: rows, columns: columns)
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
