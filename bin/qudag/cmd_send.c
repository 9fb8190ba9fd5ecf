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

#define NAME_MAX_LEN 200  /* bytes of the name of a file */
#define MESSAGE_MAX 32768 /* bytes; the daemon and the recipient take no more */

struct sending {
    char state[16], shown_path[CELL_LEN], shown_over[CELL_LEN];
    struct bar bar;
    unsigned tries;   /* since the last progress */
    char reason[160]; /* of the last attempt that failed */
    bool hinted;      /* the user was told what would help */
};

/* |what|: the field that says how many bytes are done. */
static void show_bar(struct tool *t, struct sending *s, const struct rec_view *v, const char *what)
{
    bar_show(t, &s->bar, (uint64_t)rec_get_int(v, what, 0), (uint64_t)rec_get_int(v, "size", 0));
}

static void show_path(struct sending *s, const struct rec_view *v)
{
    static const struct col path = {"path", "", COL_PATH};
    char text[CELL_LEN];
    cell_text(text, &path, v);
    if (strcmp(text, "-") != 0 && strcmp(text, s->shown_path) != 0) {
        bar_end(&s->bar);
        const char *drawn = rec_get_str(v, "drawn");
        (void)printf("circuit    us > %s\n", text);
        if (drawn != NULL) {
            (void)printf("drawn      %s\n", drawn);
        }
        memcpy(s->shown_path, text, sizeof(text));
    }
}

/* Over which link a peer gets it, each time that is another one. */
static void show_over(struct sending *s, const struct rec_view *v)
{
    static const struct col relay = {"relay", "", COL_PEER};
    const char *over = rec_get_str(v, "over");
    char text[CELL_LEN], who[CELL_LEN];
    if (over == NULL) {
        return;
    }
    cell_text(who, &relay, v);
    bool direct = strcmp(over, "direct") == 0;
    (void)snprintf(text, sizeof(text), "%s%.100s", direct ? "direct" : "over relay ",
                   direct ? "" : who);
    if (strcmp(text, s->shown_over) != 0) {
        bar_end(&s->bar);
        (void)printf("path       %s%s\n", s->shown_over[0] == 0 ? "" : "now ", text);
        memcpy(s->shown_over, text, sizeof(text));
    }
}

/* What would help, once. */
static void show_hint(struct sending *s, const struct rec_view *v)
{
    const char *hint = rec_get_str(v, "last_hint");
    if (hint == NULL || s->hinted) {
        return;
    }
    s->hinted = true;
    bar_end(&s->bar);
    (void)printf("           %s; until then it is tried again\n", hint);
}

/* One line for a run of attempts that failed with one reason: on a terminal it is written over, elsewhere
 * only the first is shown. */
static void show_retry(const struct tool *t, struct sending *s, const struct rec_view *v)
{
    const char *error = rec_get_str(v, "last_error"), *reason = rec_get_str(v, "last_reason");
    char left[16], text[120];
    if (strcmp(s->state, "retrying") == 0) {
        return;
    }
    int64_t left_ns = rec_get_int(v, "left_ns", -1);
    text_ns(left, left_ns < 0 ? 0 : (uint64_t)left_ns);
    reason = reason != NULL ? reason : error != NULL ? error : "no answer";
    (void)snprintf(text, sizeof(text), "retrying   %s%s%s%s", reason, left_ns < 0 ? "" : "; ",
                   left_ns < 0 ? "" : left, left_ns < 0 ? "" : " left");
    s->tries = strncmp(s->reason, reason, sizeof(s->reason) - 1) == 0 ? s->tries + 1 : 1;
    (void)snprintf(s->reason, sizeof(s->reason), "%s", reason);
    if (t->tty) {
        if (s->tries == 1) {
            bar_end(&s->bar);
        }
        (void)printf("%s%s\033[K", s->bar.line_open ? "\r" : "", text);
        s->bar.line_open = true;
    } else if (s->tries == 1) {
        (void)printf("%s\n", text);
    }
    show_hint(s, v);
}

static void on_progress(struct tool *t, const struct rec_view *v, void *user)
{
    struct sending *s = user;
    const char *state = rec_get_str(v, "state");
    if (state == NULL) {
        return;
    }
    if (t->json) {
        json_line(t, v->type == REC_ROW ? "delivered" : "progress", v);
        return;
    }
    if (v->type == REC_ROW) {
        char size[16], took[16];
        show_over(s, v);
        bool file = strcmp(rec_get_str(v, "kind"), "file") == 0;
        if (file) {
            show_bar(t, s, v, "acked");
        }
        bar_end(&s->bar);
        text_bytes(size, (uint64_t)rec_get_int(v, "size", 0));
        text_ns(took, (uint64_t)rec_get_int(v, "elapsed_ns", 0));
        (void)printf("delivered  %s in %s; the recipient computed the same hash\nblake3     %s\n",
                     size, took, rec_get_str(v, "hash"));
        return;
    }
    if (strcmp(state, "retrying") == 0) {
        show_retry(t, s, v);
    } else if (strcmp(state, s->state) != 0 && strcmp(state, "sending") != 0 &&
               (s->tries == 0 || strcmp(state, "confirming") == 0)) {
        bar_end(&s->bar);
        (void)printf("%s\n", state);
    }
    if (strcmp(state, s->state) != 0) {
        bar_restart(&s->bar);
    }
    s->tries = strcmp(state, "sending") == 0 ? 0 : s->tries;
    (void)snprintf(s->state, sizeof(s->state), "%s", state);
    show_path(s, v);
    show_over(s, v);
    if (strcmp(state, "hashing") == 0 && rec_get_int(v, "hashed", 0) > 0) { /* else it is quick */
        show_bar(t, s, v, "hashed");
    }
    if (strcmp(state, "sending") == 0 && strcmp(rec_get_str(v, "kind"), "file") == 0) {
        show_bar(t, s, v, "acked");
    }
    (void)fflush(stdout);
}

/* "blog.dark": the daemon knows its address, or that there is none. */
static bool is_petname(const char *text)
{
    static const char tail[] = ".dark";
    char name[QUDAG_PETNAME_MAX + 1];
    size_t len = strlen(text), behind = sizeof(tail) - 1;
    if (len <= behind || len - behind > QUDAG_PETNAME_MAX ||
        strcasecmp(text + len - behind, tail) != 0) {
        return false;
    }
    (void)snprintf(name, sizeof(name), "%.*s", (int)(len - behind), text);
    return qudag_petname_valid(name);
}

int check_address(const struct tool *t, const char *addr)
{
    qudag_err err = is_petname(addr) ? QUDAG_OK : qudag_dark_check(addr);
    if (err == QUDAG_ECHECKSUM) {
        return tool_error(t, TOOL_USAGE, qudag_err_name(err),
                          "the address has a typing error: its checksum does not match",
                          "check the address: at least one character is wrong");
    }
    if (err != QUDAG_OK) {
        return tool_error(t, TOOL_USAGE, qudag_err_name(err), "that is not a dark address",
                          "it has two labels and ends in .dark; qudag dark list shows own ones");
    }
    return TOOL_OK;
}

/* As check_address, where |to| may be a peer id, too; *peer: it is one. */
static int check_recipient(const struct tool *t, const char *to, bool *peer)
{
    qudag_peer_id id;
    *peer = qudag_peer_id_parse(&id, to) == QUDAG_OK;
    qudag_err err = *peer || is_petname(to) ? QUDAG_OK : qudag_dark_check(to);
    if (err == QUDAG_OK || err == QUDAG_ECHECKSUM) {
        return *peer ? TOOL_OK : check_address(t, to);
    }
    if (to[0] == '/') {
        return tool_error(t, TOOL_USAGE, qudag_err_name(err),
                          "that is a multiaddr: send takes the peer id alone",
                          "the peer id is what is behind the last /p2p/; qudag connect MULTIADDR "
                          "links it before, where nobody finds it by its id");
    }
    return tool_error(t, TOOL_USAGE, qudag_err_name(err),
                      strncmp(to, "12D3Koo", 7) == 0
                          ? "that is not a whole peer id: one that begins so has 52 characters"
                          : "that is neither a dark address nor a peer id",
                      "a dark address has two labels and ends in .dark; a peer id is the line "
                      "\"peer\" of the other node's qudag status (12D3Koo..., 52 characters)");
}

/* Why what is open at |fd| cannot be sent; NULL: it can. */
static const char *file_fault(int fd, const struct stat *st)
{
    char byte;
    if (S_ISDIR(st->st_mode)) {
        return "is a folder; pack it first, for example with tar, or serve it: qudag share";
    }
    if (!S_ISREG(st->st_mode)) {
        return "is not a plain file (a FIFO, a socket or a device); write its content into a file "
               "first";
    }
    if (st->st_size == 0 && pread(fd, &byte, 1, 0) > 0) {
        return "has content but no size, as files of /proc and /sys; copy it first, and send the "
               "copy";
    }
    return NULL;
}

static int open_file(const struct tool *t, const char *file, int *fd)
{
    struct stat st;
    char message[600];
    *fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO would wait for its writer */
    int err = *fd < 0 ? errno : fstat(*fd, &st) != 0 ? errno : 0;
    const char *fault = err != 0 ? strerror(err) : file_fault(*fd, &st);
    if (fault == NULL) {
        return TOOL_OK;
    }
    (void)snprintf(message, sizeof(message), "%.400s%s %s", file, err != 0 ? ":" : "", fault);
    return tool_error(t, TOOL_USAGE, "FILE", message,
                      err != 0 ? "check its name and who may read it" : "");
}

/* The message of -m -: standard input to its end.  *len: its bytes. */
static int read_message(const struct tool *t, char **text, size_t *len)
{
    static char room[MESSAGE_MAX + 1];
    ssize_t n = 1;
    *len = 0;
    while (*len <= MESSAGE_MAX && n != 0) {
        n = read(STDIN_FILENO, room + *len, sizeof(room) - *len);
        if (n < 0 && errno != EINTR) {
            return tool_error(t, TOOL_FAILED, "STDIN", strerror(errno),
                              "standard input cannot be read");
        }
        *len += n > 0 ? (size_t)n : 0;
    }
    *text = room;
    return TOOL_OK;
}

/* The content: -m TEXT, -m -, or a file.  Fills the request, or fd. */
static int take_content(struct tool *t, const char *message, const char *file, const char *name,
                        int *fd)
{
    char *text = NULL, fault[100];
    size_t len = message == NULL ? 0 : strlen(message);
    if (file != NULL && strcmp(file, "-") == 0) {
        return tool_error(
            t, TOOL_USAGE, "FILE",
            "a file cannot come from standard input: its size must be known before",
            "write it into a file first; a short message can be piped: send ADDRESS -m -");
    }
    if (file != NULL) {
        rec_str(t->rec, "name", name);
        return open_file(t, file, fd);
    }
    if (strcmp(message, "-") == 0) {
        int code = read_message(t, &text, &len);
        if (code != TOOL_OK) {
            return code;
        }
        message = text;
    }
    if (len > MESSAGE_MAX) {
        (void)snprintf(fault, sizeof(fault), "a message has at most %d bytes", MESSAGE_MAX);
        return tool_error(t, TOOL_USAGE, "TOO_LONG", fault, "write it into a file, and send that");
    }
    rec_bytes(t->rec, "message", message, len);
    return TOOL_OK;
}

/* The name under which a file is sent: |wanted|, or its own; |anonymous|: none but what it ends in. */
static const char *shown_name(char room[NAME_MAX_LEN + 1], const char *file, const char *wanted,
                              bool anonymous)
{
    const char *slash = file == NULL ? NULL : strrchr(file, '/');
    const char *own = slash == NULL ? file : slash + 1;
    const char *dot = own == NULL ? NULL : strrchr(own, '.');
    if (!anonymous || own == NULL) {
        return wanted != NULL ? wanted : own;
    }
    size_t len = dot == NULL || dot == own ? 0 : strlen(dot + 1);
    bool plain = len >= 1 && len <= 5;
    for (size_t ix = 1; plain && ix <= len; ix++) {
        plain = (dot[ix] >= 'a' && dot[ix] <= 'z') || (dot[ix] >= 'A' && dot[ix] <= 'Z') ||
                (dot[ix] >= '0' && dot[ix] <= '9');
    }
    (void)snprintf(room, NAME_MAX_LEN + 1, "file%s", plain ? dot : "");
    return room;
}

static int end_of_send(const struct tool *t, struct sending *s, const struct outcome *out)
{
    bar_end(&s->bar);
    return out->code == TOOL_OK
               ? TOOL_OK
               : tool_error(t, (enum tool_exit)out->code, out->error, out->message, out->hint);
}

struct send_args {
    const char *addr, *message, *file, *isolate, *name;
    bool again, anonymous;
};

/* Whether they belong together; false: the user has been told what does not. */
static bool send_args_fit(const struct tool *t, const struct send_args *s)
{
    const char *fault = NULL;
    if (s->addr == NULL || (s->message == NULL) == (s->file == NULL)) {
        fault = "send takes an address and one file, or -m TEXT";
    } else if ((s->anonymous || s->name != NULL) &&
               (s->file == NULL || (s->anonymous && s->name != NULL))) {
        fault = "--name NAME or --anonymous-name: one of them, and for a file";
    } else if (s->name != NULL && (s->name[0] == 0 || strlen(s->name) > NAME_MAX_LEN ||
                                   strchr(s->name, '/') != NULL)) {
        fault = "--name: 1 to 200 bytes without a slash";
    }
    if (fault != NULL) {
        (void)tool_usage(t, fault);
    }
    return fault == NULL;
}

static bool send_args(const struct tool *t, struct send_args *s, int argc, char **argv)
{
    enum { MESSAGE, AGAIN, ISOLATE, NAME, ANONYMOUS };
    static const struct opt opts[] = {
        [MESSAGE] = {"-m", "TEXT"},
        [AGAIN] = {"--again", NULL},
        [ISOLATE] = {"--isolate", "KEY"},
        [NAME] = {"--name", "NAME"},
        [ANONYMOUS] = {"--anonymous-name", NULL},
    };
    struct args a = {.t = t,
                     .what = "send",
                     .argc = argc,
                     .argv = argv,
                     .opts = opts,
                     .n = sizeof(opts) / sizeof(opts[0])};
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        switch (got) {
        case MESSAGE:
            s->message = a.value;
            break;
        case AGAIN:
            s->again = true;
            break;
        case ISOLATE:
            s->isolate = a.value;
            break;
        case NAME:
            s->name = a.value;
            break;
        case ANONYMOUS:
            s->anonymous = true;
            break;
        case ARGS_WORD:
            if (s->file != NULL) {
                (void)tool_usage(t, "send takes an address and one file, or -m TEXT");
                return false;
            }
            *(s->addr == NULL ? &s->addr : &s->file) = a.value;
            break;
        default:
            return false;
        }
    }
    return send_args_fit(t, s);
}

/* The user sees under which name a file arrives, before it is sent. */
static void show_name(const char *name)
{
    char tame[4 * NAME_MAX_LEN];
    (void)snprintf(tame, sizeof(tame), "%s", name);
    text_tame(tame);
    (void)printf("name       %s: what the recipient sees; --name and --anonymous-name change it\n",
                 tame);
}

int run_send(struct tool *t, int argc, char **argv)
{
    struct send_args with = {0};
    char room[NAME_MAX_LEN + 1];
    if (!send_args(t, &with, argc, argv)) {
        return TOOL_USAGE;
    }
    const char *name = shown_name(room, with.file, with.name, with.anonymous);
    struct sending s = {.bar.tenth = -1};
    struct outcome out;
    bool to_peer;
    int fd = -1, code = check_recipient(t, with.addr, &to_peer);
    if (code == TOOL_OK) {
        rec_str(ask_begin(t, "send"), "address", with.addr);
        rec_bool(t->rec, "again", with.again);
        if (with.isolate != NULL) {
            rec_str(t->rec, "isolate", with.isolate);
        }
        code = take_content(t, with.message, with.file, name, &fd);
    }
    if (code == TOOL_OK && with.file != NULL && !t->json) {
        show_name(name);
    }
    if (code == TOOL_OK && to_peer && !t->json) {
        (void)printf(
            "to         a peer: not anonymous, it learns who sends; so does a relay on the "
            "way\n");
    }
    if (code == TOOL_OK) {
        t->shows_queued = true;
        ask_dir(t, t->dir, fd, on_progress, &s, &out);
        code = end_of_send(t, &s, &out);
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
    const char *name = rec_get_str(v, "name"), *path = rec_get_str(v, "file");
    (void)t;
    if (name != NULL && path != NULL && strcmp(name, s->what) == 0) {
        s->found = true;
        (void)snprintf(s->path, sizeof(s->path), "%s", path);
    }
}

static bool to_stdout(const struct saving *s)
{
    return strcmp(s->where, "-") == 0;
}

static int copy_out(const struct saving *s)
{
    static uint8_t block[1 << 16];
    int from = open(s->path, O_RDONLY | O_CLOEXEC), err = from < 0 ? errno : 0;
    int to = err != 0       ? -1
             : to_stdout(s) ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                            : open(s->where, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
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
        return tool_error(t, TOOL_FAILED, "SAVE", message,
                          err == EEXIST ? "choose another name: no file is overwritten" : "");
    }
    if (to_stdout(&s)) {
        return TOOL_OK;
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
        {"time", "TIME", COL_DAY},  {"kind", "KIND", COL_TEXT}, {"from", "FROM", COL_TEXT},
        {"size", "SIZE", COL_SIZE}, {"name", "NAME", COL_TEXT}, {"hash", "BLAKE3", COL_TEXT},
        {"to", "TO", COL_TEXT},
    };
    static const struct opt opts[] = {{"--save", NULL}}; /* its two values are words */
    struct args a = {.t = t, .what = "inbox", .argc = argc, .argv = argv, .opts = opts, .n = 1};
    const char *word[2];
    int got = args_next(&a);
    bool saves = got == 0;
    int n = got == ARGS_BAD ? -1 : saves ? args_words(&a, word, 2) : 0;
    if (n < 0 || got == ARGS_WORD || n != (saves ? 2 : 0)) {
        return n < 0 ? TOOL_USAGE : tool_usage(t, "inbox takes no argument but --save NAME FILE");
    }
    if (saves) {
        return save_entry(t, word[0], word[1]);
    }
    (void)ask_begin(t, "inbox");
    return ask_list(t, "inbox", cols, sizeof(cols) / sizeof(cols[0]), "the inbox is empty");
}
