/* log.c - the daemon's log. */
#include "log.h"

#include "common/fileio.h"
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE LOG_LINE_MAX

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

/* ------------------------------------------------------------------ writing without waiting */

/* Writes what |fd| takes at once: bytes taken; -1: none now. */
static ssize_t write_some(const struct logsink *l, const char *base, size_t len)
{
    struct pollfd room = {.fd = l->fd, .events = POLLOUT};
    ssize_t n;
    do {
        if (l->by_socket) {
            n = send(l->fd, base, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        } else if (!l->owned && (poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0)) {
            n = -1; /* a descriptor of others, which may block: ask before */
            errno = EAGAIN;
        } else {
            n = write(l->fd, base, len);
        }
    } while (n < 0 && errno == EINTR);
    return n;
}

/* The rest of a line that was cut.  False: the reader still has no room. */
static bool write_rest(struct logsink *l)
{
    while (l->rest_at < l->rest_len) {
        ssize_t n = write_some(l, l->rest + l->rest_at, l->rest_len - l->rest_at);
        if (n <= 0) {
            return false;
        }
        l->rest_at += (size_t)n;
    }
    l->rest_at = l->rest_len = 0;
    return true;
}

/* False: not a byte of the line was taken. */
static bool write_line(struct logsink *l, const char *line, size_t len)
{
    if (!l->polite) {
        (void)fd_write_all(l->fd, line, len); /* a full disk must not stop the node */
        return true;
    }
    ssize_t n = write_rest(l) ? write_some(l, line, len) : -1;
    if (n <= 0) {
        return false;
    }
    if ((size_t)n < len) {
        l->rest_len = len - (size_t)n;
        memcpy(l->rest, line + n, l->rest_len);
    }
    return true;
}

static bool say_dropped(struct logsink *l)
{
    char line[128], when[32];
    if (l->dropped == 0) {
        return true;
    }
    text_time(when, now_ms());
    int n = snprintf(line, sizeof(line), "%s warn  log.dropped lines=%llu\n", when,
                     (unsigned long long)l->dropped);
    if (n < 0 || !write_line(l, line, (size_t)n)) {
        return false;
    }
    l->dropped = 0;
    return true;
}

static void emit(struct logsink *l, const char *line, size_t len)
{
    if (!say_dropped(l) || !write_line(l, line, len)) {
        l->dropped++;
        l->dropped_all++;
    }
}

/* ------------------------------------------------------------------ where lines go */

/* Whether systemd connected |fd| with its journal (systemd.exec(5), JOURNAL_STREAM). */
static bool is_journal(const struct stat *st)
{
    const char *text = getenv("JOURNAL_STREAM");
    char own[48];
    (void)snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)st->st_dev,
                   (unsigned long long)st->st_ino);
    return text != NULL && strcmp(text, own) == 0;
}

static void use(struct logsink *l, int fd, bool owned)
{
    struct stat st;
    bool known = fstat(fd, &st) == 0;
    log_close(l);
    l->fd = fd;
    l->owned = owned;
    l->polite = known && !S_ISREG(st.st_mode);
    l->by_socket = known && S_ISSOCK(st.st_mode);
    l->priority = known && is_journal(&st);
    l->journal = l->priority ? journal_open() : -1;
    l->native = l->journal >= 0;
    l->rest_at = l->rest_len = 0;
}

void log_attach(struct logsink *l, int fd)
{
    char path[40];
    struct stat st;
    /* An open file description of our own: O_NONBLOCK on the one given would change it for others, too. */
    if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || isatty(fd) == 1)) {
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        int own = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (own >= 0) {
            use(l, own, true);
            return;
        }
    }
    use(l, fd, false);
}

static int open_end(const char *file, int *fd)
{
    *fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
    return *fd >= 0 ? 0 : errno;
}

int log_open(struct logsink *l, const char *file)
{
    int fd, err = strlen(file) < sizeof(l->file) ? open_end(file, &fd) : ENAMETOOLONG;
    if (err == 0) {
        use(l, fd, true);
        if (l->file != file) {
            memcpy(l->file, file, strlen(file) + 1);
        }
    }
    return err;
}

int log_reopen(struct logsink *l)
{
    return l->file[0] == 0 ? 0 : log_open(l, l->file);
}

void log_close(struct logsink *l)
{
    if (l->owned && l->fd >= 0) {
        (void)close(l->fd);
        l->fd = -1;
    }
    l->owned = false;
    if (l->native) {
        (void)close(l->journal);
        l->native = false;
    }
}

/* ------------------------------------------------------------------ lines */

/* Time and level, behind the priority where the journal wants one: bytes. */
static size_t line_head(const struct logsink *l, char line[LINE], qudag_log_level level)
{
    static const char *const priority[] = {"<3>", "<4>", "<6>", "<7>"};
    char when[32];
    text_time(when, now_ms());
    int n = snprintf(line, LINE, "%s%s %-5s ", l->priority ? priority[level & 3] : "", when,
                     level_name[level & 3]);
    return n < 0 ? 0 : (size_t)n;
}

/* Tells of the events that were held back, once their time is over. */
static void say_held(struct logsink *l, uint64_t now_ns)
{
    char line[LINE], event[48];
    uint32_t held;
    while (log_repeats_next(&l->repeats, now_ns, event, &held)) {
        size_t at = line_head(l, line, QUDAG_LOG_WARN);
        int n = snprintf(line + at, sizeof(line) - at, "log.repeated event=%s lines=%u\n", event,
                         (unsigned)held);
        emit(l, line, n < 0 ? at : at + (size_t)n);
    }
}

void log_flush(struct logsink *l)
{
    if (l->polite && write_rest(l)) {
        (void)say_dropped(l);
    }
    say_held(l, mono_ns());
}

static bool wanted(struct logsink *l, const qudag_log_record *rec)
{
    uint64_t now = mono_ns();
    if (rec->level > log_areas_level(&l->areas, rec->event, l->level)) {
        return false;
    }
    say_held(l, now);
    return !l->limited || rec->level == QUDAG_LOG_DEBUG ||
           log_repeats_admit(&l->repeats, rec->event, now);
}

static bool shown(const struct logsink *l, const qudag_log_field *f)
{
    return (f->cls != QUDAG_LOG_NETWORK || l->network) &&
           (f->cls != QUDAG_LOG_SENSITIVE || l->sensitive);
}

/* The record with its fields to the journal; |text|: the line.  False: it is to go the way of all lines. */
static bool to_journal(struct logsink *l, const qudag_log_record *rec, const char *text, size_t len)
{
    static const char priority[] = "3467";
    struct journal_msg m = {.n = 0};
    char number[24];
    journal_field(&m, "", "MESSAGE", text, len);
    journal_field(&m, "", "PRIORITY", &priority[rec->level & 3], 1);
    journal_field(&m, "", "SYSLOG_IDENTIFIER", "qudagd", 6);
    journal_field(&m, "QUDAG_", "EVENT", rec->event, strlen(rec->event));
    journal_field(&m, "QUDAG_", "AREA", rec->event, strcspn(rec->event, "."));
    for (size_t ix = 0; ix < rec->n; ix++) {
        const qudag_log_field *f = &rec->fields[ix];
        const char *value = f->text;
        if (value == NULL) {
            (void)snprintf(number, sizeof(number), "%lld", (long long)f->num);
            value = number;
        }
        if (shown(l, f)) {
            journal_field(&m, "QUDAG_", f->name, value, strlen(value));
        }
    }
    enum journal_sent sent =
        journal_send(l->journal, l->journal_at != NULL ? l->journal_at : JOURNAL_SOCKET, &m);
    if (sent == JOURNAL_FULL) {
        l->dropped++;
        l->dropped_all++;
    }
    return sent != JOURNAL_GONE;
}

/* Event and fields of |rec| behind |from|; where they end. */
static size_t line_body(const struct logsink *l, char line[LINE], size_t from,
                        const qudag_log_record *rec)
{
    int head = snprintf(line + from, LINE - from, "%s", rec->event);
    head = head < 0 ? head : head + (int)from;
    size_t at = head < 0 ? 0 : head < LINE ? (size_t)head : LINE - 1;
    for (size_t ix = 0; ix < rec->n && at < LINE - 64; ix++) {
        const qudag_log_field *f = &rec->fields[ix];
        if (!shown(l, f)) {
            continue;
        }
        at += (size_t)snprintf(line + at, LINE - at, " %.32s=", f->name);
        if (f->text != NULL) {
            at = add_value(line, at, f->text);
        } else if (at < LINE - 24) {
            at += (size_t)snprintf(line + at, LINE - at, "%lld", (long long)f->num);
        }
    }
    return at;
}

void log_record(void *user, const qudag_log_record *rec)
{
    struct logsink *l = user;
    char line[LINE + 2];
    if (!wanted(l, rec)) {
        return;
    }
    size_t from = line_head(l, line, rec->level); /* where the event stands */
    size_t at = line_body(l, line, from, rec);
    size_t len = at > from ? at - from : 0;
    if (rec->level == QUDAG_LOG_ERROR) {
        (void)snprintf(l->error, sizeof(l->error), "%.*s", (int)len, line + from);
    }
    if (l->native && say_dropped(l) && to_journal(l, rec, line + from, len)) {
        return;
    }
    line[at++] = '\n';
    emit(l, line, at);
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
