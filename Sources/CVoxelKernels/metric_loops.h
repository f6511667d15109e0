// The loops of metrics, once, in vectors of eight numbers that the compiler splits for the machine at hand. The file that
// includes this defines NAME(function), the function's name for one kind of processor.

INLINE void NAME(metric_sums_of)(
    const float *p, const float *r, const float *mask, size_t count, double p_shift, double r_shift,
    bool checks, metric_sums *sums) {
    doubles absolute = {0}, squared = {0}, p_sum = {0}, r_sum = {0}, pp = {0}, rr = {0}, pr = {0};
    longs counted = {0}, masked = {0};
    floats p_low = ALL_FLOATS(INFINITY), p_high = ALL_FLOATS(-INFINITY), r_low = p_low, r_high = p_high;
    for (size_t start = 0; start < count; start += 8) {
        floats a, b, m = ALL_FLOATS(1);
        if (start + 8 <= count) {
            memcpy(&a, p + start, sizeof a);
            memcpy(&b, r + start, sizeof b);
            if (mask) memcpy(&m, mask + start, sizeof m);
        } else {
            // The rest of the last vector is outside the mask.
            a = b = m = ALL_FLOATS(0);
            memcpy(&a, p + start, (count - start) * sizeof *p);
            memcpy(&b, r + start, (count - start) * sizeof *r);
            for (size_t lane = 0; lane < count - start; lane++) m[lane] = mask ? mask[start + lane] : 1;
        }
        doubles wide_a = __builtin_convertvector(a, doubles), wide_b = __builtin_convertvector(b, doubles);
        doubles error = wide_a - wide_b, da = wide_a - p_shift, db = wide_b - r_shift;
        floats a_for_low = a, a_for_high = a, b_for_low = b, b_for_high = b;
        if (checks || start + 8 > count) {
            ints inside = m > 0, use = inside & (a == a) & (b == b);
            longs wide = __builtin_convertvector(use, longs);
            error = (doubles)((longs)error & wide);
            da = (doubles)((longs)da & wide);
            db = (doubles)((longs)db & wide);
            counted -= wide;
            masked -= __builtin_convertvector(inside, longs);
            a_for_low = CHOSEN(use, a, ALL_FLOATS(INFINITY));
            a_for_high = CHOSEN(use, a, ALL_FLOATS(-INFINITY));
            b_for_low = CHOSEN(use, b, ALL_FLOATS(INFINITY));
            b_for_high = CHOSEN(use, b, ALL_FLOATS(-INFINITY));
        } else {
            counted += 1;
            masked += 1;
        }
        absolute += (doubles)((longs)error & INT64_MAX);
        squared += error * error;
        p_sum += da;
        r_sum += db;
        pp += da * da;
        rr += db * db;
        pr += da * db;
        p_low = CHOSEN(a_for_low < p_low, a_for_low, p_low);
        p_high = CHOSEN(a_for_high > p_high, a_for_high, p_high);
        r_low = CHOSEN(b_for_low < r_low, b_for_low, r_low);
        r_high = CHOSEN(b_for_high > r_high, b_for_high, r_high);
    }
    *sums = (metric_sums){
        .absolute = TOTAL(absolute), .squared = TOTAL(squared), .p = TOTAL(p_sum), .r = TOTAL(r_sum),
        .pp = TOTAL(pp), .rr = TOTAL(rr), .pr = TOTAL(pr),
        .p_low = INFINITY, .p_high = -INFINITY, .r_low = INFINITY, .r_high = -INFINITY};
    for (int lane = 0; lane < 8; lane++) {
        sums->count += (size_t)counted[lane];
        sums->left_out += (size_t)(masked[lane] - counted[lane]);
        if (p_low[lane] < sums->p_low) sums->p_low = p_low[lane];
        if (p_high[lane] > sums->p_high) sums->p_high = p_high[lane];
        if (r_low[lane] < sums->r_low) sums->r_low = r_low[lane];
        if (r_high[lane] > sums->r_high) sums->r_high = r_high[lane];
    }
}

static void NAME(plain_sums)(
    const float *p, const float *r, size_t count, double p_shift, double r_shift, metric_sums *sums) {
    NAME(metric_sums_of)(p, r, NULL, count, p_shift, r_shift, false, sums);
}

static void NAME(checked_sums)(
    const float *p, const float *r, const float *mask, size_t count, double p_shift, double r_shift,
    metric_sums *sums) {
    NAME(metric_sums_of)(p, r, mask, count, p_shift, r_shift, true, sums);
}

static void NAME(add_voxels)(
    const float *restrict p, const float *restrict r, const float *restrict p_leaving,
    const float *restrict r_leaving, size_t count, double weight, double p_shift, double r_shift,
    double *restrict planes) {
    double *restrict sp = planes, *restrict sr = planes + count, *restrict spp = planes + 2 * count;
    double *restrict srr = planes + 3 * count, *restrict spr = planes + 4 * count;
    if (p_leaving) {
        for (size_t i = 0; i < count; i++) {
            double a = p[i] - p_shift, b = r[i] - r_shift;
            double c = p_leaving[i] - p_shift, d = r_leaving[i] - r_shift;
            sp[i] += a - c;
            sr[i] += b - d;
            spp[i] += a * a - c * c;
            srr[i] += b * b - d * d;
            spr[i] += a * b - c * d;
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            double a = p[i] - p_shift, b = r[i] - r_shift;
            double weighted_a = weight * a, weighted_b = weight * b;
            sp[i] += weighted_a;
            sr[i] += weighted_b;
            spp[i] += weighted_a * a;
            srr[i] += weighted_b * b;
            spr[i] += weighted_a * b;
        }
    }
}

static void NAME(add_rows)(
    const double *row, const double *leaving, size_t width, size_t plane, double weight, double *rows) {
    for (int quantity = 0; quantity < 5; quantity++) {
        double *restrict sums = rows + quantity * width;
        const double *restrict in = row + quantity * plane;
        if (leaving) {
            const double *restrict out = leaving + quantity * plane;
            for (size_t i = 0; i < width; i++) sums[i] += in[i] - out[i];
        } else {
            for (size_t i = 0; i < width; i++) sums[i] += weight * in[i];
        }
    }
}

static void NAME(row)(
    const double *rows, size_t width, const double *weights, size_t taps, const ssim_constants *constants,
    double *restrict sums, double *restrict values, double *restrict contrasts, double totals[2]) {
    size_t count = width - taps + 1;
    if (weights) {
        for (int quantity = 0; quantity < 5; quantity++) {
            const double *restrict in = rows + quantity * width;
            double *restrict out = sums + quantity * width;
            for (size_t i = 0; i < count; i++) out[i] = weights[0] * in[i];
            for (size_t tap = 1; tap < taps; tap++)
                for (size_t i = 0; i < count; i++) out[i] += weights[tap] * in[i + tap];
        }
    } else {
        double sum[5] = {0};
        for (int quantity = 0; quantity < 5; quantity++) {
            for (size_t i = 0; i < taps; i++) sum[quantity] += rows[quantity * width + i];
            sums[quantity * width] = sum[quantity];
        }
        for (size_t i = 1; i < count; i++)
            for (int quantity = 0; quantity < 5; quantity++) {
                const double *in = rows + quantity * width + i;
                sum[quantity] += in[taps - 1] - in[-1];
                sums[quantity * width + i] = sum[quantity];
            }
    }
    const double mean = constants->mean_weight, scale = constants->covariance_scale;
    const double c1 = constants->c1, c2 = constants->c2;
    for (size_t i = 0; i < count; i++) {
        double p = sums[i] * mean, r = sums[width + i] * mean;
        double pp = sums[2 * width + i] * mean - p * p, rr = sums[3 * width + i] * mean - r * r;
        double pr = sums[4 * width + i] * mean - p * r;
        p += constants->p_shift;
        r += constants->r_shift;
        // Variances are not negative, but what is left of them after rounding may be.
        double variances = scale * (pp + rr);
        variances = variances > 0 ? variances : 0;
        contrasts[i] = (2 * scale * pr + c2) / (variances + c2);
        values[i] = contrasts[i] * (2 * p * r + c1) / (p * p + r * r + c1);
    }
    doubles value = {0}, contrast = {0};
    for (size_t i = 0; i + 8 <= count; i += 8) {
        doubles v, c;
        memcpy(&v, values + i, sizeof v);
        memcpy(&c, contrasts + i, sizeof c);
        value += v;
        contrast += c;
    }
    totals[0] = TOTAL(value);
    totals[1] = TOTAL(contrast);
    for (size_t i = count - count % 8; i < count; i++) {
        totals[0] += values[i];
        totals[1] += contrasts[i];
    }
}

static void NAME(range)(const float *values, size_t count, float *low, float *high) {
    floats lows = ALL_FLOATS(INFINITY), highs = ALL_FLOATS(-INFINITY);
    size_t start = 0;
    for (; start + 8 <= count; start += 8) {
        floats v;
        memcpy(&v, values + start, sizeof v);
        ints finite = (v - v) == 0;
        lows = CHOSEN(finite & (v < lows), v, lows);
        highs = CHOSEN(finite & (v > highs), v, highs);
    }
    *low = INFINITY;
    *high = -INFINITY;
    for (int lane = 0; lane < 8; lane++) {
        if (lows[lane] < *low) *low = lows[lane];
        if (highs[lane] > *high) *high = highs[lane];
    }
    for (; start < count; start++) {
        if (!(values[start] - values[start] == 0)) continue;
        if (values[start] < *low) *low = values[start];
        if (values[start] > *high) *high = values[start];
    }
}

static void NAME(counts)(
    const float *values, size_t count, float low, float scale, size_t bins, const float *edges, size_t *counts) {
    // Neighbouring voxels are often in one bin: four tables, so that a count need not wait for the one before.
    enum { TABLES = 4, RUN = 256 };
    const float most = (float)bins + 1;
    // The rounding of a place in bins: that of the arithmetic, and that of `low`.
    const float margin = (float)bins * 4e-7f + (low < 0 ? -low : low) * scale * 2.4e-7f;
    uint32_t *restrict tables = calloc(TABLES * (bins + 2), sizeof *tables);
    if (!tables) return;
    int places[RUN];
    for (size_t start = 0; start < count; start += RUN) {
        size_t run = count - start < RUN ? count - start : RUN;
        const float *restrict in = values + start;
        int unsure = 0;
        for (size_t i = 0; i < run; i++) {
            // The bin's number plus one: none for below. NaN is below all bins.
            float place = (in[i] - low) * scale + 1;
            place = place > 0 ? place : 0;
            place = place < most ? place : most;
            int guess = (int)place;
            float rest = place - (float)guess;
            unsure |= (rest < margin) | (rest > 1 - margin);
            places[i] = guess;
        }
        // Rounding can only matter near an edge.
        if (unsure)
            for (size_t i = 0; i < run; i++) {
                int bin = places[i];
                while (bin <= (int)bins && in[i] >= edges[bin]) bin++;
                while (bin > 0 && !(in[i] >= edges[bin - 1])) bin--;
                places[i] = bin;
            }
        size_t i = 0;
        for (; i + TABLES <= run; i += TABLES)
            for (size_t table = 0; table < TABLES; table++) tables[table * (bins + 2) + (size_t)places[i + table]]++;
        for (; i < run; i++) tables[places[i]]++;
    }
    for (size_t bin = 0; bin < bins + 2; bin++)
        for (size_t table = 0; table < TABLES; table++) counts[bin] += tables[table * (bins + 2) + bin];
    free(tables);
}
