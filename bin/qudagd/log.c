/* log.c - the daemon's log. */
#include "log.h"

#include "common/fileio.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE 2048

static const char *const level_name[] = {"error", "warn", "info", "debug"};

/* A value with anything but plain letters is quoted. */
static size_t add_value(char *line, size_t at, const char *text)
{
    bool plain = *text != 0;
    for (const char *p = text; *p != 0; p++) {
        plain = plain && (unsigned char)*p > ' ' && *p != '"' && *p != '=' && *p != '\\';
    }
    if (!plain && at < LINE) {
        line[at++] = '"';
    }
    for (; *text != 0 && at + 4 < LINE; text++) {
        if (*text == '"' || *text == '\\') {
            line[at++] = '\\';
        }
        line[at++] = (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text;
    }
    if (!plain && at < LINE) {
        line[at++] = '"';
    }
    return at;
}

void log_record(void *user, const qudag_log_record *rec)
{
    const struct logsink *l = user;
    char line[LINE + 2], when[32];
    if (rec->level > l->level) {
        return;
    }
    text_time(when, now_ms());
    int head = snprintf(line, LINE, "%s %-5s %s", when, level_name[rec->level & 3], rec->event);
    size_t at = head < 0 ? 0 : head < LINE ? (size_t)head : LINE - 1;
    for (size_t ix = 0; ix < rec->n && at < LINE - 64; ix++) {
        const qudag_log_field *f = &rec->fields[ix];
        if ((f->cls == QUDAG_LOG_NETWORK && !l->network) ||
            (f->cls == QUDAG_LOG_SENSITIVE && !l->sensitive)) {
            continue;
        }
        at += (size_t)snprintf(line + at, LINE - at, " %.32s=", f->name);
        if (f->text != NULL) {
            at = add_value(line, at, f->text);
        } else if (at < LINE - 24) {
            at += (size_t)snprintf(line + at, LINE - at, "%lld", (long long)f->num);
        }
    }
    line[at++] = '\n';
    (void)fd_write_all(l->fd, line, at); /* a full disk must not stop the node */
}

void log_say(struct logsink *l, qudag_log_level level, const char *event, const char *fmt, ...)
{
    char text[1400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    const qudag_log_field field = {.name = "text", .text = text};
    const qudag_log_record rec = {.level = level, .event = event, .n = 1, .fields = &field};
    log_record(l, &rec);
}
