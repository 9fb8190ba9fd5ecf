/* conf_page.c - the configuration as text: a file with comments, and the reference page of all settings. */
#include "conf.h"

#include <string.h>

/* "64K": |n| as shortly as it can be written. */
static void size_text(int64_t n, char *out, size_t cap)
{
    int step = 0;
    while (n != 0 && n % 1024 == 0 && step < 4) {
        n /= 1024;
        step++;
    }
    (void)snprintf(out, cap, "%lld%.*s", (long long)n, step > 0, &" KMGT"[step]);
}

/* The default as it would be written. */
const char *conf_default(const struct conf_row *row, char *number, size_t cap)
{
    if (row->unset != NULL) {
        return row->unset;
    }
    if (row->type == CONF_SIZE) {
        size_text(row->def, number, cap);
    } else {
        (void)snprintf(number, cap, "%lld", (long long)row->def);
    }
    return number;
}

static void print_value(const struct conf_row *row, const struct conf_value *v, FILE *to)
{
    const char *words = row->words;
    switch (row->type) {
    case CONF_LIST:
        for (size_t ix = 0; ix < v->n; ix++) {
            (void)fprintf(to, "%s = %s\n", row->key, v->list[ix]);
        }
        if (v->n == 0) {
            (void)fprintf(to, "%s =\n", row->key);
        }
        return;
    case CONF_TEXT:
        (void)fprintf(to, "%s =%s%s\n", row->key, v->text[0] == 0 ? "" : " ", v->text);
        return;
    case CONF_BOOL:
        (void)fprintf(to, "%s = %s\n", row->key, v->num ? "yes" : "no");
        return;
    case CONF_WORD:
        for (int64_t ix = 0; ix < v->num; ix++) {
            words += strcspn(words, "|") + 1;
        }
        (void)fprintf(to, "%s = %.*s\n", row->key, (int)strcspn(words, "|"), words);
        return;
    case CONF_INT:
    case CONF_SIZE:
        break;
    }
    (void)fprintf(to, "%s = %lld\n", row->key, (long long)v->num);
}

/* The default for people: as it would be written, or how it follows from the machine. */
static const char *default_text(const struct conf_row *row, char *number, size_t cap)
{
    return row->scaled != NULL ? row->scaled : conf_default(row, number, cap);
}

static void print_range(const struct conf_row *row, FILE *to)
{
    char unset[32], min[32], max[32];
    const char *text = default_text(row, unset, sizeof(unset));
    size_text(row->min, min, sizeof(min));
    size_text(row->max, max, sizeof(max));
    if (row->type == CONF_WORD) {
        (void)fprintf(to, "# One of %s; default %s.\n", row->words, text);
    } else if (row->type == CONF_INT) {
        (void)fprintf(to, "# %lld to %lld %s; default %s.\n", (long long)row->min,
                      (long long)row->max, row->unit, text);
    } else if (row->type == CONF_SIZE && row->max != INT64_MAX) {
        (void)fprintf(to, "# %s to %s; default %s.\n", min, max, text);
    } else if (text[0] != 0) {
        (void)fprintf(to, "# Default %s.\n", text);
    }
}

void conf_print(const struct conf *c, FILE *to)
{
    const char *section = "";
    for (int ix = 0; ix < CONF_KEYS; ix++) {
        const struct conf_row *row = &conf_table[ix];
        if (strcmp(section, row->section) != 0) {
            section = row->section;
            (void)fprintf(to, "%s[%s]\n", ix == 0 ? "" : "\n", section);
        }
        (void)fprintf(to, "# %s\n", row->help);
        print_range(row, to);
        if (c->v[ix].source == CONF_MACHINE) {
            (void)fputs("# Not set: this follows from the machine.\n", to);
        }
        print_value(row, &c->v[ix], to);
    }
}

/* What a setting may be, as a cell of the reference page. */
static void range_cell(const struct conf_row *row, FILE *to)
{
    char min[32], max[32];
    size_text(row->min, min, sizeof(min));
    size_text(row->max, max, sizeof(max));
    switch (row->type) {
    case CONF_BOOL:
        (void)fputs("yes, no", to);
        return;
    case CONF_WORD:
        for (const char *w = row->words; *w != 0; w++) {
            (void)fputs(*w == '|' ? ", " : (char[]){*w, 0}, to);
        }
        return;
    case CONF_INT:
        (void)fprintf(to, "%lld to %lld %s", (long long)row->min, (long long)row->max, row->unit);
        return;
    case CONF_SIZE:
        (void)fprintf(to, row->max == INT64_MAX ? "from %s" : "%s to %s", min, max);
        return;
    case CONF_TEXT:
        (void)fprintf(to, "text, up to %lld characters", (long long)row->max);
        return;
    case CONF_LIST:
        (void)fprintf(to, "list, up to %zu", row->most);
        return;
    }
}

void conf_reference(FILE *to)
{
    const char *section = "";
    char number[32];

    (void)fputs(
        "# Settings\n\n"
        "Every setting of `qudag.conf`, from the table that the program reads "
        "(`qudagd --print-reference`).  qudag.conf(5) says more on some.  *Reload*: SIGHUP, "
        "or `systemctl reload qudagd`, puts another value in force; all else takes a "
        "restart.  `qudag config show` prints what is in force.\n",
        to);
    for (int ix = 0; ix < CONF_KEYS; ix++) {
        const struct conf_row *row = &conf_table[ix];
        if (strcmp(section, row->section) != 0) {
            section = row->section;
            (void)fprintf(to,
                          "\n## [%s]\n\n| Key | Meaning | Values | Default | Reload |\n"
                          "|---|---|---|---|---|\n",
                          section);
        }
        const char *text = default_text(row, number, sizeof(number));
        (void)fprintf(to, "| `%s` | %s | ", row->key, row->help);
        range_cell(row, to);
        (void)fprintf(to, " | %s | %s |\n", text[0] == 0 ? "empty" : text, row->live ? "yes" : "");
    }
}
