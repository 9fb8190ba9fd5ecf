/*
 * plot.c - cumulative distribution of the time right answers took, as SVG: time to the right on a
 * logarithmic axis (each doubling equally wide), share of answers upwards, one line per phase.
 */
#include "sim/run.h"

#include "sim/chance.h"

#include <inttypes.h>

#define LEFT 60
#define TOP 30
#define WIDE 640
#define HIGH 360
#define POINTS 200
#define LEAST 10 /* 2^10 us: what is quicker stands at the left edge */

static const char *const colour[SIM_PHASES_MAX] = {"#1b6ca8", "#c8553d", "#3a7d44", "#7a4f9c",
                                                   "#b8860b", "#2f4f4f", "#c71585", "#556b2f"};

/* Powers of two, in microseconds, that enclose all samples. */
struct span {
    int64_t from, to;
};

static struct span span_of(const struct sim_report *r, size_t kind)
{
    uint32_t least = UINT32_MAX, most = 0;

    for (size_t i = 0; i < r->phases; i++) {
        const struct sim_samples *t = &r->phase[i].of[kind].took;
        if (t->n > 0) {
            uint32_t a = sim_quantile(t, 0), b = sim_quantile(t, 1000);
            least = a < least ? a : least;
            most = b > most ? b : most;
        }
    }
    int64_t from = chance_log2(least == 0 ? 1 : least) >> 16;
    int64_t to = chance_log2(most == 0 ? 1 : most) >> 16;
    from = from < LEAST ? LEAST : from;
    return (struct span){from, to < from ? from + 1 : to + 1};
}

static int64_t across(const struct span *x, uint32_t us)
{
    int64_t v = chance_log2(us == 0 ? 1 : us) - x->from * 65536;

    v = v < 0 ? 0 : v; /* found at home */
    return LEFT + v * WIDE / ((x->to - x->from) * 65536);
}

static void axes(FILE *f, const struct span *x)
{
    for (int64_t e = x->from; e <= x->to; e++) {
        int64_t at = LEFT + (e - x->from) * WIDE / (x->to - x->from);
        uint64_t us = UINT64_C(1) << e;
        (void)fprintf(f, "<line x1='%" PRId64 "' y1='%d' x2='%" PRId64 "' y2='%d' class='g'/>\n",
                      at, TOP, at, TOP + HIGH);
        (void)fprintf(f, "<text x='%" PRId64 "' y='%d' class='m'>", at, TOP + HIGH + 18);
        if (us < 1000) {
            (void)fprintf(f, "%" PRIu64 " us</text>\n", us);
        } else if (us < 1000000) {
            (void)fprintf(f, "%" PRIu64 " ms</text>\n", us / 1000);
        } else {
            (void)fprintf(f, "%" PRIu64 ".%" PRIu64 " s</text>\n", us / 1000000,
                          us % 1000000 / 100000);
        }
    }
    for (int p = 0; p <= 100; p += 25) {
        int at = TOP + HIGH - HIGH * p / 100;
        (void)fprintf(f, "<line x1='%d' y1='%d' x2='%d' y2='%d' class='g'/>\n", LEFT, at,
                      LEFT + WIDE, at);
        (void)fprintf(f, "<text x='%d' y='%d' class='e'>%d %%</text>\n", LEFT - 8, at + 4, p);
    }
}

void sim_print_svg(FILE *f, const struct sim_report *r, size_t kind)
{
    struct span x = span_of(r, kind);

    (void)fprintf(f,
                  "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d'>\n"
                  "<style>text{font:12px sans-serif}.m{text-anchor:middle}.e{text-anchor:end}"
                  ".g{stroke:#ddd}polyline{fill:none;stroke-width:1.5}</style>\n"
                  "<rect width='100%%' height='100%%' fill='white'/>\n",
                  LEFT + WIDE + 40, TOP + HIGH + 40);
    (void)fprintf(f, "<text x='%d' y='18'>%s: time to the right answer</text>\n", LEFT,
                  sim_kind_name(kind));
    axes(f, &x);
    int row = 0;
    for (size_t i = 0; i < r->phases; i++) {
        const struct sim_samples *t = &r->phase[i].of[kind].took;
        if (t->n == 0) {
            continue;
        }
        (void)fprintf(f, "<polyline stroke='%s' points='", colour[i]);
        for (unsigned p = 0; p <= POINTS; p++) {
            uint32_t us = sim_quantile(t, p * 1000 / POINTS);
            (void)fprintf(f, "%" PRId64 ",%d ", across(&x, us),
                          TOP + HIGH - (int)(HIGH * p / POINTS));
        }
        (void)fputs("'/>\n", f);
        (void)fprintf(f, "<text x='%d' y='%d' fill='%s'>%s (%zu)</text>\n", LEFT + 12,
                      TOP + 20 + 16 * row++, colour[i], r->phase[i].name, t->n);
    }
    (void)fputs("</svg>\n", f);
}
