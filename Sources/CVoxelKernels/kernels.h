// The kernels, once, in vectors of sixteen numbers that the compiler splits for the machine at hand. Each file
// that includes this names its processor and says how many sums fit its registers:
//
//   KERNELS             the name of the table that is defined
//   KERNELS_NAME        the instruction set
//   PANEL_ROWS          rows of A that are multiplied at a time
//   PANEL_BLOCKS        column blocks of B that are multiplied at a time: 1 or 2

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "voxel_kernels.h"

// Vectors cross no call that is not inlined, so how one would pass them does not matter.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float lanes __attribute__((vector_size(64), may_alias));
typedef int32_t integers __attribute__((vector_size(64), may_alias));
typedef double doubles __attribute__((vector_size(128), may_alias));
typedef int64_t longs __attribute__((vector_size(128), may_alias));

#define INLINE static inline __attribute__((always_inline))

// At any address of a number.
typedef float loose_lanes __attribute__((vector_size(64), aligned(4), may_alias));

INLINE lanes load(const float *p) { return *(const lanes *)p; }
INLINE lanes load_loose(const float *p) { return *(const loose_lanes *)p; }
INLINE void store_loose(float *p, lanes x) { *(loose_lanes *)p = x; }
INLINE void store(float *p, lanes x) { *(lanes *)p = x; }
INLINE doubles widened(lanes x) { return __builtin_convertvector(x, doubles); }
INLINE lanes all(float x) { return (lanes){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
INLINE lanes choose(integers mask, lanes a, lanes b) {
    return (lanes)((mask & (integers)a) | (~mask & (integers)b));
}
INLINE lanes greatest(lanes a, lanes b) { return choose(a > b, a, b); }

INLINE float total(lanes x) {
    float sum = 0;
    for (int lane = 0; lane < 16; lane++) sum += x[lane];
    return sum;
}

// MARK: - Products

// One panel of C: `rows` rows and `blocks` column blocks, summed in registers over the whole inner dimension.
INLINE void multiply_panel(
    const int rows, const int blocks, const int stride, size_t inner_blocks, const float *const *a,
    size_t a_offset, const float *b, size_t b_stride, float *c, size_t c_stride, bool adding) {
    lanes sum[PANEL_ROWS][PANEL_BLOCKS];
    _Pragma("unroll") for (int row = 0; row < rows; row++)
        _Pragma("unroll") for (int block = 0; block < blocks; block++)
            sum[row][block] = adding ? load(c + block * c_stride + row * 16) : all(0);
    for (size_t inner = 0; inner < inner_blocks; inner++) {
        const float *left = a[inner] + a_offset;
        const float *right = b + inner * 16 * 16;
        _Pragma("unroll 4") for (int k = 0; k < 16; k++) {
            lanes across[PANEL_BLOCKS];
            _Pragma("unroll") for (int block = 0; block < blocks; block++)
                across[block] = load(right + block * b_stride + k * 16);
            _Pragma("unroll") for (int row = 0; row < rows; row++) {
                lanes down = all(left[row * stride + k]);
                _Pragma("unroll") for (int block = 0; block < blocks; block++)
                    sum[row][block] += down * across[block];
            }
        }
    }
    _Pragma("unroll") for (int block = 0; block < blocks; block++)
        _Pragma("unroll") for (int row = 0; row < rows; row++)
            store(c + block * c_stride + row * 16, sum[row][block]);
}

#define PANEL_CASE(count)                                                                                     \
    case count:                                                                                               \
        if (count <= PANEL_ROWS)                                                                              \
            multiply_panel(                                                                                   \
                count <= PANEL_ROWS ? count : 1, blocks, stride, inner_blocks, a, a_offset, b, b_stride, c,   \
                c_stride, adding);                                                                            \
        break;

// All rows of `blocks` column blocks.
INLINE void multiply_column(
    const int blocks, const int stride, size_t rows, size_t inner_blocks, const float *const *a,
    size_t a_offset, const float *b, size_t b_stride, float *c, size_t c_stride, bool adding) {
    while (rows > 0) {
        // The last two panels share what is left, so that neither is thin.
        size_t count = rows <= PANEL_ROWS ? rows : rows < 2 * PANEL_ROWS ? (rows + 1) / 2 : PANEL_ROWS;
        switch (count) {
            PANEL_CASE(1) PANEL_CASE(2) PANEL_CASE(3) PANEL_CASE(4) PANEL_CASE(5) PANEL_CASE(6) PANEL_CASE(7)
            PANEL_CASE(8) PANEL_CASE(9) PANEL_CASE(10) PANEL_CASE(11) PANEL_CASE(12) PANEL_CASE(13)
            PANEL_CASE(14)
        }
        rows -= count;
        a_offset += count * stride;
        c += count * 16;
    }
}

static void multiply(
    size_t rows, size_t column_blocks, size_t inner_blocks, const float *const *a, size_t a_offset,
    size_t a_stride, const float *b, size_t b_stride, float *c, size_t c_stride, bool adding) {
    size_t column = 0;
    for (; column + PANEL_BLOCKS <= column_blocks; column += PANEL_BLOCKS) {
        const float *right = b + column * b_stride;
        float *result = c + column * c_stride;
        if (a_stride == 16)
            multiply_column(
                PANEL_BLOCKS, 16, rows, inner_blocks, a, a_offset, right, b_stride, result, c_stride, adding);
        else
            multiply_column(
                PANEL_BLOCKS, 32, rows, inner_blocks, a, a_offset, right, b_stride, result, c_stride, adding);
    }
    for (; PANEL_BLOCKS > 1 && column < column_blocks; column++) {
        const float *right = b + column * b_stride;
        float *result = c + column * c_stride;
        if (a_stride == 16)
            multiply_column(1, 16, rows, inner_blocks, a, a_offset, right, b_stride, result, c_stride, adding);
        else
            multiply_column(1, 32, rows, inner_blocks, a, a_offset, right, b_stride, result, c_stride, adding);
    }
}

// MARK: - Finishing

// Sums of a run of pixels about its first one, which keeps their differences when the mean is large.
typedef struct {
    lanes pivot, sum, squares;
    size_t count;
} run;

INLINE void run_add(run *r, lanes x) {
    lanes difference = x - r->pivot;
    r->sum += difference;
    r->squares += difference * difference;
}

static void moments_join(voxel_moments *moments, const run *r) {
    voxel_moments own = {.count = (double)r->count};
    for (int lane = 0; lane < 16; lane++) {
        double sum = (double)r->sum[lane];
        double deviation = (double)r->squares[lane] - sum * sum / own.count;
        own.mean[lane] = (double)r->pivot[lane] + sum / own.count;
        own.deviation[lane] = deviation > 0 ? deviation : 0;
    }
    voxel_moments_join(moments, &own);
}

static void finish(float *block, size_t pixels, const voxel_finish *finish) {
    lanes bias = finish->bias ? load(finish->bias) : all(0);
    const float *residual = finish->residual;
    for (size_t begin = 0; begin < pixels; begin += 256) {
        size_t end = begin + 256 < pixels ? begin + 256 : pixels;
        run r = {.count = end - begin};
        for (size_t pixel = begin; pixel < end; pixel++) {
            lanes x = load(block + pixel * 16) + bias;
            if (residual) x += load(residual + pixel * 16);
            store(block + pixel * 16, x);
            if (pixel == begin) r.pivot = x;
            run_add(&r, x);
        }
        if (finish->moments) moments_join(finish->moments, &r);
    }
}

// MARK: - Functions of one number

// e^x for x from -87 to 88, within 2e-7 relatively; what lies outside is taken for the nearer end. NaN stays NaN.
//
// x = k ln 2 + r with |r| <= ln 2 / 2, so e^x = 2^k e^r; ln 2 is taken off in two parts, the first so short that
// its product with k is exact (Cody and Waite), and e^r is its Taylor polynomial to r^7.
INLINE lanes exponential(lanes x) {
    x = choose(x < all(-87), all(-87), x);
    x = choose(x > all(88), all(88), x);
    const float shifter = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number in the low bits
    lanes shifted = x * 1.44269504f + shifter;
    lanes k = shifted - shifter;
    lanes r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
    lanes p = r * (1 / 5040.0f) + (1 / 720.0f);
    p = p * r + (1 / 120.0f);
    p = p * r + (1 / 24.0f);
    p = p * r + (1 / 6.0f);
    p = p * r + 0.5f;
    lanes fraction = 1 + (r + r * r * p);
    return fraction * (lanes)(((integers)shifted + 127) << 23);
}

INLINE lanes silu(lanes x) { return x / (1 + exponential(-x)); }

// 1/2 (1 + erf(x / sqrt 2)), the share of a normal distribution below x; erf within 1.5e-7 (Abramowitz and
// Stegun, 7.1.26).
INLINE lanes normal_below(lanes x) {
    lanes z = (lanes)((integers)x & 0x7FFFFFFF) * 0.70710678f;
    lanes t = 1 / (1 + z * 0.3275911f);
    lanes p = t * 1.061405429f - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    lanes tail = 0.5f * (p * t * exponential(-z * z));
    return choose(x < all(0), tail, 1 - tail);
}

static void gelu_pixels(const float *value, const float *x, size_t pixels, float *result) {
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        lanes at = load(x + pixel * 16);
        lanes y = at * normal_below(at);
        store(result + pixel * 16, value ? y * load(value + pixel * 16) : y);
    }
}

// MARK: - Activation and resampling

INLINE lanes activated(lanes x, const bool scaled, lanes scale, lanes shift, const bool curved) {
    if (scaled) x = x * scale + shift;
    return curved ? silu(x) : x;
}

INLINE void activate_row(
    const float *row, const float *next, size_t pixels, const bool scaled, lanes scale, lanes shift,
    const bool curved, voxel_resampling resampling, float *result) {
    switch (resampling) {
    case VOXEL_SAME_SIZE:
        for (size_t pixel = 0; pixel < pixels; pixel++)
            store(result + pixel * 16, activated(load(row + pixel * 16), scaled, scale, shift, curved));
        break;
    case VOXEL_HALF_SIZE:
        for (size_t pixel = 0; pixel < pixels; pixel++) {
            lanes upper = activated(load(row + pixel * 32), scaled, scale, shift, curved)
                + activated(load(row + pixel * 32 + 16), scaled, scale, shift, curved);
            lanes lower = activated(load(next + pixel * 32), scaled, scale, shift, curved)
                + activated(load(next + pixel * 32 + 16), scaled, scale, shift, curved);
            store(result + pixel * 16, (upper + lower) * 0.25f);
        }
        break;
    case VOXEL_DOUBLE_SIZE:
        for (size_t pixel = 0; pixel < pixels; pixel += 2) {
            lanes x = activated(load(row + pixel * 8), scaled, scale, shift, curved);
            store(result + pixel * 16, x);
            store(result + pixel * 16 + 16, x);
        }
        break;
    }
}

static void activate(
    const float *row, const float *next, size_t pixels, const float *scale, const float *shift, bool curved,
    voxel_resampling resampling, float *result) {
    if (scale && curved)
        activate_row(row, next, pixels, true, load(scale), load(shift), true, resampling, result);
    else if (scale)
        activate_row(row, next, pixels, true, load(scale), load(shift), false, resampling, result);
    else if (curved)
        activate_row(row, next, pixels, false, all(1), all(0), true, resampling, result);
    else
        activate_row(row, next, pixels, false, all(1), all(0), false, resampling, result);
}

// MARK: - Products, rectifiers and codebooks

static void scale(float *x, const float *factor, float offset, size_t pixels) {
    for (size_t pixel = 0; pixel < pixels; pixel++)
        store(x + pixel * 16, load(x + pixel * 16) * (offset + load(factor + pixel * 16)));
}

static void rectify(float *x, float slope, size_t pixels) {
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        lanes y = load(x + pixel * 16);
        store(x + pixel * 16, choose(y < all(0), y * slope, y));
    }
}

// The pixels that are compared with a block of entries at a time.
#define NEAREST_PIXELS 2

INLINE void nearest_pixels(
    const int count, const float *const *blocks, size_t width, size_t first, const float *entries,
    size_t entry_blocks, size_t *indices) {
    doubles least[NEAREST_PIXELS], place[NEAREST_PIXELS];
    for (int pixel = 0; pixel < count; pixel++) {
        least[pixel] = (doubles){0} + (double)INFINITY;
        place[pixel] = (doubles){0};
    }
    for (size_t block = 0; block < entry_blocks; block++) {
        doubles sum[NEAREST_PIXELS] = {0};
        for (size_t channel = 0; channel < width; channel++) {
            doubles entry = widened(load(entries + (block * width + channel) * 16));
            for (int pixel = 0; pixel < count; pixel++) {
                doubles gap = (double)blocks[channel / 16][(first + pixel) * 16 + channel % 16] - entry;
                sum[pixel] += gap * gap;
            }
        }
        for (int pixel = 0; pixel < count; pixel++) {
            longs closer = sum[pixel] < least[pixel];
            least[pixel] = (doubles)((closer & (longs)sum[pixel]) | (~closer & (longs)least[pixel]));
            doubles here = (doubles){0} + (double)block;
            place[pixel] = (doubles)((closer & (longs)here) | (~closer & (longs)place[pixel]));
        }
    }
    for (int pixel = 0; pixel < count; pixel++) {
        size_t best = 0;
        double distance = INFINITY;
        for (int lane = 0; lane < 16; lane++) {
            size_t index = (size_t)place[pixel][lane] * 16 + lane;
            if (least[pixel][lane] < distance || (least[pixel][lane] == distance && index < best)) {
                distance = least[pixel][lane];
                best = index;
            }
        }
        indices[pixel] = distance < (double)INFINITY ? best : 0;
    }
}

static void nearest(
    const float *const *blocks, size_t width, size_t pixels, const float *entries, size_t entry_blocks,
    size_t *indices) {
    size_t first = 0;
    for (; first + NEAREST_PIXELS <= pixels; first += NEAREST_PIXELS)
        nearest_pixels(NEAREST_PIXELS, blocks, width, first, entries, entry_blocks, indices + first);
    for (; first < pixels; first++)
        nearest_pixels(1, blocks, width, first, entries, entry_blocks, indices + first);
}

// MARK: - Winograd

// F(4 x 4, 3 x 3): Lavin, Gray, arXiv 1509.09308, section 4.1 and equation 15.

// Its points are 0, +-5/8, +-3/2 and infinity rather than 0, +-1, +-2 and infinity, which more than halves rounding:
// their powers are exact, and closer to 1 (Barabasz, Anderson, Soodhalter, Gregg, arXiv 1803.10986).
#define NEAR 0.625f
#define FAR 1.5f
#define NEAR_SHARE (1 / (2 * NEAR * NEAR * (NEAR * NEAR - FAR * FAR)))
#define FAR_SHARE (1 / (2 * FAR * FAR * (FAR * FAR - NEAR * NEAR)))

// B^T x, six numbers to six.
INLINE void input_transform(const lanes x[6], lanes y[6]) {
    lanes a = x[4] - FAR * FAR * x[2], b = NEAR * (x[3] - FAR * FAR * x[1]);
    lanes c = x[4] - NEAR * NEAR * x[2], d = FAR * (x[3] - NEAR * NEAR * x[1]);
    y[0] = NEAR * NEAR * FAR * FAR * x[0] - (NEAR * NEAR + FAR * FAR) * x[2] + x[4];
    y[1] = a + b;
    y[2] = a - b;
    y[3] = c + d;
    y[4] = c - d;
    y[5] = NEAR * NEAR * FAR * FAR * x[1] - (NEAR * NEAR + FAR * FAR) * x[3] + x[5];
}

static void winograd_input(
    const float *rows, size_t row_stride, size_t tiles, float *v, size_t frequency_stride) {
    for (size_t tile = 0; tile < tiles; tile++) {
        lanes half[6][6];
        _Pragma("unroll") for (int column = 0; column < 6; column++) {
            lanes x[6], y[6];
            _Pragma("unroll") for (int row = 0; row < 6; row++)
                x[row] = load(rows + row * row_stride + (tile * 4 + column) * 16);
            input_transform(x, y);
            _Pragma("unroll") for (int row = 0; row < 6; row++) half[row][column] = y[row];
        }
        _Pragma("unroll") for (int row = 0; row < 6; row++) {
            lanes y[6];
            input_transform(half[row], y);
            _Pragma("unroll") for (int column = 0; column < 6; column++)
                store(v + (row * 6 + column) * frequency_stride + tile * 16, y[column]);
        }
    }
}

// A^T x, six numbers to four.
INLINE void output_transform(const lanes x[6], lanes y[4]) {
    lanes a = x[1] + x[2], b = x[1] - x[2], c = x[3] + x[4], d = x[3] - x[4];
    y[0] = x[0] + a + c;
    y[1] = NEAR * b + FAR * d;
    y[2] = NEAR * NEAR * a + FAR * FAR * c;
    y[3] = NEAR * NEAR * NEAR * b + FAR * FAR * FAR * d + x[5];
}

static void winograd_output(
    const float *m, size_t frequency_stride, size_t rows, size_t columns, const voxel_finish *finish,
    float *result, size_t row_stride) {
    lanes bias = finish->bias ? load(finish->bias) : all(0);
    run r = {.count = rows * columns};
    for (size_t left = 0, tile = 0; left < columns; left += 4, tile++) {
        size_t width = columns - left < 4 ? columns - left : 4;
        lanes half[4][6];
        _Pragma("unroll") for (int column = 0; column < 6; column++) {
            lanes x[6], y[4];
            _Pragma("unroll") for (int row = 0; row < 6; row++)
                x[row] = load(m + (row * 6 + column) * frequency_stride + tile * 16);
            output_transform(x, y);
            _Pragma("unroll") for (int row = 0; row < 4; row++) half[row][column] = y[row];
        }
        _Pragma("unroll") for (size_t row = 0; row < 4; row++) {
            if (row >= rows) break;
            lanes y[4];
            output_transform(half[row], y);
            size_t begin = row * row_stride + left * 16;
            _Pragma("unroll") for (size_t column = 0; column < 4; column++) {
                if (column >= width) break;
                lanes x = y[column] + bias;
                if (finish->residual) x += load(finish->residual + begin + column * 16);
                store(result + begin + column * 16, x);
                if (row + left + column == 0) r.pivot = x;
                run_add(&r, x);
            }
        }
    }
    if (finish->moments) moments_join(finish->moments, &r);
}

static void butterfly(float *x, float *y, size_t pixels) {
    for (size_t place = 0; place < pixels * 16; place += 16) {
        lanes a = load(x + place), b = load(y + place);
        store(x + place, a + b);
        store(y + place, a - b);
    }
}

// G x, three numbers to six.
INLINE void weight_transform(const lanes x[3], lanes y[6]) {
    lanes near = x[0] + NEAR * NEAR * x[2], far = x[0] + FAR * FAR * x[2];
    y[0] = x[0] * (1 / (NEAR * NEAR * FAR * FAR));
    y[1] = (near + NEAR * x[1]) * NEAR_SHARE;
    y[2] = (near - NEAR * x[1]) * NEAR_SHARE;
    y[3] = (far + FAR * x[1]) * FAR_SHARE;
    y[4] = (far - FAR * x[1]) * FAR_SHARE;
    y[5] = x[2];
}

static void winograd_weights(const float *kernels, size_t input_stride, float *u, size_t frequency_stride) {
    for (int input = 0; input < 16; input++) {
        const float *kernel = kernels + input * input_stride;
        lanes half[6][3];
        _Pragma("unroll") for (int column = 0; column < 3; column++) {
            lanes x[3], y[6];
            _Pragma("unroll") for (int row = 0; row < 3; row++) x[row] = load(kernel + (row * 3 + column) * 16);
            weight_transform(x, y);
            _Pragma("unroll") for (int row = 0; row < 6; row++) half[row][column] = y[row];
        }
        _Pragma("unroll") for (int row = 0; row < 6; row++) {
            lanes y[6];
            weight_transform(half[row], y);
            _Pragma("unroll") for (int column = 0; column < 6; column++)
                store(u + (row * 6 + column) * frequency_stride + input * 16, y[column]);
        }
    }
}

// A x, four numbers to six: what A^T's gradient comes back through.
INLINE void output_adjoint(const lanes x[4], lanes y[6]) {
    lanes near = x[0] + NEAR * NEAR * x[2], nearOdd = NEAR * x[1] + NEAR * NEAR * NEAR * x[3];
    lanes far = x[0] + FAR * FAR * x[2], farOdd = FAR * x[1] + FAR * FAR * FAR * x[3];
    y[0] = x[0];
    y[1] = near + nearOdd;
    y[2] = near - nearOdd;
    y[3] = far + farOdd;
    y[4] = far - farOdd;
    y[5] = x[3];
}

static void winograd_output_adjoint(
    const float *rows, size_t row_stride, size_t tiles, float *m, size_t frequency_stride) {
    for (size_t tile = 0; tile < tiles; tile++) {
        lanes half[6][4];
        _Pragma("unroll") for (int column = 0; column < 4; column++) {
            lanes x[4], y[6];
            _Pragma("unroll") for (int row = 0; row < 4; row++)
                x[row] = load(rows + row * row_stride + (tile * 4 + column) * 16);
            output_adjoint(x, y);
            _Pragma("unroll") for (int row = 0; row < 6; row++) half[row][column] = y[row];
        }
        _Pragma("unroll") for (int row = 0; row < 6; row++) {
            lanes y[6];
            output_adjoint(half[row], y);
            _Pragma("unroll") for (int column = 0; column < 6; column++)
                store(m + (row * 6 + column) * frequency_stride + tile * 16, y[column]);
        }
    }
}

// G^T x, six numbers to three.
INLINE void weight_adjoint(const lanes x[6], lanes y[3]) {
    lanes near = (x[1] + x[2]) * NEAR_SHARE, far = (x[3] + x[4]) * FAR_SHARE;
    y[0] = x[0] * (1 / (NEAR * NEAR * FAR * FAR)) + near + far;
    y[1] = (x[1] - x[2]) * (NEAR * NEAR_SHARE) + (x[3] - x[4]) * (FAR * FAR_SHARE);
    y[2] = NEAR * NEAR * near + FAR * FAR * far + x[5];
}

static void winograd_weights_adjoint(const float *u, size_t frequency_stride, float *kernels) {
    lanes half[3][6];
    _Pragma("unroll") for (int column = 0; column < 6; column++) {
        lanes x[6], y[3];
        _Pragma("unroll") for (int row = 0; row < 6; row++) x[row] = load(u + (row * 6 + column) * frequency_stride);
        weight_adjoint(x, y);
        _Pragma("unroll") for (int row = 0; row < 3; row++) half[row][column] = y[row];
    }
    _Pragma("unroll") for (int row = 0; row < 3; row++) {
        lanes y[3];
        weight_adjoint(half[row], y);
        _Pragma("unroll") for (int column = 0; column < 3; column++) store(kernels + (row * 3 + column) * 16, y[column]);
    }
}

// MARK: - Gradients

static void add(float *result, const float *x, const float *factor, size_t pixels) {
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        lanes y = load(x + pixel * 16);
        if (factor) y *= load(factor + pixel * 16);
        store(result + pixel * 16, load(result + pixel * 16) + y);
    }
}

static void blend(
    const float *x, const float *y, size_t pixels, const float *coefficients, float *result) {
    lanes p = load(coefficients), q = load(coefficients + 16), s = load(coefficients + 32);
    for (size_t pixel = 0; pixel < pixels; pixel++)
        store(result + pixel * 16, p * load(x + pixel * 16) + q * load(y + pixel * 16) + s);
}

static void blend_keeping_sum(
    const float *x, const float *y, size_t pixels, const double *coefficients, float *result) {
    doubles p = *(const doubles *)coefficients, q = *(const doubles *)(coefficients + 16);
    doubles s = *(const doubles *)(coefficients + 32), left = p * 0;
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        doubles exact = p * widened(load(x + pixel * 16)) + (q * widened(load(y + pixel * 16)) + s) + left;
        lanes rounded = __builtin_convertvector(exact, lanes);
        store(result + pixel * 16, rounded);
        left = exact - widened(rounded);
    }
}

// In double precision, for sums may be those of gradients that cancel to 0.
static void correlate(
    const float *x, const float *y, const float *center, size_t pixels, double *sums, double *products) {
    doubles middle = widened(load(center)), sum, product;
    memcpy(&sum, sums, sizeof sum);
    memcpy(&product, products, sizeof product);
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        doubles a = widened(load(x + pixel * 16));
        sum += a;
        product += a * (widened(load(y + pixel * 16)) - middle);
    }
    memcpy(sums, &sum, sizeof sum);
    memcpy(products, &product, sizeof product);
}

static void silu_gradient(const float *x, const float *gradient, size_t pixels, float *result) {
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        lanes at = load(x + pixel * 16);
        lanes sigmoid = 1 / (1 + exponential(-at));
        store(result + pixel * 16, load(gradient + pixel * 16) * sigmoid * (1 + at * (1 - sigmoid)));
    }
}

static void gelu_gradient(const float *x, const float *gradient, size_t pixels, float *result) {
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        lanes at = load(x + pixel * 16);
        lanes slope = normal_below(at) + at * 0.39894228f * exponential(at * at * -0.5f);
        store(result + pixel * 16, load(gradient + pixel * 16) * slope);
    }
}

static void rectify_gradient(
    const float *x, const float *gradient, float slope, size_t pixels, float *result) {
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        lanes y = load(gradient + pixel * 16);
        store(result + pixel * 16, choose(load(x + pixel * 16) > all(0), y, y * slope));
    }
}

static void layer_norm_gradient(
    const float *const *blocks, const float *const *gradients, size_t channels, size_t pixels,
    const float *weight, float epsilon, float *result, size_t result_stride, float *normalized,
    size_t normalized_stride) {
    size_t count = (channels + 15) / 16;
    lanes places = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    integers inLast = places < all((float)(channels - (count - 1) * 16));
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        lanes sum = all(0), squares = all(0), slopes = all(0), products = all(0);
        for (size_t block = 0; block < count; block++) sum += load(blocks[block] + pixel * 16);
        lanes mean = all(total(sum) / channels);
        for (size_t block = 0; block < count; block++) {
            lanes difference = load(blocks[block] + pixel * 16) - mean;
            if (block == count - 1) difference = choose(inLast, difference, all(0));
            squares += difference * difference;
            lanes slope = load(gradients[block] + pixel * 16) * load(weight + block * 16);
            slopes += slope;
            products += slope * difference;
        }
        float scale = 1 / sqrtf(total(squares) / channels + epsilon);
        float slope = total(slopes) / channels, product = total(products) * scale * scale / channels;
        for (size_t block = 0; block < count; block++) {
            lanes difference = load(blocks[block] + pixel * 16) - mean;
            lanes own = load(gradients[block] + pixel * 16) * load(weight + block * 16);
            lanes x = (own - slope - difference * product) * scale;
            if (block == count - 1) {
                x = choose(inLast, x, all(0));
                difference = choose(inLast, difference, all(0));
            }
            store(result + block * result_stride + pixel * 16, x);
            store(normalized + block * normalized_stride + pixel * 16, difference * scale);
        }
    }
}

static void softmax_gradient(
    const float *shares, float *gradient, size_t stride, size_t rows, size_t columns, float scale) {
    size_t blocks = (columns + 15) / 16;
    for (size_t row = 0; row < rows; row++) {
        lanes products = all(0);
        for (size_t block = 0; block < blocks; block++) {
            size_t place = block * stride + row * 16;
            products += load(shares + place) * load(gradient + place);
        }
        lanes mean = all(total(products));
        for (size_t block = 0; block < blocks; block++) {
            size_t place = block * stride + row * 16;
            store(gradient + place, load(shares + place) * (load(gradient + place) - mean) * scale);
        }
    }
}

// Rows for columns, in four rounds of exchanges: halves of eight, then of four, two and one.
#define EXCHANGE(a, b, ...)                                                                                   \
    do {                                                                                                      \
        lanes first = __builtin_shufflevector(a, b, LOW_##__VA_ARGS__);                                       \
        b = __builtin_shufflevector(a, b, HIGH_##__VA_ARGS__);                                                \
        a = first;                                                                                            \
    } while (0)
#define LOW_8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HIGH_8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define LOW_4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define HIGH_4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define LOW_2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH_2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define LOW_1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define HIGH_1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31

INLINE void exchange(lanes x[16]) {
    _Pragma("unroll") for (int i = 0; i < 8; i++) EXCHANGE(x[i], x[i + 8], 8);
    _Pragma("unroll") for (int i = 0; i < 16; i++)
        if (!(i & 4)) EXCHANGE(x[i], x[i + 4], 4);
    _Pragma("unroll") for (int i = 0; i < 16; i++)
        if (!(i & 2)) EXCHANGE(x[i], x[i + 2], 2);
    _Pragma("unroll") for (int i = 0; i < 16; i++)
        if (!(i & 1)) EXCHANGE(x[i], x[i + 1], 1);
}

static void transpose(const float *from, size_t from_stride, float *to, size_t to_stride) {
    lanes rows[16];
    _Pragma("unroll") for (int row = 0; row < 16; row++) rows[row] = load(from + row * from_stride);
    exchange(rows);
    _Pragma("unroll") for (int row = 0; row < 16; row++) store(to + row * to_stride, rows[row]);
}

static void pack(
    const float *from, size_t row_stride, size_t rows, size_t groups, size_t places, float *to,
    size_t group_stride, ptrdiff_t place_stride) {
    size_t group = 0, place = 0, total = groups * places;
    for (size_t begin = 0; begin < total; begin += 16) {
        size_t count = total - begin < 16 ? total - begin : 16;
        lanes x[16];
        _Pragma("unroll") for (size_t row = 0; row < 16; row++) {
            x[row] = all(0);
            if (row < rows && count == 16) x[row] = load_loose(from + row * row_stride + begin);
            else if (row < rows) memcpy(&x[row], from + row * row_stride + begin, count * sizeof(float));
        }
        exchange(x);
        for (size_t index = 0; index < count; index++) {
            store(to + group * group_stride + (ptrdiff_t)place * place_stride, x[index]);
            if (++place == places) {
                place = 0;
                group++;
            }
        }
    }
}

static void unpack(
    const float *from, size_t place_stride, size_t places, size_t rows, float *to, size_t row_stride) {
    for (size_t begin = 0; begin < places; begin += 16) {
        size_t count = places - begin < 16 ? places - begin : 16;
        lanes x[16];
        _Pragma("unroll") for (size_t place = 0; place < 16; place++)
            x[place] = place < count ? load(from + (begin + place) * place_stride) : all(0);
        exchange(x);
        for (size_t row = 0; row < rows; row++) {
            if (count == 16) store_loose(to + row * row_stride + begin, x[row]);
            else memcpy(to + row * row_stride + begin, &x[row], count * sizeof(float));
        }
    }
}

// MARK: - Rows

static void layer_norm(
    const float *const *blocks, size_t channels, size_t pixels, const float *weight, const float *bias,
    float epsilon, float *result, size_t result_stride) {
    size_t count = (channels + 15) / 16;
    lanes places = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    integers inLast = places < all((float)(channels - (count - 1) * 16));
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        lanes sum = all(0), squares = all(0);
        for (size_t block = 0; block < count; block++) sum += load(blocks[block] + pixel * 16);
        lanes mean = all(total(sum) / channels);
        for (size_t block = 0; block < count; block++) {
            lanes difference = load(blocks[block] + pixel * 16) - mean;
            if (block == count - 1) difference = choose(inLast, difference, all(0));
            squares += difference * difference;
        }
        lanes scale = all(1 / sqrtf(total(squares) / channels + epsilon));
        for (size_t block = 0; block < count; block++) {
            lanes x = (load(blocks[block] + pixel * 16) - mean) * scale;
            store(
                result + block * result_stride + pixel * 16,
                x * load(weight + block * 16) + load(bias + block * 16));
        }
    }
}

static void softmax(float *scores, size_t stride, size_t rows, size_t columns, float scale) {
    size_t blocks = (columns + 15) / 16;
    lanes places = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    integers inLast = places < all((float)(columns - (blocks - 1) * 16));
    for (size_t row = 0; row < rows; row++) {
        float *first = scores + row * 16, *last = first + (blocks - 1) * stride;
        lanes most = choose(inLast, load(last), all(-INFINITY));
        for (size_t block = 0; block + 1 < blocks; block++) most = greatest(most, load(first + block * stride));
        float peak = most[0];
        for (int lane = 1; lane < 16; lane++) peak = peak < most[lane] ? most[lane] : peak;
        lanes sum = all(0);
        for (size_t block = 0; block < blocks; block++) {
            lanes x = exponential((load(first + block * stride) - peak) * scale);
            if (block == blocks - 1) x = choose(inLast, x, all(0));
            store(first + block * stride, x);
            sum += x;
        }
        lanes share = all(1 / total(sum));
        for (size_t block = 0; block < blocks; block++)
            store(first + block * stride, load(first + block * stride) * share);
    }
}

extern const voxel_kernels KERNELS;
const voxel_kernels KERNELS = {
    .name = KERNELS_NAME,
    .multiply = multiply,
    .finish = finish,
    .activate = activate,
    .scale = scale,
    .rectify = rectify,
    .nearest = nearest,
    .winograd_input = winograd_input,
    .winograd_output = winograd_output,
    .butterfly = butterfly,
    .winograd_weights = winograd_weights,
    .layer_norm = layer_norm,
    .softmax = softmax,
    .gelu = gelu_pixels,
    .winograd_output_adjoint = winograd_output_adjoint,
    .winograd_weights_adjoint = winograd_weights_adjoint,
    .add = add,
    .blend = blend,
    .blend_keeping_sum = blend_keeping_sum,
    .correlate = correlate,
    .silu_gradient = silu_gradient,
    .gelu_gradient = gelu_gradient,
    .rectify_gradient = rectify_gradient,
    .layer_norm_gradient = layer_norm_gradient,
    .softmax_gradient = softmax_gradient,
    .transpose = transpose,
    .pack = pack,
    .unpack = unpack,
};
