/* main.c - qudag-sim: runs a scenario in virtual time and reports. */
#include "sim/full.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 65536
#define PROGRESS (60 * NS_PER_S)

enum exits { EXIT_OK, EXIT_BELOW, EXIT_USAGE, EXIT_VIOLATED };

struct args {
    const char *scenario, *dir, *plot, *until, *quiet_at, *settle;
    struct sim_options sim;
    uint64_t nodes;
    size_t plot_of;
    bool json, quiet;
};

static const char usage[] =
    "qudag-sim: a network in virtual time; one seed, one outcome\n"
    "\n"
    "  qudag-sim --scenario NAME|FILE [options]\n"
    "\n"
    "  --scenario X     a file, or the name of one in sim/scenarios (or $QUDAG_SCENARIOS)\n"
    "  --seed S         what the dice begin with (1)\n"
    "  --nodes N        instead of what the scenario says\n"
    "  --host full      complete nodes over simulated datagrams, 2 to 200; bare (the default): DHT "
    "cores\n"
    "  --until T        stop there: 90 s, 10 min, 1 h\n"
    "  --quiet-at T     all faults end at T; the network must have settled --settle later (60 s)\n"
    "  --settle D\n"
    "  --trace node=K   print to standard error whatever happens to node K\n"
    "  --json           the report as JSON\n"
    "  --plot FILE      distribution of the time answers took, as SVG; --plot-of "
    "put|get|find|join|..."
    "(get)\n"
    "  --quiet          no progress\n"
    "\n"
    "Exit: 0 all minima reached; 1 below one; 2 wrong usage or scenario; 3 an invariant was "
    "violated.\n"
    "Example: qudag-sim --scenario churn --seed 7 --nodes 1000 --plot churn.svg\n";

static int complain(const char *what, const char *which)
{
    (void)fprintf(stderr, "qudag-sim: %s%s%s\n", what, which[0] == 0 ? "" : ": ", which);
    return EXIT_USAGE;
}

static bool number(const char *text, uint64_t max, uint64_t *out)
{
    char *end = NULL;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && errno == 0 && *end == 0 && *out <= max;
}

static bool trace_node(const char *text, struct args *a)
{
    uint64_t v;

    if (strncmp(text, "node=", 5) != 0 || !number(text + 5, UINT32_MAX - 1, &v)) {
        return false;
    }
    a->sim.trace = stderr;
    a->sim.trace_node = (uint32_t)v;
    return true;
}

static bool plot_of(const char *text, struct args *a)
{
    for (size_t k = 0; k < SIM_KINDS; k++) {
        if (strcmp(text, sim_kind_name(k)) == 0) {
            a->plot_of = k;
            return true;
        }
    }
    return false;
}

static bool take(struct args *a, int opt, const char *value)
{
    switch (opt) {
    case 'c':
        a->scenario = value;
        return true;
    case 's':
        return number(value, UINT64_MAX, &a->sim.seed);
    case 'n':
        return number(value, SIM_NODES_MAX, &a->nodes) && a->nodes >= 2;
    case 'f':
        a->sim.host = strcmp(value, "full") == 0 ? full_host() : NULL;
        return a->sim.host != NULL || strcmp(value, "bare") == 0;
    case 'u':
        a->until = value;
        return true;
    case 'q':
        a->quiet_at = value;
        return true;
    case 'd':
        a->settle = value;
        return true;
    case 't':
        return trace_node(value, a);
    case 'p':
        a->plot = value;
        return true;
    case 'o':
        return plot_of(value, a);
    case 'j':
        a->json = true;
        return true;
    case 'x':
        a->quiet = true;
        return true;
    default:
        return false;
    }
}

static int parse(struct args *a, int argc, char **argv)
{
    static const struct option options[] = {
        {"scenario", required_argument, NULL, 'c'}, {"seed", required_argument, NULL, 's'},
        {"nodes", required_argument, NULL, 'n'},    {"host", required_argument, NULL, 'f'},
        {"until", required_argument, NULL, 'u'},    {"quiet-at", required_argument, NULL, 'q'},
        {"settle", required_argument, NULL, 'd'},   {"trace", required_argument, NULL, 't'},
        {"plot", required_argument, NULL, 'p'},     {"plot-of", required_argument, NULL, 'o'},
        {"json", no_argument, NULL, 'j'},           {"quiet", no_argument, NULL, 'x'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (opt == 'h') {
            (void)fputs(usage, stdout);
            exit(EXIT_OK);
        }
        if (opt == '?' || !take(a, opt, optarg)) {
            return complain("bad option; see --help", opt == '?' ? "" : optarg);
        }
    }
    if (optind != argc || a->scenario == NULL) {
        return complain(a->scenario == NULL ? "--scenario is missing; see --help" : "not an option",
                        optind != argc ? argv[optind] : "");
    }
    return EXIT_OK;
}

/* ---- the scenario ---- */

static FILE *open_scenario(const char *name, char path[4096])
{
    const char *dir = getenv("QUDAG_SCENARIOS");

    (void)snprintf(path, 4096, "%s", name);
    FILE *f = strpbrk(name, "/.") != NULL ? fopen(path, "r") : NULL;
    if (f == NULL && strchr(name, '/') == NULL) {
        (void)snprintf(path, 4096, "%s/%s.scenario", dir == NULL ? "sim/scenarios" : dir, name);
        f = fopen(path, "r");
    }
    return f;
}

static void name_of(const char *path, char out[SIM_NAME_MAX])
{
    const char *base = strrchr(path, '/');
    size_t n;

    base = base == NULL ? path : base + 1;
    n = strcspn(base, ".\"\\");
    n = n < SIM_NAME_MAX ? n : SIM_NAME_MAX - 1;
    memcpy(out, base, n);
    out[n] = 0;
}

/* Reads until the scenario is right and agrees with the options; |text| holds what was read. */
static int load(const struct args *a, struct scenario *sc)
{
    static uint8_t text[TEXT_MAX];
    char path[4096];
    struct scenario_error error = {0};
    FILE *f = open_scenario(a->scenario, path);

    if (f == NULL) {
        return complain("no such scenario", a->scenario);
    }
    size_t n = fread(text, 1, sizeof(text), f);
    bool bad = ferror(f) != 0 || n == sizeof(text);
    (void)fclose(f);
    if (bad) {
        return complain("cannot read, or too long", path);
    }
    if (scenario_parse(sc, (struct slice){text, n}, &error) != QUDAG_OK) {
        (void)fprintf(stderr, "%s:%u: %s\n", path, error.line, error.what);
        return EXIT_USAGE;
    }
    name_of(path, sc->name);
    return EXIT_OK;
}

/* Phases that the run does not reach are not judged. */
static void shorten(struct scenario *sc, uint64_t until)
{
    size_t n = 0;

    sc->until = until < sc->until ? until : sc->until;
    for (size_t i = 0; i < sc->n_phases; i++) {
        struct sim_phase p = sc->phase[i];
        p.to = p.to < sc->until ? p.to : sc->until;
        if (p.from < p.to) {
            sc->phase[n++] = p;
        }
    }
    sc->n_phases = n;
    if (sc->quiet_at + sc->settle >= sc->until) {
        sc->quiet_at = 0;
    }
}

/* What the options change. */
static int adapt(const struct args *a, struct scenario *sc)
{
    if (a->nodes > 0) {
        sc->nodes = a->nodes;
        sc->bootstrap = sc->bootstrap < sc->nodes ? sc->bootstrap : sc->nodes - 1;
    }
    if (a->until != NULL) {
        uint64_t until;
        if (!scenario_time(a->until, &until) || until == 0) {
            return complain("--until wants a time as 90 s", a->until);
        }
        shorten(sc, until);
    }
    if (a->quiet_at != NULL) {
        sc->settle = 60 * NS_PER_S;
        if (!scenario_time(a->quiet_at, &sc->quiet_at) ||
            (a->settle != NULL && !scenario_time(a->settle, &sc->settle))) {
            return complain("--quiet-at and --settle want times as 90 s", "");
        }
        if (sc->quiet_at == 0 || sc->quiet_at + sc->settle >= sc->until) {
            return complain("the run ends before it has settled", a->quiet_at);
        }
    }
    const char *objection = a->sim.host != NULL ? full_objection(sc) : bare_objection(sc);
    if (objection != NULL) {
        return complain(objection, a->scenario);
    }
    return EXIT_OK;
}

/* ---- the run ---- */

static uint64_t clock_ns(clockid_t which)
{
    struct timespec t;

    (void)clock_gettime(which, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* Bytes; 0 where the system does not say. */
static uint64_t resident(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f != NULL) {
        if (fscanf(f, "%*u %lu", &pages) != 1) {
            pages = 0;
        }
        (void)fclose(f);
    }
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void progress(const struct sim *s, uint64_t began)
{
    uint64_t ms = (clock_ns(CLOCK_MONOTONIC) - began) / 1000000;

    (void)fprintf(stderr,
                  "%6" PRIu64 " s: %" PRIu32 " nodes, %" PRIu64 " events, %" PRIu64 ".%03" PRIu64
                  " s of work\n",
                  sim_now(s) / NS_PER_S, sim_online(s), sim_events(s), ms / 1000, ms % 1000);
}

static int plot(const struct args *a, const struct sim_report *r)
{
    FILE *f = fopen(a->plot, "w");

    if (f == NULL) {
        return complain("cannot write", a->plot);
    }
    sim_print_svg(f, r, a->plot_of);
    return fclose(f) == 0 ? EXIT_OK : complain("cannot write", a->plot);
}

static int run(const struct args *a, const struct scenario *sc)
{
    uint64_t began = clock_ns(CLOCK_MONOTONIC);
    struct sim *s = sim_new(sc, &a->sim);
    uint64_t built = clock_ns(CLOCK_MONOTONIC), cpu = cpu_ns();
    struct sim_cost cost = {.build_ns = built - began, .resident_built = resident()};
    tstamp at = 0;
    bool more = true;

    while (more) {
        at += PROGRESS;
        more = sim_run(s, at);
        if (!a->quiet) {
            progress(s, began);
        }
    }
    cost.run_ns = clock_ns(CLOCK_MONOTONIC) - built;
    cost.run_cpu_ns = cpu_ns() - cpu;
    cost.resident = resident();
    const struct sim_report *r = sim_report(s);
    if (a->json) {
        sim_print_json(stdout, r, sc, a->sim.seed, &cost);
    } else {
        (void)printf("%s, %" PRIu64 " nodes, seed %" PRIu64 "\n", sc->name, sc->nodes, a->sim.seed);
        sim_print_text(stdout, r);
        sim_print_cost(stdout, r, &cost);
    }
    int status = r->violations > 0 ? EXIT_VIOLATED : sim_passed(r) ? EXIT_OK : EXIT_BELOW;
    if (r->violations > 0) {
        (void)fprintf(stderr,
                      "to see it: qudag-sim%s --scenario %s --seed %" PRIu64 " --nodes %" PRIu64
                      " --until '%" PRIu64 " ms' --trace node=%" PRIu32 "\n",
                      a->sim.host != NULL ? " --host full" : "", a->scenario, a->sim.seed,
                      sc->nodes, r->violation_at / NS_PER_MS + 1, r->violation_node);
    }
    if (a->plot != NULL && plot(a, r) != EXIT_OK) {
        status = EXIT_USAGE;
    }
    sim_free(s);
    return status;
}

int main(int argc, char **argv)
{
    struct args a = {.sim = {.seed = 1, .cpu_ns = cpu_ns}, .plot_of = 1};
    static struct scenario sc;
    int status = parse(&a, argc, argv);

    status = status == EXIT_OK ? load(&a, &sc) : status;
    status = status == EXIT_OK ? adapt(&a, &sc) : status;
    return status == EXIT_OK ? run(&a, &sc) : status;
}
