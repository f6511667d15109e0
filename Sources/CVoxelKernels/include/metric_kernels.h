#ifndef METRIC_KERNELS_H
#define METRIC_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

/// The sums over pairs of voxels that errors, correlations and ranges follow from. Sums of p, r and their products are of
/// values minus a shift near them, which keeps the digits of a small variance about a large mean.
typedef struct {
    double absolute, squared;
    double p, r, pp, rr, pr;
    float p_low, p_high, r_low, r_high;
    /// The pairs summed, and those in the mask that were left out because a value is NaN.
    size_t count, left_out;
} metric_sums;

/// The sums over `count` pairs, of those where `mask`, unless it is NULL, is above zero. In double precision, in an order
/// that depends on `count` alone.
void metric_sums_of(
    const float *p, const float *r, const float *mask, size_t count, double p_shift, double r_shift,
    metric_sums *sums);

/// Adds the five quantities p, r, p^2, r^2 and p r of `count` shifted voxels, times a weight, to five planes of `count`
/// numbers; and subtracts those of the voxels that leave the window, unless they are NULL.
void ssim_add_voxels(
    const float *p, const float *r, const float *p_leaving, const float *r_leaving, size_t count, double weight,
    double p_shift, double r_shift, double *planes);

/// Adds a row of each of five planes, times a weight, to five rows of `width` numbers; and subtracts the row that leaves
/// the window, unless it is NULL. Planes are `plane` numbers apart.
void ssim_add_rows(
    const double *row, const double *leaving, size_t width, size_t plane, double weight, double *rows);

/// The constants of SSIM's local values.
typedef struct {
    double c1, c2;
    /// The factor from the sum over a window to the mean.
    double mean_weight;
    /// n / (n - 1) for the covariances of a sample of n, 1 for those of a population.
    double covariance_scale;
    double p_shift, r_shift;
} ssim_constants;

/// The local values along a row, from five rows of `width` sums, for `width - taps + 1` windows of `taps` voxels.
///
/// - weights: of the voxels of a window, or NULL for equal ones.
/// - sums: room for five rows of `width` numbers.
/// - values, contrasts: the local similarity, and its second factor, of contrast and structure.
/// - totals: the sums of `values` and of `contrasts`.
void ssim_row(
    const double *rows, size_t width, const double *weights, size_t taps, const ssim_constants *constants,
    double *sums, double *values, double *contrasts, double totals[2]);

/// The least and the greatest of `count` numbers that are finite; infinity and minus infinity if none is.
void intensity_range(const float *values, size_t count, float *low, float *high);

/// Counts numbers by bin.
///
/// - scale: about the number of bins for a unit of intensity, from `low` on. It need not be exact.
/// - bins: number of bins, at least 1.
/// - edges: the least number in each bin, and at last the least above all: `bins + 1`, ascending.
/// - counts: to which is added, `bins + 2`: those below all bins, and NaN, come first, those above last.
void intensity_counts(
    const float *values, size_t count, float low, float scale, size_t bins, const float *edges, size_t *counts);

#endif
