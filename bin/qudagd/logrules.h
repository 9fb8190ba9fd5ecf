/*
 * logrules.h - which records reach the log: levels by area, and a limit for what repeats itself.
 *
 * The area of an event is what stands before its first dot: "kad" of "kad.query.done".  Pure: time is given.
 */
#ifndef QUDAG_BIN_LOGRULES_H
#define QUDAG_BIN_LOGRULES_H

#include <qudag/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_AREAS_MAX 48
#define LOG_AREA_LEN 16                      /* bytes of an area's name, its 0 included */
#define LOG_WHY_LEN 400                      /* a sentence that names all areas fits */
#define LOG_REPEATS_MAX 32                   /* events watched at once */
#define LOG_REPEATS_LINES 64                 /* of one event ... */
#define LOG_REPEATS_NS UINT64_C(10000000000) /* ... within so long */

struct log_areas {
    struct {
        char name[LOG_AREA_LEN];
        qudag_log_level level;
    } area[LOG_AREAS_MAX];
    size_t n;
};

/* From which level on |event| is logged, where |otherwise| is that of all areas without one of their own. */
qudag_log_level log_areas_level(const struct log_areas *a, const char *event,
                                qudag_log_level otherwise);
/* Whether some line of the log has |area|: it is in the list. */
bool log_area_known(const char *area);
/* That no area is called so, and which there are, as a sentence; the nearest first, if one is near. */
void log_area_unknown(const char *area, char *why, size_t cap);
/*
 * Reads "AREA=LEVEL" of the configuration; LEVEL is error, warn, info or debug.  False: |why| is a sentence that begins
 * with |text|.
 */
bool log_area_parse(const char *text, char area[LOG_AREA_LEN], qudag_log_level *level, char *why,
                    size_t cap);
/* "error", "warn", "info", "debug": which |text| is; false: none. */
bool log_level_parse(const char *text, qudag_log_level *out);
const char *log_level_name(qudag_log_level level); /* static */

/* Sets the level of |area|.  False: it is not known, and nothing has changed. */
bool log_areas_set(struct log_areas *a, const char *area, qudag_log_level level);
/* |area| has no level of its own any more. */
void log_areas_clear(struct log_areas *a, const char *area);

struct log_repeats {
    struct log_repeat {
        char event[48]; /* cut; empty: free */
        uint64_t since_ns;
        uint32_t lines, held; /* since then: written; left out */
    } at[LOG_REPEATS_MAX];
};

/*
 * Whether a line of |event| is written now: the first LOG_REPEATS_LINES within LOG_REPEATS_NS.  Where more kinds of
 * events come than are watched, the one that began longest ago is forgotten, unless lines of it were left out.
 */
bool log_repeats_admit(struct log_repeats *r, const char *event, uint64_t now_ns);
/* An event of which lines were left out and whose time is over: its name, and how many; false: there is none. */
bool log_repeats_next(struct log_repeats *r, uint64_t now_ns, char event[48], uint32_t *held);

#endif
