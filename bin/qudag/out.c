/* out.c - what the user sees: JSON, tables, errors. */
#include "tool.h"

#include <qudag/text.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Fields that may come several times are arrays, also when there is one value. */
static const char *const lists[] = {"path", "addresses", "announced",    "bootstrap", "peers",
                                    "disk", "ports",     "protected_by", "tags",      "evidence"};

/* Whether bytes are text that a terminal may show. */
static bool printable(const struct rec_field *f)
{
    uint32_t cp;
    for (size_t ix = 0; ix < f->len;) {
        ix += qudag_utf8_next(f->bytes + ix, f->len - ix, &cp);
        if (cp != '\n' && cp != '\t' && !qudag_utf8_printable(cp)) {
            return false;
        }
    }
    return true;
}

static void json_bytes(FILE *to, const struct rec_field *f)
{
    if (printable(f)) {
        json_text_len(to, (const char *)f->bytes, f->len);
        (void)fprintf(to, ",\"%s_hex\":", f->name);
    } else {
        (void)fprintf(to, "null,\"%s_hex\":", f->name);
    }
    (void)fputc('"', to);
    for (size_t ix = 0; ix < f->len; ix++) {
        (void)fprintf(to, "%02x", f->bytes[ix]);
    }
    (void)fputc('"', to);
}

static void json_value(FILE *to, const struct rec_field *f)
{
    switch (f->kind) {
    case REC_STR:
        json_text(to, f->text);
        break;
    case REC_INT:
        (void)fprintf(to, "%" PRId64, f->num);
        break;
    case REC_BOOL:
        (void)fputs(f->num != 0 ? "true" : "false", to);
        break;
    case REC_BYTES:
        json_bytes(to, f);
        break;
    }
}

static bool is_list(const char *name)
{
    for (size_t ix = 0; ix < sizeof(lists) / sizeof(lists[0]); ix++) {
        if (strcmp(lists[ix], name) == 0) {
            return true;
        }
    }
    return false;
}

void json_fields(FILE *to, const struct rec_view *v)
{
    struct rec_field f;
    bool first = true;
    for (size_t it = 0; rec_next(v, &it, &f);) {
        if (is_list(f.name)) {
            continue;
        }
        (void)fprintf(to, "%s\"%s\":", first ? "" : ",", f.name);
        json_value(to, &f);
        first = false;
    }
    for (size_t ix = 0; ix < sizeof(lists) / sizeof(lists[0]); ix++) {
        size_t n = 0;
        for (size_t it = 0; rec_next(v, &it, &f);) {
            if (strcmp(f.name, lists[ix]) != 0) {
                continue;
            }
            if (n++ == 0) {
                (void)fprintf(to, "%s\"%s\":[", first ? "" : ",", f.name);
                first = false;
            } else {
                (void)fputc(',', to);
            }
            json_value(to, &f);
        }
        if (n > 0) {
            (void)fputc(']', to);
        }
    }
}

void json_line(const struct tool *t, const char *kind, const struct rec_view *v)
{
    (void)t;
    (void)fprintf(stdout, "{\"%s\":{", kind);
    json_fields(stdout, v);
    (void)fputs("}}\n", stdout);
    (void)fflush(stdout);
}

int tool_error(const struct tool *t, enum tool_exit code, const char *error, const char *message,
               const char *hint)
{
    if (t->json) {
        (void)fprintf(stdout, "{\"error\":{\"code\":%d,\"name\":", (int)code);
        json_text(stdout, error);
        (void)fputs(",\"message\":", stdout);
        json_text(stdout, message);
        (void)fputs(",\"hint\":", stdout);
        json_text(stdout, hint);
        (void)fputs("}}\n", stdout);
        return (int)code;
    }
    bool red = t->colour;
    (void)fflush(stdout);
    (void)fprintf(stderr, "%squdag:%s %s", red ? "\033[31m" : "", red ? "\033[0m" : "", message);
    if (error[0] != 0) {
        (void)fprintf(stderr, " [%s]", error);
    }
    (void)fputc('\n', stderr);
    if (hint[0] != 0) {
        (void)fprintf(stderr, "       %s\n", hint);
    }
    return (int)code;
}

/* ------------------------------------------------------------------ cells and tables */

void short_peer(char out[16], const char *peer)
{
    size_t len = strlen(peer);
    (void)snprintf(out, 16, "%s%s", len > 8 ? ".." : "", len > 8 ? peer + len - 8 : peer);
}

/* "192.0.2.7:4433", "[2001:db8::7]:4433"; what is no multiaddr with a host and a port as it is. */
static void short_addr(char out[CELL_LEN], const char *addr)
{
    bool six = strncmp(addr, "/ip6/", 5) == 0;
    const char *host = addr + 5, *end = host, *port;
    size_t len = 0;
    (void)snprintf(out, CELL_LEN, "%s", addr);
    if (!six && strncmp(addr, "/ip4/", 5) != 0) {
        return;
    }
    end = host + strcspn(host, "/");
    port = strncmp(end, "/udp/", 5) == 0 || strncmp(end, "/tcp/", 5) == 0 ? end + 5 : "";
    len = strspn(port, "0123456789");
    if (len > 0 && end - host < 64 && len < 6) {
        (void)snprintf(out, CELL_LEN, "%s%.*s%s:%.*s", six ? "[" : "", (int)(end - host), host,
                       six ? "]" : "", (int)len, port);
    }
}

static void path_cell(char out[CELL_LEN], const char *field, const struct rec_view *v)
{
    struct rec_field f;
    size_t at = 0;
    out[0] = 0;
    for (size_t it = 0; rec_next(v, &it, &f);) {
        if (f.kind == REC_STR && strcmp(f.name, field) == 0 && at < CELL_LEN - 24) {
            char one[16];
            short_peer(one, f.text);
            at += (size_t)snprintf(out + at, CELL_LEN - at, "%s%s", at == 0 ? "" : " > ", one);
        }
    }
}

/* Each value of the field, as far as there is room. */
static void words_cell(char out[CELL_LEN], const char *field, const struct rec_view *v)
{
    struct rec_field f;
    size_t at = 0;
    out[0] = 0;
    for (size_t it = 0; rec_next(v, &it, &f);) {
        if (f.kind == REC_STR && strcmp(f.name, field) == 0 && at < CELL_LEN) {
            at += (size_t)snprintf(out + at, CELL_LEN - at, "%s%s", at == 0 ? "" : ", ", f.text);
        }
    }
}

static void text_cell(char out[CELL_LEN], const struct col *c, const struct rec_field *f)
{
    char one[16];
    if (c->kind == COL_SHORT) {
        short_peer(one, f->text);
        (void)snprintf(out, CELL_LEN, "%s", one);
    } else if (c->kind == COL_HOST) {
        short_addr(out, f->text);
    } else {
        (void)snprintf(out, CELL_LEN, "%s", f->text);
    }
}

void cell_text(char out[CELL_LEN], const struct col *c, const struct rec_view *v)
{
    struct rec_field f;
    bool found = false;
    char small[32];
    for (size_t it = 0; !found && rec_next(v, &it, &f);) {
        found = strcmp(f.name, c->field) == 0;
    }
    (void)snprintf(out, CELL_LEN, "-");
    if (!found) {
        return;
    }
    if (c->kind == COL_PATH) {
        path_cell(out, c->field, v);
    } else if (c->kind == COL_WORDS) {
        words_cell(out, c->field, v);
    } else if (f.kind == REC_STR && c->kind == COL_DAY) {
        (void)snprintf(out, CELL_LEN, "%.16s", f.text);
    } else if (f.kind == REC_STR) {
        text_cell(out, c, &f);
    } else if (c->kind == COL_NS) {
        text_ns(small, (uint64_t)f.num);
        (void)snprintf(out, CELL_LEN, "%s", small);
    } else if (c->kind == COL_SIZE) {
        text_bytes(small, (uint64_t)f.num);
        (void)snprintf(out, CELL_LEN, "%s", small);
    } else if (c->kind == COL_DAY) {
        text_time(small, f.num * 1000);
        (void)snprintf(out, CELL_LEN, "%.16s", f.num > 0 ? small : "-"); /* 0: at no time */
    } else if (f.kind == REC_BOOL) {
        (void)snprintf(out, CELL_LEN, "%s", f.num != 0 ? "yes" : "no");
    } else {
        (void)snprintf(out, CELL_LEN, "%" PRId64, f.num);
    }
}

static char *cell(const struct table *tb, size_t row, size_t col)
{
    return tb->cells + (row * tb->n_cols + col) * CELL_LEN;
}

void table_add(struct table *tb, const struct rec_view *v)
{
    if (tb->n == tb->cap) {
        size_t cap = tb->cap == 0 ? 16 : tb->cap * 2;
        char *more = realloc(tb->cells, cap * tb->n_cols * CELL_LEN);
        if (more == NULL) {
            return;
        }
        tb->cells = more;
        tb->cap = cap;
    }
    for (size_t ix = 0; ix < tb->n_cols; ix++) {
        struct col whole = tb->cols[ix]; /* ids are cut when all are known */
        whole.kind = whole.kind == COL_SHORT ? COL_PEER : whole.kind;
        cell_text(cell(tb, tb->n, ix), &whole, v);
        text_tame(cell(tb, tb->n, ix));
    }
    tb->n++;
}

/* How many characters at the end tell |a| and |b| apart, both of which are ids; at least |n|. */
static size_t apart(const char *a, const char *b, size_t n)
{
    size_t la = strlen(a), lb = strlen(b), same = 0;
    while (same < la && same < lb && a[la - 1 - same] == b[lb - 1 - same]) {
        same++;
    }
    return same < n || (same == la && same == lb) ? n : same + 1;
}

/* Cuts the ids of all such columns to an end of one length, by which no two of them are the same. */
static void cut_ids(struct table *tb)
{
    size_t all = tb->n * tb->n_cols, n = 8;
    for (size_t i = 0; i < all; i++) {
        for (size_t k = 0; k < i && tb->cols[i % tb->n_cols].kind == COL_SHORT; k++) {
            if (tb->cols[k % tb->n_cols].kind == COL_SHORT) {
                n = apart(tb->cells + i * CELL_LEN, tb->cells + k * CELL_LEN, n);
            }
        }
    }
    for (size_t i = 0; i < all; i++) {
        char *text = tb->cells + i * CELL_LEN;
        size_t len = strlen(text);
        if (tb->cols[i % tb->n_cols].kind == COL_SHORT && len > n + 2) {
            memmove(text + 2, text + len - n, n + 1);
            memcpy(text, "..", 2);
        }
    }
}

/* To what width each column but the last is filled up; NULL, without memory: they are not. */
static int *widths(struct table *tb)
{
    int *width = calloc(tb->n_cols, sizeof(*width));
    for (size_t c = 0; width != NULL && c + 1 < tb->n_cols; c++) {
        width[c] = (int)strlen(tb->cols[c].title);
        for (size_t r = 0; r < tb->n; r++) {
            int len = (int)strlen(cell(tb, r, c));
            width[c] = len > width[c] ? len : width[c];
        }
    }
    return width;
}

void table_print(const struct tool *t, struct table *tb, const char *empty)
{
    if (tb->n == 0) {
        (void)printf("%s\n", empty);
        return;
    }
    cut_ids(tb);
    int *width = widths(tb);
    for (size_t c = 0; c < tb->n_cols; c++) {
        (void)printf("%s%-*s%s%s", t->colour ? "\033[1m" : "", width != NULL ? width[c] : 0,
                     tb->cols[c].title, t->colour ? "\033[0m" : "",
                     c + 1 == tb->n_cols ? "\n" : "  ");
    }
    for (size_t r = 0; r < tb->n; r++) {
        for (size_t c = 0; c < tb->n_cols; c++) {
            (void)printf("%-*s%s", width != NULL ? width[c] : 0, cell(tb, r, c),
                         c + 1 == tb->n_cols ? "\n" : "  ");
        }
    }
    free(width);
    free(tb->cells);
    tb->cells = NULL;
}

struct listing {
    struct table table;
    FILE *json; /* rows wait here: an error must not follow half a document */
    size_t n;
};

static void on_row(struct tool *t, const struct rec_view *v, void *user)
{
    struct listing *l = user;
    if (v->type != REC_ROW) {
        return;
    }
    (void)t;
    if (l->json != NULL) {
        (void)fprintf(l->json, "%s{", l->n == 0 ? "" : ",");
        json_fields(l->json, v);
        (void)fputc('}', l->json);
    } else {
        table_add(&l->table, v);
    }
    l->n++;
}

int ask_list(struct tool *t, const char *name, const struct col *cols, size_t n_cols,
             const char *empty)
{
    struct listing l = {.table = {.cols = cols, .n_cols = n_cols}};
    char *text = NULL;
    size_t len = 0;
    l.json = t->json ? open_memstream(&text, &len) : NULL;
    struct outcome out;
    ask_dir(t, t->dir, -1, on_row, &l, &out);
    if (l.json != NULL) {
        (void)fclose(l.json);
    }
    if (out.code != TOOL_OK) {
        free(text);
        free(l.table.cells);
        return tool_error(t, (enum tool_exit)out.code, out.error, out.message, out.hint);
    }
    if (t->json) {
        (void)printf("{\"%s\":[%s]}\n", name, text == NULL ? "" : text);
        free(text);
    } else {
        table_print(t, &l.table, empty);
    }
    return TOOL_OK;
}

/* A value as it is, however long; what is no text as hexadecimal digits. */
static void bytes_print(const char *title, int width, const struct rec_field *f)
{
    bool plain = printable(f);
    (void)printf("%-*s ", width, title);
    if (plain) {
        (void)fwrite(f->bytes, 1, f->len, stdout);
    }
    for (size_t ix = 0; !plain && ix < f->len; ix++) {
        (void)printf("%02x", f->bytes[ix]);
    }
    (void)fputs(plain ? "\n" : "  (hexadecimal: it is no printable UTF-8 text)\n", stdout);
}

/* Room for the titles: all values of an answer begin in one column, that of other answers where it can be. */
static int title_width(const struct col *cols, size_t n_cols)
{
    size_t width = 10;
    for (size_t ix = 0; ix < n_cols; ix++) {
        size_t len = strlen(cols[ix].title);
        width = len > width ? len : width;
    }
    return (int)width;
}

void row_print(const struct tool *t, const struct rec_view *v, const struct col *cols,
               size_t n_cols)
{
    if (t->json) {
        (void)fputc('{', stdout);
        json_fields(stdout, v);
        (void)fputs("}\n", stdout);
        return;
    }
    int width = title_width(cols, n_cols);
    for (size_t ix = 0; ix < n_cols; ix++) {
        struct rec_field f;
        char text[CELL_LEN];
        const struct col *c = &cols[ix];
        if (is_list(c->field) && c->kind != COL_PATH) {
            for (size_t it = 0; rec_next(v, &it, &f);) {
                if (f.kind == REC_STR && strcmp(f.name, c->field) == 0) {
                    (void)printf("%-*s %s\n", width, c->title, f.text);
                }
            }
            continue;
        }
        if (rec_find(v, c->field, REC_BYTES, &f)) {
            bytes_print(c->title, width, &f);
            continue;
        }
        cell_text(text, c, v);
        text_tame(text);
        if (strcmp(text, "-") != 0) { /* what the answer does not have is left out */
            (void)printf("%-*s %s\n", width, c->title, text);
        }
    }
}

struct single {
    const struct col *cols;
    size_t n_cols;
};

static void on_single(struct tool *t, const struct rec_view *v, void *user)
{
    const struct single *s = user;
    if (v->type == REC_ROW) {
        row_print(t, v, s->cols, s->n_cols);
    }
}

int ask_one(struct tool *t, const struct col *cols, size_t n_cols)
{
    struct single s = {cols, n_cols};
    return ask(t, -1, on_single, &s);
}

int ask_done(struct tool *t, const char *done, const char *what)
{
    int code = ask(t, -1, NULL, NULL);
    if (code != TOOL_OK) {
        return code;
    }
    if (t->json) {
        (void)printf("{\"%s\":", done);
        json_text(stdout, what);
        (void)fputs("}\n", stdout);
    } else {
        (void)printf("%-10s %s\n", done, what);
    }
    return TOOL_OK;
}

/* ------------------------------------------------------------------ how far it is */

#define BAR 28

void bar_restart(struct bar *b)
{
    b->from_ns = 0;
    b->tenth = -1;
}

void bar_end(struct bar *b)
{
    if (b->line_open) {
        (void)fputc('\n', stdout);
        b->line_open = false;
    }
}

static void bar_rate(char out[64], struct bar *b, uint64_t have, uint64_t size)
{
    uint64_t now = mono_ns();
    if (b->from_ns == 0) {
        b->from_ns = now;
        b->from_bytes = have;
    }
    out[0] = 0;
    uint64_t ms = (now - b->from_ns) / 1000000;
    if (ms == 0 || have <= b->from_bytes || have > size) {
        return;
    }
    uint64_t rate = (have - b->from_bytes) * 1000 / ms;
    char text[16];
    text_bytes(text, rate);
    if (rate > 0) {
        (void)snprintf(out, 64, "%s/s, %u s left", text, (unsigned)((size - have) / rate));
    }
}

void bar_show(const struct tool *t, struct bar *b, uint64_t have, uint64_t size)
{
    char done[16], all[16], rate[64], bar[BAR + 1];
    int percent = have >= size              ? 100
                  : size > UINT64_MAX / 100 ? (int)(have / (size / 100))
                                            : (int)(have * 100 / size);
    if (!t->tty && percent / 10 == b->tenth) {
        return;
    }
    b->tenth = percent / 10;
    text_bytes(done, have);
    text_bytes(all, size);
    bar_rate(rate, b, have, size);
    for (int ix = 0; ix < BAR; ix++) {
        bar[ix] = ix * 100 < percent * BAR ? '#' : '.';
    }
    bar[BAR] = 0;
    (void)printf("%s[%s] %3d %%  %s of %s  %s%s", t->tty ? "\r" : "", bar, percent, done, all, rate,
                 t->tty ? "\033[K" : "\n");
    b->line_open = t->tty;
    (void)fflush(stdout);
}
