/*
 * cmd_report.c - report: what helps somebody else to find out what is wrong, in one file, and nothing that tells who
 * or where anybody is.
 */
#include "doctor.h"
#include "operate.h"
#include "scrub.h"

#include <qudag/qudag.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define LOG_TAIL 65536 /* bytes of the log's end */

static void put(FILE *to, const char *text)
{
    static char clean[2 * LOG_TAIL];

    (void)scrub(text, clean, sizeof(clean));
    (void)fputs(clean, to);
}

static void head(FILE *to, const char *title)
{
    (void)fprintf(to, "\n== %s\n", title);
}

static void machine(FILE *to)
{
    struct utsname u;

    head(to, "versions");
    (void)fprintf(to, "qudag %s (%s)\n", QUDAG_VERSION, qudag_version_crypto());
    if (uname(&u) == 0) {
        (void)fprintf(to, "%s %s %s\n", u.sysname, u.release, u.machine);
    }
    (void)fprintf(to, "processors %ld, memory %ld MiB\n", sysconf(_SC_NPROCESSORS_ONLN),
                  sysconf(_SC_PHYS_PAGES) / 1024 * (sysconf(_SC_PAGESIZE) / 1024));
}

static void findings(struct tool *t, FILE *to)
{
    static struct doctor_facts f;
    static struct doctor_finding all[DOCTOR_MAX];

    doctor_look(t, &f);
    size_t n = doctor_judge(&f, all);
    head(to, "doctor");
    for (size_t ix = 0; ix < n; ix++) {
        (void)fprintf(to, "%s %s: ", doctor_verdict_name(all[ix].verdict), all[ix].what);
        put(to, all[ix].text);
        (void)fputc('\n', to);
    }
}

/* Numbers and what has no name in it; the rest is told to be there. */
static void on_status(struct tool *t, const struct rec_view *v, void *user)
{
    static const char *const plain[] = {"version", "phase",     "health",
                                        "relay",   "anonymity", "drawn"};
    FILE *to = user;
    struct rec_field f;
    (void)t;

    for (size_t ix = 0; ix < sizeof(plain) / sizeof(plain[0]); ix++) {
        const char *text = rec_get_str(v, plain[ix]);
        if (text != NULL) {
            (void)fprintf(to, "%s = ", plain[ix]);
            put(to, text);
            (void)fputc('\n', to);
        }
    }
    for (size_t it = 0; rec_next(v, &it, &f);) {
        if ((f.kind == REC_INT || f.kind == REC_BOOL) && strcmp(f.name, "pid") != 0) {
            (void)fprintf(to, "%s = %lld\n", f.name, (long long)f.num);
        }
    }
}

static void on_stat(struct tool *t, const struct rec_view *v, void *user)
{
    const char *name = rec_get_str(v, "name");
    (void)t;

    (void)fprintf(user, "%s = %lld\n", name == NULL ? "?" : name,
                  (long long)rec_get_int(v, "value", 0));
}

/* Whether a value of the configuration is a number or one of the words that it may be. */
static bool plain_value(const char *value)
{
    static const char *const words[] = {"yes",  "no",   "require", "prefer",  "off",  "auto",
                                        "info", "warn", "error",   "debug",   "full", "reduced",
                                        "",     "app",  "aes256",  "chacha20"};

    for (size_t ix = 0; ix < sizeof(words) / sizeof(words[0]); ix++) {
        if (strcmp(value, words[ix]) == 0) {
            return true;
        }
    }
    return strspn(value, "-0123456789") == strlen(value);
}

static void on_config(struct tool *t, const struct rec_view *v, void *user)
{
    const char *text = rec_get_str(v, "text");
    char *copy = text == NULL ? NULL : strdup(text), *save = NULL;
    FILE *to = user;
    (void)t;

    for (char *line = copy == NULL ? NULL : strtok_r(copy, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char *equal = strstr(line, " =");
        if (line[0] == '[') {
            (void)fprintf(to, "%s\n", line);
        } else if (line[0] != '#' && equal != NULL) {
            *equal = 0;
            const char *value = equal + 2 + (equal[2] == ' ');
            (void)fprintf(to, "%s = %s\n", line, plain_value(value) ? value : "(set)");
        }
    }
    free(copy);
}

static void ask_daemon(struct tool *t, FILE *to)
{
    static const struct {
        const char *title, *cmd;
        answer_fn fn;
    } parts[] = {{"status", "status", on_status},
                 {"configuration in force", "config", on_config},
                 {"counters", "stats", on_stat}};
    struct outcome out;

    for (size_t ix = 0; ix < sizeof(parts) / sizeof(parts[0]); ix++) {
        head(to, parts[ix].title);
        t->deadline_ns = mono_ns() + UINT64_C(10000000000);
        (void)ask_begin(t, parts[ix].cmd);
        ask_dir(t, t->dir, -1, parts[ix].fn, to, &out);
        if (out.code != TOOL_OK) {
            (void)fprintf(to, "no answer: %s\n", out.error);
        }
    }
    t->deadline_ns = 0;
}

/* Its end, from a whole line on, however long it is. */
static void log_tail(const struct tool *t, FILE *to)
{
    static char text[LOG_TAIL];
    char path[PATH_LEN];
    FILE *log = path_join(path, t->dir, "qudagd.log") ? fopen(path, "re") : NULL;

    head(to, "end of the log");
    if (log == NULL) {
        (void)fputs("there is no qudagd.log in the state folder\n", to);
        return;
    }
    bool cut = fseek(log, -(long)(LOG_TAIL - 1), SEEK_END) == 0; /* else it is shorter */
    if (!cut) {
        rewind(log);
    }
    text[fread(text, 1, LOG_TAIL - 1, log)] = 0;
    (void)fclose(log);
    put(to, cut ? text + strcspn(text, "\n") : text);
}

int run_report(struct tool *t, int argc, char **argv)
{
    struct args a = {.t = t, .what = "report", .argc = argc, .argv = argv};
    const char *word[1] = {NULL}, *file = "qudag-report.txt";
    char message[PATH_LEN + 64];
    int n = args_words(&a, word, 1);

    if (n < 0 || n > 1) {
        return n < 0 ? TOOL_USAGE : tool_usage(t, "report takes the name of one file, or -");
    }
    file = n == 1 ? word[0] : file;
    bool out = strcmp(file, "-") == 0;
    int fd = out ? -1 : open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *to = out ? stdout : fd < 0 ? NULL : fdopen(fd, "w");
    if (to == NULL) {
        (void)snprintf(message, sizeof(message), "%.900s: %s", file, strerror(errno));
        return tool_error(t, TOOL_FAILED, "FILE", message, "name another file, or - for a look");
    }
    (void)fputs(
        "Report of qudag.  Addresses, names of peers, paths and keys are taken out; read it "
        "before you give it away.\n",
        to);
    machine(to);
    findings(t, to);
    ask_daemon(t, to);
    log_tail(t, to);
    if (!out && fclose(to) != 0) {
        return tool_error(t, TOOL_FAILED, "FILE", strerror(errno), "make room");
    }
    if (!out && t->json) {
        (void)fputs("{\"report\":", stdout);
        json_text(stdout, file);
        (void)fputs("}\n", stdout);
    } else if (!out) {
        (void)printf("report     %s: read it before you give it away\n", file);
    }
    return TOOL_OK;
}
