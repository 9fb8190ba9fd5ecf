/* share_page.c - the pages of a share. */
#include "share_page.h"

#include <qudag/text.h>

#include <string.h>

void share_html(FILE *to, const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t left = strlen(text);
    while (left > 0) {
        uint32_t cp;
        size_t n = qudag_utf8_next(at, left, &cp);
        const char *escaped = cp == '<'                          ? "&lt;"
                              : cp == '>'                        ? "&gt;"
                              : cp == '&'                        ? "&amp;"
                              : cp == '"'                        ? "&quot;"
                              : cp == '\''                       ? "&#39;"
                              : cp == '/' || qudag_name_char(cp) ? NULL
                                                                 : "\xef\xbf\xbd";
        if (escaped != NULL) {
            (void)fputs(escaped, to);
        } else {
            (void)fwrite(at, 1, n, to);
        }
        at += n;
        left -= n;
    }
}

static void head(FILE *to, const char *title)
{
    (void)fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
                to);
    share_html(to, title);
    (void)fputs("</title>\n<style>\n"
                "body { font: 16px sans-serif; margin: 2em auto; max-width: 50em; padding: 0 1em; "
                "color-scheme: light dark }\n"
                "table { border-collapse: collapse; width: 100% }\n"
                "td { border-top: 1px solid #8886; padding: .4em .2em; overflow-wrap: anywhere }\n"
                "td + td { text-align: right; white-space: nowrap }\n"
                "</style>\n</head>\n<body>\n<h1>",
                to);
    share_html(to, title);
    (void)fputs("</h1>\n", to);
}

/* |path| below the root as a link, with "/" behind a folder. */
static void link_to(FILE *to, const char *folder, const struct share_entry *e)
{
    char path[PATH_LEN + SHARE_NAME_MAX + 2], url[SHARE_URL_MAX];
    (void)snprintf(path, sizeof(path), "%s%s%s", folder, folder[0] == 0 ? "" : "/", e->name);
    share_path_encode(url, path);
    (void)fprintf(to, "<a href=\"/%s%s\">", url, e->folder ? "/" : "");
    share_html(to, e->name);
    (void)fputs(e->folder ? "/</a>" : "</a>", to);
}

/* The way up: a link for each folder above |path|. */
static void way(FILE *to, const char *name, const char *path)
{
    char at[PATH_LEN], part[SHARE_NAME_MAX + 1], url[SHARE_URL_MAX];
    const char *it = path;
    size_t len = 0;
    (void)fputs("<p><a href=\"/\">", to);
    share_html(to, name);
    (void)fputs("</a>", to);
    while (share_path_next(&it, part)) {
        len += (size_t)snprintf(at + len, sizeof(at) - len, "%s%s", len == 0 ? "" : "/", part);
        share_path_encode(url, at);
        (void)fprintf(to, " / <a href=\"/%s/\">", url);
        share_html(to, part);
        (void)fputs("</a>", to);
    }
    (void)fputs("</p>\n", to);
}

void share_page_folder(FILE *to, const char *name, const char *path, const struct share_list *l)
{
    char size[16];
    uint64_t bytes = 0;
    head(to, path[0] == 0 ? name : share_path_last(path));
    if (path[0] != 0) {
        way(to, name, path);
    }
    (void)fputs("<table>\n", to);
    for (size_t ix = 0; ix < l->n && ix < SHARE_PAGE_ENTRIES; ix++) {
        const struct share_entry *e = &l->entry[ix];
        text_bytes(size, e->size);
        (void)fputs("<tr><td>", to);
        link_to(to, path, e);
        (void)fprintf(to, "</td><td>%s</td></tr>\n", e->folder ? "" : size);
        bytes += e->size;
    }
    text_bytes(size, bytes);
    (void)fprintf(to, "</table>\n<p>%zu %s, %s%s</p>\n</body>\n</html>\n", l->n,
                  l->n == 1 ? "entry" : "entries", size,
                  l->n > SHARE_PAGE_ENTRIES || l->more ? "; not all of them are shown, but "
                                                         "<code>qudag fetch</code> gets them"
                                                       : "");
}

void share_page_error(FILE *to, const char *title, const char *what)
{
    head(to, title);
    (void)fputs("<p>", to);
    share_html(to, what);
    (void)fputs("</p>\n</body>\n</html>\n", to);
}
