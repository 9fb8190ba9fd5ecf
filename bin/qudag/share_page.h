/* share_page.h - the pages of a share: HTML without scripts, pictures or links to elsewhere. */
#ifndef QUDAG_BIN_SHARE_PAGE_H
#define QUDAG_BIN_SHARE_PAGE_H

#include "share_tree.h"

#include <stdio.h>

#define SHARE_PAGE_ENTRIES 2000 /* shown; the list for programs has the others */

/* What a page may load and do: nothing but its own style. */
#define SHARE_PAGE_POLICY                                                                          \
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
/* The same for a file that a browser would run: what it needs may come from the share, and scripts stay off. */
#define SHARE_FILE_POLICY                                                                          \
    "sandbox; default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "        \
    "font-src 'self'; media-src 'self'"

/* |text| as text of HTML: markup escaped; what is malformed UTF-8, controls or is invisible becomes U+FFFD. */
void share_html(FILE *to, const char *text);

/* The page of the folder |path| of the share |name|. */
void share_page_folder(FILE *to, const char *name, const char *path, const struct share_list *l);

/* A page that says what went wrong: |title|, and |what| to do. */
void share_page_error(FILE *to, const char *title, const char *what);

#endif
