#ifndef VOXEL_KERNELS_H
#define VOXEL_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

/// The innermost loops of networks, on numbers in blocks of sixteen channels.
///
/// A block holds sixteen neighbouring channels of an image: `[pixels][16]`, pixels along rows first, 64-byte
/// aligned. A kernel never reads beyond the pixels it is given, allocates no memory, and does the same operations in
/// the same order for a pixel or a row at any place: splitting work between calls or threads changes no bit. Sizes and strides count numbers (`float`s) unless a comment says pixels.
enum { VOXEL_LANES = 16 };

/// A change of resolution.
typedef enum {
    VOXEL_SAME_SIZE,
    /// The mean of 2 x 2 pixels.
    VOXEL_HALF_SIZE,
    /// Each pixel twice along each row; rows are repeated by the caller.
    VOXEL_DOUBLE_SIZE,
} voxel_resampling;

/// Running mean and sum of squared deviations of each of sixteen channels.
typedef struct {
    double mean[VOXEL_LANES];
    double deviation[VOXEL_LANES];
    double count;
} voxel_moments;

/// Lets the processor rest for a moment in a loop that waits.
static inline void voxel_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/// Joins the moments of others, of which there is at least one, to `moments` (Chan, Golub, LeVeque 1983, equation 2.1).
static inline void voxel_moments_join(voxel_moments *moments, const voxel_moments *others) {
    double total = moments->count + others->count;
    for (int lane = 0; lane < VOXEL_LANES; lane++) {
        double gap = others->mean[lane] - moments->mean[lane];
        moments->mean[lane] += gap * others->count / total;
        moments->deviation[lane] += others->deviation[lane] + gap * gap * moments->count * others->count / total;
    }
    moments->count = total;
}

/// What is added to numbers as they are written, in this order.
typedef struct {
    /// Added to every pixel: sixteen numbers, or NULL.
    const float *bias;
    /// Added pixel by pixel, laid out as the result is, or NULL. It may be the result itself.
    const float *residual;
    /// Updated with the numbers written, or NULL.
    voxel_moments *moments;
} voxel_finish;

/// The kernels for one kind of processor.
typedef struct {
    /// The instruction set: "avx512", "avx2" or "portable".
    const char *name;

    /// C = A B, or C += A B where `adding`: for each of `rows` rows and 16 `column_blocks` columns, the sum over 16 `inner_blocks` places.
    ///
    /// - a: for each inner block the address of its first row's sixteen numbers, to which `a_offset` is added; rows
    ///   are `a_stride`, 16 or 32, apart.
    /// - b: for each column block `[inner][16]`, blocks `b_stride` apart.
    /// - c: for each column block `[rows][16]`, blocks `c_stride` apart.
    void (*multiply)(
        size_t rows, size_t column_blocks, size_t inner_blocks,
        const float *const *a, size_t a_offset, size_t a_stride,
        const float *b, size_t b_stride, float *c, size_t c_stride, bool adding);

    /// Finishes `pixels` pixels of one block in place.
    void (*finish)(float *block, size_t pixels, const voxel_finish *finish);

    /// One row of one block: `scale x + shift`, then x / (1 + e^-x) where `silu`, then resampled.
    ///
    /// - row: as many pixels as the resampling needs for `pixels`; `next` is the row below, for half size alone.
    /// - scale, shift: sixteen numbers each, or both NULL to leave x as it is.
    void (*activate)(
        const float *row, const float *next, size_t pixels, const float *scale, const float *shift, bool silu,
        voxel_resampling resampling, float *result);

    /// x = x (offset + factor), pixel by pixel.
    void (*scale)(float *x, const float *factor, float offset, size_t pixels);

    /// x, or slope x where x is negative, in place.
    void (*rectify)(float *x, float slope, size_t pixels);

    /// The entry of a codebook nearest to each of `pixels` pixels, by the sum of squared differences of the first
    /// `width` channels of some blocks in double precision; the first of those equally near.
    ///
    /// - entries: for each block of sixteen entries `[width][16]`.
    void (*nearest)(
        const float *const *blocks, size_t width, size_t pixels, const float *entries, size_t entry_blocks,
        size_t *indices);

    /// A row of tiles to the Winograd domain: B^T d B of each 6 x 6 patch d, tile after tile four pixels on.
    ///
    /// - rows: six rows of 4 tiles + 2 pixels, `row_stride` apart.
    /// - v: 36 frequencies of `[tiles][16]`, `frequency_stride` apart.
    void (*winograd_input)(
        const float *rows, size_t row_stride, size_t tiles, float *v, size_t frequency_stride);

    /// A row of tiles back from the Winograd domain: A^T m A, finished.
    ///
    /// - m: as `v` above. - rows, columns: pixels of the result that lie in the image: at most 4, and 4 tiles.
    /// - result: the first pixel; image rows are `row_stride` apart; so are those of the residual.
    void (*winograd_output)(
        const float *m, size_t frequency_stride, size_t rows, size_t columns, const voxel_finish *finish,
        float *result, size_t row_stride);

    /// x + y and x - y, in place of x and y.
    void (*butterfly)(float *x, float *y, size_t pixels);

    /// The Winograd form G g G^T of 16 x 16 kernels g.
    ///
    /// - kernels: for each of 16 inputs, `input_stride` apart, `[9][16 outputs]`. - u: 36 frequencies of
    ///   `[16 inputs][16 outputs]`, `frequency_stride` apart.
    void (*winograd_weights)(const float *kernels, size_t input_stride, float *u, size_t frequency_stride);

    /// Layer normalisation of each of `pixels` pixels over the first `channels` channels of some blocks.
    ///
    /// - weight, bias: a number for each channel, zeros up to the end of the last block.
    void (*layer_norm)(
        const float *const *blocks, size_t channels, size_t pixels, const float *weight, const float *bias,
        float epsilon, float *result, size_t result_stride);

    /// `e^(scale s)` over its sum, along each of `rows` rows of `columns` numbers, zeros after them.
    ///
    /// - scores: column blocks of `[rows][16]`, `stride` apart.
    void (*softmax)(float *scores, size_t stride, size_t rows, size_t columns, float scale);

    /// `value x/2 (1 + erf(x / sqrt 2))`, or without `value` where that is NULL; pixel by pixel.
    void (*gelu)(const float *value, const float *x, size_t pixels, float *result);

    // Gradients.

    /// A row of tiles of the gradient of a Winograd convolution's result to its domain: A d A^T of each 4 x 4 tile.
    ///
    /// - rows: four rows of 4 tiles pixels, `row_stride` apart. - m: as that of `winograd_output`.
    void (*winograd_output_adjoint)(
        const float *rows, size_t row_stride, size_t tiles, float *m, size_t frequency_stride);

    /// G^T u G: the gradient of sixteen 3 x 3 kernels from that of their Winograd form.
    ///
    /// - u: 36 vectors, `frequency_stride` apart. - kernels: `[9][16]`.
    void (*winograd_weights_adjoint)(const float *u, size_t frequency_stride, float *kernels);

    /// result += x, or result += x factor where that is not NULL.
    void (*add)(float *result, const float *x, const float *factor, size_t pixels);

    /// p x + q y + s; coefficients: `[p, q, s][16]`.
    void (*blend)(const float *x, const float *y, size_t pixels, const float *coefficients, float *result);

    /// As `blend`, from coefficients in double precision, 128-byte aligned, where the rounding error of a pixel is
    /// carried to the next: the sum over the pixels is exact except for the rounding of the last.
    void (*blend_keeping_sum)(
        const float *x, const float *y, size_t pixels, const double *coefficients, float *result);

    /// Adds x and x (y - center) to sixteen `sums` and `products`, pixel by pixel, in double precision.
    void (*correlate)(
        const float *x, const float *y, const float *center, size_t pixels, double *sums, double *products);

    /// The gradients of x / (1 + e^-x) and of GELU at x, times the gradient of what they give.
    void (*silu_gradient)(const float *x, const float *gradient, size_t pixels, float *result);
    void (*gelu_gradient)(const float *x, const float *gradient, size_t pixels, float *result);

    /// The gradient, or slope times the gradient where x is not positive.
    void (*rectify_gradient)(
        const float *x, const float *gradient, float slope, size_t pixels, float *result);

    /// The gradient of `layer_norm` at `blocks`, and the normalised numbers before weight and bias.
    void (*layer_norm_gradient)(
        const float *const *blocks, const float *const *gradients, size_t channels, size_t pixels,
        const float *weight, float epsilon, float *result, size_t result_stride, float *normalized,
        size_t normalized_stride);

    /// The gradient of `softmax` from that of its shares, in place.
    void (*softmax_gradient)(
        const float *shares, float *gradient, size_t stride, size_t rows, size_t columns, float scale);

    /// Sixteen rows of sixteen numbers, rows for columns.
    void (*transpose)(const float *from, size_t from_stride, float *to, size_t to_stride);

    // Weights to the order of the other kernels and back. Plain weights may have any alignment.

    /// Columns of sixteen of up to sixteen rows, `row_stride` apart, of `[groups][places]`: `groups`, `group_stride` apart,
    /// of `places`, `place_stride` apart, of 16; zeros for missing rows.
    void (*pack)(
        const float *from, size_t row_stride, size_t rows, size_t groups, size_t places, float *to,
        size_t group_stride, ptrdiff_t place_stride);

    /// The reverse for one group: `places`, `place_stride` apart, of 16, to the first `rows` rows of `[places]`,
    /// `row_stride` apart.
    void (*unpack)(
        const float *from, size_t place_stride, size_t places, size_t rows, float *to, size_t row_stride);
} voxel_kernels;

/// The kernels for the processor that the program runs on.
const voxel_kernels *voxel_kernels_here(void);

/// All kernels that can run here, the best first; the same numbers to rounding. Returns how many, at most 3.
size_t voxel_kernels_available(const voxel_kernels *kernels[3]);

#endif
