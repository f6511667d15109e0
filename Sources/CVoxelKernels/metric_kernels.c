#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metric_kernels.h"

// Vectors cross no call that is not inlined, so how one would pass them does not matter.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float floats __attribute__((vector_size(32)));
typedef int32_t ints __attribute__((vector_size(32)));
typedef double doubles __attribute__((vector_size(64)));
typedef int64_t longs __attribute__((vector_size(64)));

#define INLINE static inline __attribute__((always_inline))

// Macros, since functions of vectors would have to be compiled for each kind of processor.
#define ALL_FLOATS(x) ((floats){0} + (float)(x))
#define CHOSEN(condition, a, b) ((floats)(((condition) & (ints)(a)) | (~(condition) & (ints)(b))))
#define TOTAL(x) (((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7])))

#define NAME(function) function##_portable
#include "metric_loops.h"
#undef NAME

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define NAME(function) function##_avx2
#include "metric_loops.h"
#undef NAME
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))), apply_to = function)
#define NAME(function) function##_avx512
#include "metric_loops.h"
#undef NAME
#pragma clang attribute pop

#define DISPATCH(function, ...)                                                                        \
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")                        \
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))                   \
        function##_avx512(__VA_ARGS__);                                                                \
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))                          \
        function##_avx2(__VA_ARGS__);                                                                  \
    else                                                                                               \
        function##_portable(__VA_ARGS__)
#else
#define DISPATCH(function, ...) function##_portable(__VA_ARGS__)
#endif

void metric_sums_of(
    const float *p, const float *r, const float *mask, size_t count, double p_shift, double r_shift,
    metric_sums *sums) {
    if (!mask) {
        DISPATCH(plain_sums, p, r, count, p_shift, r_shift, sums);
        // The sums show a NaN, so that pairs need no check where there is none.
        if (sums->squared == sums->squared && sums->pr == sums->pr) return;
    }
    DISPATCH(checked_sums, p, r, mask, count, p_shift, r_shift, sums);
}

void ssim_add_voxels(
    const float *p, const float *r, const float *p_leaving, const float *r_leaving, size_t count, double weight,
    double p_shift, double r_shift, double *planes) {
    DISPATCH(add_voxels, p, r, p_leaving, r_leaving, count, weight, p_shift, r_shift, planes);
}

void ssim_add_rows(
    const double *row, const double *leaving, size_t width, size_t plane, double weight, double *rows) {
    DISPATCH(add_rows, row, leaving, width, plane, weight, rows);
}

void ssim_row(
    const double *rows, size_t width, const double *weights, size_t taps, const ssim_constants *constants,
    double *sums, double *values, double *contrasts, double totals[2]) {
    DISPATCH(row, rows, width, weights, taps, constants, sums, values, contrasts, totals);
}

void intensity_range(const float *values, size_t count, float *low, float *high) {
    DISPATCH(range, values, count, low, high);
}

void intensity_counts(
    const float *values, size_t count, float low, float scale, size_t bins, const float *edges, size_t *counts) {
    DISPATCH(counts, values, count, low, scale, bins, edges, counts);
}
