/* cmd_send.c - send and inbox. */
#include "tool.h"

#include <qudag/qudag.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define BAR 28

struct sending {
    char state[16], shown_path[CELL_LEN];
    int64_t tenth; /* last one told, without a terminal */
    int64_t from_acked;
    uint64_t from_ns;
    bool line_open; /* a bar stands on the terminal */
};

static void end_line(struct sending *s)
{
    if (s->line_open) {
        (void)fputc('\n', stdout);
        s->line_open = false;
    }
}

static void show_rate(char out[64], struct sending *s, int64_t acked, int64_t size)
{
    uint64_t now = mono_ns();
    if (s->from_ns == 0) {
        s->from_ns = now;
        s->from_acked = acked;
    }
    uint64_t ms = (now - s->from_ns) / 1000000;
    uint64_t rate = ms == 0 ? 0 : (uint64_t)(acked - s->from_acked) * 1000 / ms;
    char text[16];
    text_bytes(text, rate);
    if (rate == 0 || acked < s->from_acked) {
        out[0] = 0;
    } else {
        (void)snprintf(out, 64, "%s/s, %u s left", text,
                       (unsigned)((uint64_t)(size - acked) / rate));
    }
}

static void show_bar(struct tool *t, struct sending *s, const struct rec_view *v)
{
    int64_t acked = rec_get_int(v, "acked", 0), size = rec_get_int(v, "size", 0);
    char have[16], all[16], rate[64], bar[BAR + 1];
    int64_t percent = size == 0 ? 100 : acked * 100 / size;
    if (!t->tty && percent / 10 == s->tenth) {
        return;
    }
    s->tenth = percent / 10;
    text_bytes(have, (uint64_t)acked);
    text_bytes(all, (uint64_t)size);
    show_rate(rate, s, acked, size);
    for (int ix = 0; ix < BAR; ix++) {
        bar[ix] = ix * 100 < percent * BAR ? '#' : '.';
    }
    bar[BAR] = 0;
    (void)printf("%s[%s] %3d %%  %s of %s  %s%s", t->tty ? "\r" : "", bar, (int)percent, have, all,
                 rate, t->tty ? "\033[K" : "\n");
    s->line_open = t->tty;
    (void)fflush(stdout);
}

static void show_path(struct sending *s, const struct rec_view *v)
{
    static const struct col path = {"path", "", COL_PATH};
    char text[CELL_LEN];
    cell_text(text, &path, v);
    if (strcmp(text, "-") != 0 && strcmp(text, s->shown_path) != 0) {
        end_line(s);
        (void)printf("circuit    us > %s\n", text);
        memcpy(s->shown_path, text, sizeof(text));
    }
}

static void on_progress(struct tool *t, const struct rec_view *v, void *user)
{
    struct sending *s = user;
    const char *state = rec_get_str(v, "state"), *error = rec_get_str(v, "last_error");
    if (state == NULL) {
        return;
    }
    if (t->json) {
        json_line(t, v->type == REC_ROW ? "delivered" : "progress", v);
        return;
    }
    if (v->type == REC_ROW) {
        char size[16], took[16];
        bool file = strcmp(rec_get_str(v, "kind"), "file") == 0;
        if (file) {
            show_bar(t, s, v);
        }
        end_line(s);
        text_bytes(size, (uint64_t)rec_get_int(v, "size", 0));
        text_ns(took, (uint64_t)rec_get_int(v, "elapsed_ns", 0));
        (void)printf("delivered  %s in %s; the far end computed the same hash\nblake3     %s\n",
                     size, took, rec_get_str(v, "hash"));
        return;
    }
    if (strcmp(state, s->state) != 0 && strcmp(state, "sending") != 0) {
        end_line(s);
        (void)printf("%-10s %s%s\n", state,
                     strcmp(state, "retrying") == 0 && error != NULL ? "after " : "",
                     strcmp(state, "retrying") == 0 && error != NULL ? error : "");
        s->from_ns = 0;
    }
    (void)snprintf(s->state, sizeof(s->state), "%s", state);
    show_path(s, v);
    if (strcmp(state, "sending") == 0 && strcmp(rec_get_str(v, "kind"), "file") == 0) {
        show_bar(t, s, v);
    }
    (void)fflush(stdout);
}

static int check_address(const struct tool *t, const char *addr)
{
    qudag_err err = qudag_dark_check(addr);
    if (err == QUDAG_ECHECKSUM) {
        return tool_error(t, TOOL_USAGE, qudag_err_name(err),
                          "the address has a typing error: its checksum does not match",
                          "compare it letter by letter with where it came from");
    }
    if (err != QUDAG_OK) {
        return tool_error(t, TOOL_USAGE, qudag_err_name(err), "that is not a dark address",
                          "it has two labels and ends in .dark; qudag dark list shows own ones");
    }
    return TOOL_OK;
}

static int open_file(const struct tool *t, const char *file, int *fd)
{
    struct stat st;
    char message[600];
    *fd = open(file, O_RDONLY | O_CLOEXEC);
    int err = *fd < 0 ? errno : fstat(*fd, &st) != 0 ? errno : 0;
    if (err == 0 && S_ISREG(st.st_mode)) {
        return TOOL_OK;
    }
    (void)snprintf(message, sizeof(message), "%.400s: %s", file,
                   err != 0 ? strerror(err) : "only plain files can be sent");
    return tool_error(t, TOOL_USAGE, "FILE", message,
                      err == 0 ? "pack a folder first, for example with tar" : "check its name");
}

int run_send(struct tool *t, int argc, char **argv)
{
    const char *addr = NULL, *message = NULL, *file = NULL;
    bool again = false;
    for (int ix = 0; ix < argc; ix++) {
        if (strcmp(argv[ix], "-m") == 0 && ix + 1 < argc) {
            message = argv[++ix];
        } else if (strcmp(argv[ix], "--again") == 0) {
            again = true;
        } else if (addr == NULL) {
            addr = argv[ix];
        } else if (file == NULL) {
            file = argv[ix];
        } else {
            return tool_usage(t, "send takes an address and one file, or -m TEXT");
        }
    }
    if (addr == NULL || (message == NULL) == (file == NULL)) {
        return tool_usage(t, "send takes an address and one file, or -m TEXT");
    }
    struct sending s = {.tenth = -1};
    int fd = -1, code = check_address(t, addr);
    if (code == TOOL_OK && file != NULL) {
        code = open_file(t, file, &fd);
    }
    if (code == TOOL_OK) {
        struct rec *r = ask_begin(t, "send");
        rec_str(r, "address", addr);
        rec_bool(r, "again", again);
        if (message != NULL) {
            rec_bytes(r, "message", message, strlen(message));
        } else {
            const char *slash = strrchr(file, '/');
            rec_str(r, "name", slash == NULL ? file : slash + 1);
        }
        code = ask(t, fd, on_progress, &s);
    }
    if (fd >= 0) {
        close(fd);
    }
    return code;
}

/* ------------------------------------------------------------------ inbox */

struct saving {
    const char *what, *where;
    bool found;
    int err;
    char path[PATH_LEN];
};

static void on_entry(struct tool *t, const struct rec_view *v, void *user)
{
    struct saving *s = user;
    const char *name = rec_get_str(v, "name"), *id = rec_get_str(v, "id"),
               *path = rec_get_str(v, "file");
    (void)t;
    if (name != NULL && id != NULL && path != NULL &&
        (strcmp(name, s->what) == 0 || strcmp(id, s->what) == 0)) {
        s->found = true;
        (void)snprintf(s->path, sizeof(s->path), "%s", path);
    }
}

static int copy_out(const struct saving *s)
{
    static uint8_t block[1 << 16];
    int from = open(s->path, O_RDONLY | O_CLOEXEC), err = from < 0 ? errno : 0;
    int to =
        err != 0 ? -1 : open(s->where, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* no loss */
    err = err == 0 && to < 0 ? errno : err;
    ssize_t n;
    while (err == 0 && (n = read(from, block, sizeof(block))) != 0) {
        err = n < 0 ? errno : fd_write_all(to, block, (size_t)n);
    }
    if (from >= 0) {
        close(from);
    }
    if (to >= 0 && close(to) != 0 && err == 0) {
        err = errno;
    }
    return err;
}

static int save_entry(struct tool *t, const char *what, const char *where)
{
    struct saving s = {.what = what, .where = where};
    char message[PATH_LEN + 64];
    (void)ask_begin(t, "inbox");
    int code = ask(t, -1, on_entry, &s);
    if (code != TOOL_OK) {
        return code;
    }
    if (!s.found) {
        return tool_error(t, TOOL_NOT_FOUND, "NOT_FOUND", "the inbox holds nothing of that name",
                          "qudag inbox lists what it holds");
    }
    int err = copy_out(&s);
    if (err != 0) {
        (void)snprintf(message, sizeof(message), "%.500s: %s", where, strerror(err));
        return tool_error(t, TOOL_FAILED, "SAVE", message, "choose another name");
    }
    if (t->json) {
        (void)fputs("{\"saved\":", stdout);
        json_text(stdout, where);
        (void)fputs("}\n", stdout);
    } else {
        (void)printf("saved      %s\n", where);
    }
    return TOOL_OK;
}

int run_inbox(struct tool *t, int argc, char **argv)
{
    static const struct col cols[] = {
        {"time", "TIME", COL_TEXT}, {"kind", "KIND", COL_TEXT}, {"from", "FROM", COL_TEXT},
        {"size", "SIZE", COL_SIZE}, {"name", "NAME", COL_TEXT}, {"hash", "BLAKE3", COL_TEXT},
        {"to", "TO", COL_TEXT},
    };
    if (argc == 3 && strcmp(argv[0], "--save") == 0) {
        return save_entry(t, argv[1], argv[2]);
    }
    if (argc > 0) {
        return tool_usage(t, "inbox takes no argument but --save NAME FILE");
    }
    (void)ask_begin(t, "inbox");
    return ask_list(t, "inbox", cols, sizeof(cols) / sizeof(cols[0]), "the inbox is empty");
}
