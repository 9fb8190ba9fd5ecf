/*
 * testkit_classify.h - two plain classifiers for what an observer of a link could learn.  For tests only.
 *
 * A sample is what was seen (sizes, directions, counts as numbers) and what it really was.  They are trained on the
 * samples with even numbers and asked about the others; chance decides whether they learned anything.
 */
#ifndef QUDAG_SRC_QUIC_TESTKIT_CLASSIFY_H
#define QUDAG_SRC_QUIC_TESTKIT_CLASSIFY_H

#include "base/assert.h"
#include "base/types.h"

#include <string.h>

#define CLS_FEATURES 64
#define CLS_LABELS 16

static inline double cls_root(double x)
{
    double r = x > 1 ? x : 1;

    for (int i = 0; i < 60; i++) {
        r = (r + x / r) / 2; /* Newton's method, from above */
    }
    return x > 0 ? r : 0;
}

struct cls_sample {
    double f[CLS_FEATURES];
    unsigned label; /* below CLS_LABELS */
};

/* Mean and spread of each feature over the training half: |f| of all samples is scaled by them. */
static inline void cls_scale(struct cls_sample *s, size_t n)
{
    for (size_t j = 0; j < CLS_FEATURES; j++) {
        double sum = 0, squares = 0, many = 0;

        for (size_t i = 0; i < n; i += 2) {
            sum += s[i].f[j];
            squares += s[i].f[j] * s[i].f[j];
            many += 1;
        }
        double mean = sum / many;
        double spread = cls_root(squares / many - mean * mean);
        for (size_t i = 0; i < n; i++) {
            s[i].f[j] = spread > 1e-9 ? (s[i].f[j] - mean) / spread : 0;
        }
    }
}

static inline double cls_distance(const double *a, const double *b)
{
    double d = 0;

    for (size_t j = 0; j < CLS_FEATURES; j++) {
        d += (a[j] - b[j]) * (a[j] - b[j]);
    }
    return d;
}

/* How many of the tested half a nearest-centroid classifier names rightly.  Scales |s|. */
static inline size_t cls_centroid(struct cls_sample *s, size_t n)
{
    double centre[CLS_LABELS][CLS_FEATURES] = {{0}}, many[CLS_LABELS] = {0};
    size_t hits = 0;

    cls_scale(s, n);
    for (size_t i = 0; i < n; i += 2) {
        ASSERT(s[i].label < CLS_LABELS);
        many[s[i].label] += 1;
        for (size_t j = 0; j < CLS_FEATURES; j++) {
            centre[s[i].label][j] += s[i].f[j];
        }
    }
    for (size_t k = 0; k < CLS_LABELS; k++) {
        for (size_t j = 0; j < CLS_FEATURES; j++) {
            centre[k][j] /= many[k] > 0 ? many[k] : 1;
        }
    }
    for (size_t i = 1; i < n; i += 2) {
        unsigned best = CLS_LABELS;
        double least = 0;

        for (unsigned k = 0; k < CLS_LABELS; k++) {
            double d = cls_distance(s[i].f, centre[k]);
            if (many[k] > 0 && (best == CLS_LABELS || d < least)) {
                best = k;
                least = d;
            }
        }
        hits += best == s[i].label ? 1 : 0;
    }
    return hits;
}

/* The same by the label of the nearest training sample; of equally near ones the last.  |s| must be scaled. */
static inline size_t cls_nearest(const struct cls_sample *s, size_t n)
{
    size_t hits = 0;

    for (size_t i = 1; i < n; i += 2) {
        size_t best = 0;
        double least = cls_distance(s[i].f, s[0].f);

        for (size_t k = 2; k < n; k += 2) {
            double d = cls_distance(s[i].f, s[k].f);
            if (d <= least) {
                best = k;
                least = d;
            }
        }
        hits += s[best].label == s[i].label ? 1 : 0;
    }
    return hits;
}

/*
 * The feature whose mean differs most between labels 0 and 1, over all samples: by how many standard errors, squared.
 * It sees what is common to many places, of each of which too little is known for the two above.
 */
static inline double cls_apart(const struct cls_sample *s, size_t n)
{
    double most = 0;

    for (size_t j = 0; j < CLS_FEATURES; j++) {
        double many[2] = {0}, sum[2] = {0}, squares[2] = {0}, error = 0;
        for (size_t i = 0; i < n; i++) {
            ASSERT(s[i].label < 2);
            many[s[i].label] += 1;
            sum[s[i].label] += s[i].f[j];
            squares[s[i].label] += s[i].f[j] * s[i].f[j];
        }
        for (unsigned k = 0; k < 2; k++) {
            sum[k] /= many[k] > 0 ? many[k] : 1;
            error += many[k] > 1 ? (squares[k] / many[k] - sum[k] * sum[k]) / many[k] : 0;
        }
        double d = (sum[0] - sum[1]) * (sum[0] - sum[1]);
        most = error > 1e-12 && d / error > most ? d / error : most;
    }
    return most;
}

/* Hits that mere chance among |labels| equally frequent ones exceeds once in 200 runs (one-sided 99.5 %). */
static inline size_t cls_chance(size_t tested, unsigned labels)
{
    double p = 1.0 / labels, n = (double)tested;

    return (size_t)(n * p + 2.576 * cls_root(n * p * (1 - p)));
}

#endif
