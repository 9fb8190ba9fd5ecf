/* cmd_doctor.c - doctor: looks at everything a node depends on. */
#include "doctor.h"
#include "operate.h"

#include <qudag/qudag.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define SPEED_RUNS 500                  /* of each operation */
#define BUILT_AFTER INT64_C(1767225600) /* 2026-01-01: no clock that is right shows less */

static uint64_t number_in(const char *path)
{
    unsigned long long n = 0;
    FILE *f = fopen(path, "re");

    if (f != NULL) {
        if (fscanf(f, "%llu", &n) != 1) {
            n = 0;
        }
        (void)fclose(f);
    }
    return n;
}

static void look_at_machine(struct doctor_facts *f, const char *dir)
{
    struct timex tx = {0};
    struct statvfs fs;
    uint8_t byte;

    f->clock_synced = adjtimex(&tx) != TIME_ERROR;
    f->clock_before_build = (int64_t)time(NULL) < BUILT_AFTER;
    f->entropy_errno = getrandom(&byte, 1, GRND_NONBLOCK) == 1 ? 0 : errno;
    f->rmem_max = number_in("/proc/sys/net/core/rmem_max");
    f->wmem_max = number_in("/proc/sys/net/core/wmem_max");
    f->disk_free = statvfs(dir, &fs) == 0 || statvfs("/", &fs) == 0
                       ? (uint64_t)fs.f_bavail * (uint64_t)fs.f_frsize
                       : 0;
}

static void look_at_folder(struct tool *t, struct doctor_facts *f)
{
    static const char *const before[] = {"--check-config", NULL};
    char path[PATH_LEN], *out = NULL, *complaint = NULL;
    struct stat st;

    f->folder = stat(t->dir, &st) == 0 && S_ISDIR(st.st_mode);
    f->folder_ours = f->folder && (st.st_uid == geteuid() || geteuid() == 0);
    f->folder_mode = f->folder ? st.st_mode & 07777 : 0;
    f->identity = path_join(path, t->dir, "identity") && lstat(path, &st) == 0;
    f->identity_ours = f->identity && (st.st_uid == geteuid() || geteuid() == 0);
    f->identity_mode = f->identity ? st.st_mode & 07777 : 0;
    if (f->folder && ask_qudagd(t->dir, before, NULL, &out, &complaint) != 0) {
        (void)snprintf(f->conf_fault, sizeof(f->conf_fault), "%.*s",
                       complaint == NULL ? 0 : (int)strcspn(complaint, "\n"),
                       complaint == NULL ? "" : complaint);
        if (f->conf_fault[0] == 0) {
            (void)snprintf(f->conf_fault, sizeof(f->conf_fault), "qudagd cannot be run");
        }
    }
    free(out);
    free(complaint);
}

static void copy_str(char *to, size_t cap, const struct rec_view *v, const char *name)
{
    const char *text = rec_get_str(v, name);

    (void)snprintf(to, cap, "%s", text == NULL ? "" : text);
}

static void on_status(struct tool *t, const struct rec_view *v, void *user)
{
    struct doctor_facts *f = user;
    (void)t;

    copy_str(f->daemon_version, sizeof(f->daemon_version), v, "version");
    copy_str(f->health, sizeof(f->health), v, "health");
    copy_str(f->reason, sizeof(f->reason), v, "reason");
    copy_str(f->disk, sizeof(f->disk), v, "disk");
    f->announces = rec_get_str(v, "announced") != NULL;
    struct rec_field one;
    for (size_t it = 0; rec_next(v, &it, &one);) {
        f->listens += strcmp(one.name, "addresses") == 0;
    }
    f->lab = rec_get_bool(v, "lab");
    f->copied = rec_get_bool(v, "copied");
    f->bootstrap_peers = (uint64_t)rec_get_int(v, "bootstrap_peers", 0);
    f->links = (uint64_t)rec_get_int(v, "links", 0);
    f->circuits = (uint64_t)rec_get_int(v, "circuits", 0);
    f->reach_wanted = rec_get_bool(v, "reach_wanted");
    f->looked_for = rec_get_bool(v, "looked_for");
    f->udp_blocked = rec_get_bool(v, "udp_blocked");
    f->double_nat = rec_get_bool(v, "double_nat");
    f->places_needed = rec_get_bool(v, "places_needed");
    f->places = (uint64_t)rec_get_int(v, "places", 0);
    copy_str(f->reach4, sizeof(f->reach4), v, "reach4");
    copy_str(f->reach6, sizeof(f->reach6), v, "reach6");
    copy_str(f->mapping4, sizeof(f->mapping4), v, "mapping4");
    copy_str(f->reachability, sizeof(f->reachability), v, "reachability");
    copy_str(f->port_mapping, sizeof(f->port_mapping), v, "port_mapping");
    copy_str(f->port_why, sizeof(f->port_why), v, "port_why");
    f->ports = rec_get_str(v, "ports") != NULL;
    f->uptime_s = (uint64_t)rec_get_int(v, "uptime_ns", 0) / UINT64_C(1000000000);
}

static void on_limits(struct tool *t, const struct rec_view *v, void *user)
{
    struct doctor_facts *f = user;
    (void)t;

    f->clock_suspect = rec_get_bool(v, "clock_suspect");
    f->relay = rec_get_bool(v, "relay");
    f->links_max = (uint64_t)rec_get_int(v, "links_max", 0);
    (void)snprintf(f->links_from, sizeof(f->links_from), "%s",
                   rec_get_str(v, "links_max_from") != NULL ? rec_get_str(v, "links_max_from")
                                                            : "");
    f->circuits_max = (uint64_t)rec_get_int(v, "circuits_max", 0);
    f->files = (uint64_t)rec_get_int(v, "files", 0);
    f->files_max = (uint64_t)rec_get_int(v, "files_max", 0);
    f->descriptor_stored = (uint64_t)rec_get_int(v, "descriptor_stored", 0);
}

static void look_at_daemon(struct tool *t, struct doctor_facts *f)
{
    struct outcome out;

    (void)snprintf(f->tool_version, sizeof(f->tool_version), "%s", QUDAG_VERSION);
    f->running = daemon_pid(t->dir) != 0;
    if (!f->running) {
        return;
    }
    t->deadline_ns = mono_ns() + UINT64_C(10000000000);
    (void)ask_begin(t, "status");
    ask_dir(t, t->dir, -1, on_status, f, &out);
    f->answers = out.code == TOOL_OK;
    if (f->answers) {
        (void)ask_begin(t, "limits");
        ask_dir(t, t->dir, -1, on_limits, f, &out);
        f->answers = out.code == TOOL_OK;
    }
    t->deadline_ns = 0;
}

static void print_json(const struct doctor_finding *d, size_t ix)
{
    const char *const names[] = {"what", "verdict", "text", "mend"};
    const char *const texts[] = {d->what, doctor_verdict_name(d->verdict), d->text, d->mend};

    for (size_t k = 0; k < 4; k++) {
        (void)printf("%s\"%s\":", k > 0 ? "," : ix == 0 ? "{" : ",{", names[k]);
        json_text(stdout, texts[k]);
    }
    (void)fputc('}', stdout);
}

static void print_line(const struct tool *t, const struct doctor_finding *d)
{
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};

    (void)printf("%s%-4s%s  %-13s  %s\n", t->colour ? colours[d->verdict] : "",
                 doctor_verdict_name(d->verdict), t->colour ? "\033[0m" : "", d->what, d->text);
    if (d->mend[0] != 0) {
        (void)printf("                     -> %s\n", d->mend);
    }
}

void doctor_look(struct tool *t, struct doctor_facts *f)
{
    look_at_machine(f, t->dir);
    look_at_folder(t, f);
    look_at_daemon(t, f);
}

/* "mlkem768_encaps" of operation="mlkem768_encaps". */
static void operation_of(char *out, size_t cap, const char *labels)
{
    const char *from = strchr(labels, '"');
    from = from == NULL ? labels : from + 1;
    (void)snprintf(out, cap, "%.*s", (int)strcspn(from, "\""), from);
}

/* How fast this machine is at what links and circuits are made of. */
static int measure(const struct tool *t)
{
    qudag_histogram h = QUDAG_INIT(qudag_histogram);
    char name[40];
    bool first = true;

    (void)printf(t->json ? "{\"crypto\":\"%s\",\"primitives\":[" : "%s\n", qudag_version_crypto());
    if (!t->json) {
        (void)printf("%-16s  %10s  %10s  %12s\n", "OPERATION", "P50 us", "P95 us", "A SECOND");
    }
    for (size_t it = 0; qudag_primitive_measure(&it, SPEED_RUNS, &h); first = false) {
        uint64_t mean = h.sum / h.total;
        uint64_t rate = mean > 0 ? 1000000000u / mean : 0;
        operation_of(name, sizeof(name), h.labels);
        if (t->json) {
            (void)printf("%s{\"operation\":\"%s\",\"runs\":%llu,\"p50_ns\":%llu,\"p95_ns\":%llu,"
                         "\"mean_ns\":%llu}",
                         first ? "" : ",", name, (unsigned long long)h.total,
                         (unsigned long long)h.p50, (unsigned long long)h.p95,
                         (unsigned long long)mean);
        } else {
            (void)printf("%-16s  %10.1f  %10.1f  %12llu\n", name, (double)h.p50 / 1000,
                         (double)h.p95 / 1000, (unsigned long long)rate);
        }
    }
    (void)fputs(t->json ? "]}\n" : "", stdout);
    return first ? TOOL_FAILED : TOOL_OK;
}

int run_doctor(struct tool *t, int argc, char **argv)
{
    static struct doctor_facts f;
    static struct doctor_finding all[DOCTOR_MAX];
    bool bad = false;

    static const struct opt opts[] = {{"--speed", NULL}};
    struct args a = {.t = t, .what = "doctor", .argc = argc, .argv = argv, .opts = opts, .n = 1};
    bool speed = false;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got != 0) {
            return got == ARGS_BAD ? TOOL_USAGE
                                   : tool_usage(t, "doctor takes no argument but --speed");
        }
        speed = true;
    }
    if (speed) {
        return measure(t);
    }
    doctor_look(t, &f);
    size_t n = doctor_judge(&f, all);
    (void)fputs(t->json ? "{\"doctor\":[" : "", stdout);
    for (size_t ix = 0; ix < n; ix++) {
        bad = bad || all[ix].verdict == DOCTOR_BAD;
        if (t->json) {
            print_json(&all[ix], ix);
        } else {
            print_line(t, &all[ix]);
        }
    }
    (void)fputs(t->json ? "]}\n" : "", stdout);
    return bad ? TOOL_UNREACHABLE : TOOL_OK;
}
