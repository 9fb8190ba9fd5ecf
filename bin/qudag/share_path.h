/*
 * share_path.h - names of files in URLs, in the list of a share, and on disk.
 *
 * A path is the names of folders and file below the share, raw bytes joined by '/', without a leading or trailing one;
 * "" is the share itself.  In URLs and in the list each byte that is not unreserved (RFC 3986, 2.3) is %XX.
 */
#ifndef QUDAG_BIN_SHARE_PATH_H
#define QUDAG_BIN_SHARE_PATH_H

#include <qudag/text.h>

#include "common/fileio.h"

#define SHARE_NAME_MAX 255                /* bytes of one name, as Linux has it */
#define SHARE_DEPTH_MAX 32                /* names of a path */
#define SHARE_URL_MAX (3 * PATH_LEN + 16) /* of an encoded path */

/*
 * The path of |url|, which may begin with '/'; *folder: it ended in '/'.  False, and |out| is "": a malformed %XX, a
 * name that is empty, "." or "..", or that holds '/' or a zero byte; too long a name, path, or too many names.
 */
bool share_path_decode(char out[PATH_LEN], bool *folder, const char *url);

/* |path| as it stands in URLs, without a leading '/'. */
void share_path_encode(char out[SHARE_URL_MAX], const char *path);

/* Whether a name of |path| begins with a dot. */
bool share_path_hidden(const char *path);

/* The next name of a path, at *it, which starts at |path| and is moved on; false at the end. */
bool share_path_next(const char **it, char name[SHARE_NAME_MAX + 1]);

/* The last name of |path|. */
const char *share_path_last(const char *path);

/* |path| with each of its names made harmless (qudag_name_harmless()), for use on this machine; false: too long. */
bool share_path_harmless(char out[PATH_LEN], const char *path);

/* What one header Range asks for. */
enum share_range {
    SHARE_ALL,   /* nothing that is understood: the whole file */
    SHARE_PART,  /* bytes *from to *to, the latter not included */
    SHARE_WRONG, /* none of the file's |size| bytes */
};

/* |header|: the value of Range (RFC 9110, 14.1.2), or NULL.  Several ranges at once are not served: SHARE_ALL. */
enum share_range share_range(const char *header, uint64_t size, uint64_t *from, uint64_t *to);

/* The media type for what a file is called; static. */
const char *share_type(const char *name);

/* Whether a browser would run what a file of |type| holds. */
bool share_type_active(const char *type);

#endif
