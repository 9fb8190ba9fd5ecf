/* logrec.c - building a record and handing it to the host's sink. */
#include "base/logrec.h"

void log_emit(const struct logger *lg, enum log_level level, const char *event,
              const struct log_field *fields, size_t n)
{
    if (lg == NULL || lg->emit == NULL || level > lg->level) {
        return;
    }
    struct log_record rec = {.level = level, .event = event};
    rec.n = n < LOG_FIELDS_MAX ? n : LOG_FIELDS_MAX;
    for (size_t i = 0; i < rec.n; i++) {
        rec.field[i] = fields[i];
    }
    lg->emit(lg->ctx, &rec);
}
