/* scale.c - see scale.h. */
#include "scale.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MEMORY_PART 4 /* of the machine's */
#define MEMORY_LEAST (INT64_C(64) << 20)
#define MEMORY_MOST (INT64_C(1) << 30)
#define LINK_MEMORY (INT64_C(256) << 10) /* bytes of memory_max for each link */
#define LINKS_LEAST 64
#define LINKS_MOST 4096
#define FILES_PART 4 /* of the descriptors */

static int64_t between(int64_t n, int64_t least, int64_t most)
{
    return n < least ? least : n > most ? most : n;
}

uint64_t scale_group_limit(const char *text)
{
    char *end = NULL;

    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    return errno != 0 || end == text || (*end != 0 && *end != '\n') || text[0] == '-' ? 0 : n;
}

/* The first line of a file; false: there is none. */
static bool first_line(const char *path, char *out, int cap)
{
    FILE *f = fopen(path, "re");
    bool ok = f != NULL && fgets(out, cap, f) != NULL;

    if (f != NULL) {
        (void)fclose(f);
    }
    return ok;
}

bool scale_group_up(char *group)
{
    char *last = strrchr(group, '/');

    if (last == NULL || group[1] == 0) {
        return false;
    }
    *(last == group ? last + 1 : last) = 0;
    return true;
}

/* The least limit of the control group (version 2) and of those it lies in; 0: none. */
static uint64_t group_memory(void)
{
    char line[512], path[600], text[32];
    uint64_t least = 0;

    if (!first_line("/proc/self/cgroup", line, sizeof(line)) || strncmp(line, "0::/", 4) != 0) {
        return 0;
    }
    line[strcspn(line, "\n")] = 0;
    do {
        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", line + 3);
        uint64_t n = first_line(path, text, sizeof(text)) ? scale_group_limit(text) : 0;
        least = n != 0 && (least == 0 || n < least) ? n : least;
    } while (scale_group_up(line + 3));
    return least;
}

void scale_look(struct scale_machine *out)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    struct rlimit files = {0};
    uint64_t group = group_memory();

    out->memory = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
    out->memory = group != 0 && (group < out->memory || out->memory == 0) ? group : out->memory;
    out->files = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY
                     ? files.rlim_cur
                     : 0;
}

static void put(struct conf *c, enum conf_key key, int64_t num)
{
    struct conf_value *v = &c->v[key];

    if (v->source == CONF_UNSET) {
        v->num = between(num, conf_table[key].min, conf_table[key].max);
        v->source = CONF_MACHINE;
    }
}

void scale_conf(struct conf *c, const struct scale_machine *m)
{
    if (m->memory != 0) {
        uint64_t part = m->memory / MEMORY_PART;
        put(c, CONF_MEMORY_MAX,
            between(part < INT64_MAX ? (int64_t)part : INT64_MAX, MEMORY_LEAST, MEMORY_MOST));
    }
    if (m->memory != 0 || c->v[CONF_MEMORY_MAX].source != CONF_UNSET) {
        put(c, CONF_LINKS_MAX,
            between(c->v[CONF_MEMORY_MAX].num / LINK_MEMORY, LINKS_LEAST, LINKS_MOST));
    }
    int64_t unset = c->v[CONF_PROXY_CONNECTIONS].num;
    if (m->files != 0 && m->files / FILES_PART < (uint64_t)unset) {
        put(c, CONF_PROXY_CONNECTIONS, (int64_t)(m->files / FILES_PART));
    }
}
