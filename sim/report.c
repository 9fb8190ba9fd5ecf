/* report.c - what a run has shown: rates with their interval, quantiles, as text, JSON and a plot. */
#include "sim/run.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define Z95 1.959964

static const char *const kind_name[SIM_KINDS] = {"put",          "get",          "find",   "join",
                                                 "put-attacked", "get-attacked", "circuit"};

const char *sim_kind_name(size_t kind)
{
    return kind < SIM_KINDS ? kind_name[kind] : "?";
}

/* ---- figures ---- */

static double root(double v)
{
    double x = v > 1 ? v : 1;

    for (int i = 0; v > 0 && i < 200; i++) {
        double y = (x + v / x) / 2;
        if (y >= x) {
            break;
        }
        x = y;
    }
    return v > 0 ? x : 0;
}

static uint64_t ppm_of(double share)
{
    double v = share * 1e6 + 0.5;

    return v < 0 ? 0 : v > 1e6 ? 1000000 : (uint64_t)v;
}

struct sim_rate sim_rate(const struct sim_outcome *o)
{
    uint64_t answered = o->right + o->wrong + o->absent + o->unreachable + o->late + o->other;
    struct sim_rate out = {.asked = answered};

    if (answered == 0) {
        return out;
    }
    double n = (double)answered, p = (double)o->right / n, z2 = Z95 * Z95;
    double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
    double half = Z95 * root(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
    out.ppm = o->right * 1000000 / answered;
    out.low = ppm_of(middle - half);
    out.high = ppm_of(middle + half);
    return out;
}

static int by_value(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

void sim_sort(struct sim_samples *s)
{
    if (s->n > 1) {
        qsort(s->us, s->n, sizeof(*s->us), by_value);
    }
}

uint32_t sim_quantile(const struct sim_samples *s, unsigned permille)
{
    if (s->n == 0) {
        return 0;
    }
    size_t ix = (s->n - 1) * permille / 1000;
    return s->us[ix];
}

bool sim_passed(const struct sim_report *r)
{
    for (size_t i = 0; i < r->phases; i++) {
        for (size_t k = 0; k < SIM_KINDS; k++) {
            struct sim_rate rate = sim_rate(&r->phase[i].of[k]);
            if (rate.ppm < r->phase[i].minimum[k]) {
                return false;
            }
        }
    }
    return r->violations == 0;
}

static uint64_t per(uint64_t v, uint64_t n)
{
    return n == 0 ? 0 : v / n;
}

static uint64_t mean_us(const struct sim_samples *s)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < s->n; i++) {
        sum += s->us[i];
    }
    return per(sum, s->n);
}

/* |v| for each node and hour of |node_ns|. */
static uint64_t per_node_hour(uint64_t v, uint64_t node_ns)
{
    uint64_t node_s = node_ns / NS_PER_S;

    return node_s == 0 ? 0 : v * 3600 / node_s;
}

/* ---- text ---- */

static void percent(FILE *f, uint64_t ppm)
{
    (void)fprintf(f, "%3" PRIu64 ".%03" PRIu64, ppm / 10000, ppm % 10000 / 10);
}

static void text_outcome(FILE *f, const struct sim_outcome *o, const char *name, uint64_t minimum)
{
    struct sim_rate rate = sim_rate(o);
    const struct sim_samples *took = &o->took;

    (void)fprintf(f, "  %-12s %8" PRIu64 "  ", name, rate.asked);
    percent(f, rate.ppm);
    (void)fputs(" % [", f);
    percent(f, rate.low);
    (void)fputc(',', f);
    percent(f, rate.high);
    (void)fprintf(f, " ]  p50 %6" PRIu32 ".%" PRIu32, sim_quantile(took, 500) / 1000,
                  sim_quantile(took, 500) % 1000 / 100);
    (void)fprintf(f, "  p95 %6" PRIu32 ".%" PRIu32 " ms", sim_quantile(took, 950) / 1000,
                  sim_quantile(took, 950) % 1000 / 100);
    (void)fprintf(f, "  mean %6" PRIu64 ".%" PRIu64, mean_us(took) / 1000,
                  mean_us(took) % 1000 / 100);
    (void)fprintf(f, "  requests %3" PRIu64 ".%" PRIu64, per(o->rpcs, rate.asked),
                  per(10 * o->rpcs, rate.asked) % 10);
    (void)fprintf(f, "  hops %" PRIu64 ".%02" PRIu64 "\n", per(o->hops, rate.asked),
                  per(100 * o->hops, rate.asked) % 100);
    if (o->right != rate.asked || o->left > 0) {
        (void)fprintf(f,
                      "        not right: wrong %" PRIu64 ", absent %" PRIu64
                      ", unreachable %" PRIu64 ", late %" PRIu64 ", refused %" PRIu64
                      "; node left first %" PRIu64 "\n",
                      o->wrong, o->absent, o->unreachable, o->late, o->other, o->left);
    }
    if (rate.ppm < minimum) {
        (void)fputs("        BELOW the required minimum: ", f);
        percent(f, minimum);
        (void)fputs(" %\n", f);
    }
}

static void text_phase(FILE *f, const struct sim_phase_report *p)
{
    (void)fprintf(f, "%s (%" PRIu64 " s to %" PRIu64 " s)\n", p->name, p->from / NS_PER_S,
                  p->to / NS_PER_S);
    for (size_t k = 0; k < SIM_KINDS; k++) {
        if (p->of[k].asked > 0 || p->minimum[k] > 0) {
            text_outcome(f, &p->of[k], kind_name[k], p->minimum[k]);
        }
    }
    const struct sim_outcome *find = &p->of[2];
    uint64_t ended = find->right + find->wrong;
    if (ended > 0) {
        (void)fprintf(f, "  find named %" PRIu64 ".%" PRIu64 " %% of the 20 nearest\n",
                      find->recall_sum / ended / 10, find->recall_sum / ended % 10);
    }
    (void)fprintf(f,
                  "  a node and hour: %" PRIu64 " requests, %" PRIu64 " links made, %" PRIu64
                  " KiB sent\n",
                  per_node_hour(p->rpcs, p->node_ns), per_node_hour(p->dials, p->node_ns),
                  per_node_hour(p->bytes, p->node_ns) / 1024);
}

static void text_refused(FILE *f, const struct sim_report *r)
{
    const char *before = "refused from others: ";

    for (size_t i = 0; i < KAD_REFUSALS; i++) {
        if (r->refused[i] > 0) {
            (void)fprintf(f, "%s%s %" PRIu64, before, kad_refusal_name((enum kad_refusal)i),
                          r->refused[i]);
            before = ", ";
        }
    }
    (void)fputs(before[0] == ',' ? "\n" : "", f);
}

void sim_print_text(FILE *f, const struct sim_report *r)
{
    char hash[2 * BLAKE3_LEN + 1];

    for (size_t i = 0; i < r->phases; i++) {
        text_phase(f, &r->phase[i]);
    }
    (void)fprintf(f,
                  "end at %" PRIu64 " s: %" PRIu32 " of %" PRIu32 " nodes online, %" PRIu64
                  " events, %" PRIu64 " requests between nodes, %" PRIu64 " messages\n",
                  r->now / NS_PER_S, r->online, r->nodes, r->events, r->rpcs, r->messages);
    (void)fprintf(f,
                  "memory of a node: %" PRIu64 " bytes now, %" PRIu64 " at most; %" PRIu64
                  " allocations refused; shared by all: %" PRIu64 " bytes\n",
                  per(r->memory_sum, r->cores), r->memory_max, r->memory_refused, r->memory_shared);
    (void)fprintf(f,
                  "routing tables: %" PRIu64 " entries a node, %" PRIu64 ".%02" PRIu64
                  " %% of them dead\n",
                  per(r->table_sum, r->cores), per(r->table_dead * 100, r->table_sum),
                  per(r->table_dead * 10000, r->table_sum) % 100);
    text_refused(f, r);
    if (r->violations > 0) {
        (void)fprintf(
            f, "VIOLATED %" PRIu64 " times, first at %" PRIu64 " ms by node %" PRIu32 ": %s\n",
            r->violations, r->violation_at / NS_PER_MS, r->violation_node, r->violation);
    }
    (void)hex_encode(hash, sizeof(hash), (struct slice){r->hash, BLAKE3_LEN});
    (void)fprintf(f, "faults 0x%" PRIx32 "  log %s\n", r->faults, hash);
}

void sim_print_cost(FILE *f, const struct sim_report *r, const struct sim_cost *c)
{
    uint64_t us = per(c->run_cpu_ns - r->wake_cpu_ns, r->asked) / 100;

    (void)fprintf(f,
                  "built in %" PRIu64 ".%03" PRIu64 " s, %" PRIu64 " MiB resident then, %" PRIu64
                  " MiB at the end; run in %" PRIu64 ".%03" PRIu64 " s\n",
                  c->build_ns / NS_PER_S, c->build_ns % NS_PER_S / 1000000, c->resident_built >> 20,
                  c->resident >> 20, c->run_ns / NS_PER_S, c->run_ns % NS_PER_S / 1000000);
    uint64_t rpc = per(10 * (c->run_cpu_ns - r->wake_cpu_ns), r->rpcs) / 1000;
    (void)fprintf(f,
                  "CPU for each of %" PRIu64 " requests: %" PRIu64 ".%" PRIu64
                  " us, for each of %" PRIu64 " between nodes: %" PRIu64 ".%" PRIu64 " us",
                  r->asked, us / 10, us % 10, r->rpcs, rpc / 10, rpc % 10);
    if (r->wakes > 0) {
        (void)fprintf(f, "; %" PRIu64 " wakings besides, %" PRIu64 " us each", r->wakes,
                      per(r->wake_cpu_ns, r->wakes) / 1000);
    }
    (void)fputc('\n', f);
}

/* ---- JSON ---- */

static void json_outcome(FILE *f, const struct sim_outcome *o, const char *name, bool first)
{
    struct sim_rate rate = sim_rate(o);
    const struct sim_samples *took = &o->took;

    (void)fprintf(f,
                  "%s\n    \"%s\": {\"asked\": %" PRIu64 ", \"answered\": %" PRIu64
                  ", \"right\": %" PRIu64 ", \"rate\": %.6f",
                  first ? "" : ",", name, o->asked, rate.asked, o->right, (double)rate.ppm / 1e6);
    (void)fprintf(f, ", \"wilson95\": [%.6f, %.6f]", (double)rate.low / 1e6,
                  (double)rate.high / 1e6);
    (void)fprintf(f,
                  ", \"wrong\": %" PRIu64 ", \"absent\": %" PRIu64 ", \"unreachable\": %" PRIu64
                  ", \"late\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"left\": %" PRIu64,
                  o->wrong, o->absent, o->unreachable, o->late, o->other, o->left);
    (void)fprintf(f, ", \"mean_ms\": %.3f", (double)mean_us(took) / 1e3);
    (void)fprintf(f, ", \"p50_ms\": %.3f, \"p95_ms\": %.3f, \"p99_ms\": %.3f",
                  sim_quantile(took, 500) / 1e3, sim_quantile(took, 950) / 1e3,
                  sim_quantile(took, 990) / 1e3);
    (void)fprintf(
        f, ", \"requests\": %" PRIu64 ", \"failed_requests\": %" PRIu64 ", \"hops\": %" PRIu64 "}",
        o->rpcs, o->failures, o->hops);
}

static void json_refused(FILE *f, const struct sim_report *r)
{
    (void)fputs(" \"refused\": {", f);
    for (size_t i = 0; i < KAD_REFUSALS; i++) {
        (void)fprintf(f, "%s\"%s\": %" PRIu64, i == 0 ? "" : ", ",
                      kad_refusal_name((enum kad_refusal)i), r->refused[i]);
    }
    (void)fputs("}", f);
}

static void json_phase(FILE *f, const struct sim_phase_report *p, bool first)
{
    bool comma = false;

    (void)fprintf(f, "%s\n   {\"name\": \"%s\", \"from_s\": %.3f, \"to_s\": %.3f,",
                  first ? "" : ",", p->name, (double)p->from / 1e9, (double)p->to / 1e9);
    (void)fprintf(f,
                  "\n    \"requests_per_node_hour\": %" PRIu64 ", \"links_per_node_hour\": %" PRIu64
                  ", \"bytes_per_node_hour\": %" PRIu64 ",",
                  per_node_hour(p->rpcs, p->node_ns), per_node_hour(p->dials, p->node_ns),
                  per_node_hour(p->bytes, p->node_ns));
    (void)fprintf(f, "\n    \"recall_permille\": %" PRIu64 ", \"outcomes\": {",
                  per(p->of[2].recall_sum, p->of[2].right + p->of[2].wrong));
    for (size_t k = 0; k < SIM_KINDS; k++) {
        if (p->of[k].asked > 0) {
            json_outcome(f, &p->of[k], kind_name[k], !comma);
            comma = true;
        }
    }
    (void)fputs("}}", f);
}

static void json_cost(FILE *f, const struct sim_report *r, const struct sim_cost *c)
{
    (void)fprintf(f,
                  " \"cost\": {\"build_s\": %.3f, \"run_s\": %.3f, \"run_cpu_s\": %.3f, "
                  "\"resident_built\": %" PRIu64 ", \"resident\": %" PRIu64,
                  (double)c->build_ns / 1e9, (double)c->run_ns / 1e9, (double)c->run_cpu_ns / 1e9,
                  c->resident_built, c->resident);
    (void)fprintf(f, ", \"cpu_us_per_request\": %.1f, \"cpu_us_per_rpc\": %.2f",
                  (double)per(c->run_cpu_ns - r->wake_cpu_ns, r->asked) / 1e3,
                  (double)per(c->run_cpu_ns - r->wake_cpu_ns, r->rpcs) / 1e3);
    (void)fprintf(f, ", \"wake_cpu_s\": %.3f},\n", (double)r->wake_cpu_ns / 1e9);
}

void sim_print_json(FILE *f, const struct sim_report *r, const struct scenario *sc, uint64_t seed,
                    const struct sim_cost *c)
{
    char hash[2 * BLAKE3_LEN + 1];

    (void)hex_encode(hash, sizeof(hash), (struct slice){r->hash, BLAKE3_LEN});
    (void)fprintf(f,
                  "{\"scenario\": \"%s\", \"seed\": %" PRIu64 ", \"nodes\": %" PRIu64
                  ", \"until_s\": %.3f,\n \"log\": \"%s\", \"faults\": %" PRIu32
                  ", \"passed\": %s, \"violations\": %" PRIu64,
                  sc->name, seed, sc->nodes, (double)r->now / 1e9, hash, r->faults,
                  sim_passed(r) ? "true" : "false", r->violations);
    if (r->violations > 0) {
        (void)fprintf(f,
                      ", \"violation\": {\"what\": \"%s\", \"node\": %" PRIu32 ", \"at_s\": %.9f}",
                      r->violation, r->violation_node, (double)r->violation_at / 1e9);
    }
    (void)fprintf(f,
                  ",\n \"events\": %" PRIu64 ", \"requests\": %" PRIu64 ", \"links\": %" PRIu64
                  ", \"messages\": %" PRIu64 ", \"bytes\": %" PRIu64 ",\n",
                  r->events, r->rpcs, r->dials, r->messages, r->bytes);
    if (c != NULL) {
        json_cost(f, r, c);
    }
    (void)fprintf(f, " \"asked\": %" PRIu64 ", \"wakes\": %" PRIu64 ", \"cores\": %" PRIu32 ",\n",
                  r->asked, r->wakes, r->cores);
    (void)fprintf(f,
                  " \"online\": %" PRIu32 ", \"memory_per_node\": %" PRIu64
                  ", \"memory_peak\": %" PRIu64 ", \"memory_refused\": %" PRIu64
                  ", \"memory_shared\": %" PRIu64 ", \"table_entries\": %" PRIu64
                  ", \"table_dead\": %" PRIu64 ",\n \"phases\": [",
                  r->online, per(r->memory_sum, r->cores), r->memory_max, r->memory_refused,
                  r->memory_shared, r->table_sum, r->table_dead);
    for (size_t i = 0; i < r->phases; i++) {
        json_phase(f, &r->phase[i], i == 0);
    }
    (void)fputs("],\n", f);
    json_refused(f, r);
    (void)fputs("}\n", f);
}
