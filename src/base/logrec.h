/*
 * logrec.h - structured log records: an event name and typed fields with a privacy class.
 *
 * The library never formats text; the sink the host supplies decides what to print.
 */
#ifndef QUDAG_SRC_BASE_LOGREC_H
#define QUDAG_SRC_BASE_LOGREC_H

#include "base/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum log_class {
    LOG_PUBLIC,    /* may always be printed */
    LOG_NETWORK,   /* addresses, peer ids: only when the operator asks */
    LOG_SENSITIVE, /* circuit ids, dark addresses, timing: never in release builds */
};

struct log_field {
    const char *name;
    enum log_class cls;
    const char *text; /* NULL: |num| holds the value */
    int64_t num;
};

#define LOG_FIELDS_MAX 8
struct log_record {
    enum log_level level;
    const char *event; /* "kad.query.done" */
    size_t n;
    struct log_field field[LOG_FIELDS_MAX];
};

struct logger {
    void (*emit)(void *ctx, const struct log_record *rec); /* NULL: discard */
    void *ctx;
    enum log_level level; /* records above it are not made */
};

#define LOG_NUM(name_, num_) ((struct log_field){(name_), LOG_PUBLIC, NULL, (int64_t)(num_)})
#define LOG_STR(name_, text_) ((struct log_field){(name_), LOG_PUBLIC, (text_), 0})
#define LOG_ERR(err_) ((struct log_field){"error", LOG_PUBLIC, qudag_strerror(err_), 0})
#define LOG_NET(name_, text_) ((struct log_field){(name_), LOG_NETWORK, (text_), 0})
#define LOG_SENS(name_, num_) ((struct log_field){(name_), LOG_SENSITIVE, NULL, (int64_t)(num_)})

/* log_event(&logger, LOG_INFO, "kad.query.done", LOG_NUM("rpcs", n)); the fields are optional. */
#define log_event(lg, lvl, name, ...)                                                              \
    log_emit((lg), (lvl), (name), (const struct log_field[]){__VA_ARGS__},                         \
             sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
#define log_plain(lg, lvl, name) log_emit((lg), (lvl), (name), NULL, 0)

/*
 * Hands a record with the first LOG_FIELDS_MAX fields to the sink, unless |lg| is NULL, has no sink, or has a
 * lower level.  All pointers are borrowed for the call, by the sink too.  Called through log_event() and
 * log_plain().
 */
void log_emit(const struct logger *lg, enum log_level level, const char *event,
              const struct log_field *fields, size_t n);

#endif
