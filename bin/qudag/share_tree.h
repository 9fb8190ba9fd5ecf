/*
 * share_tree.h - what a share gives out: a file, or a folder with what lies below it.
 *
 * Files are opened name by name below the folder that was open from the beginning; symbolic links, devices, sockets and
 * pipes are not there for anybody, nor what begins with a dot unless it was asked for.
 */
#ifndef QUDAG_BIN_SHARE_TREE_H
#define QUDAG_BIN_SHARE_TREE_H

#include "share_path.h"

#include <sys/stat.h>

#define SHARE_FILES_MAX 100000   /* files of a share that are listed */
#define SHARE_FOLDERS_MAX 20000  /* folders that are looked into for that */
#define SHARE_ENTRIES_MAX 100000 /* entries of one folder */

struct share_tree {
    int root;                      /* the folder; of a file the one it lies in */
    bool hidden;                   /* what begins with a dot is given out too */
    char only[SHARE_NAME_MAX + 1]; /* a share of one file: its name on disk; "": of a folder */
    char name[QUDAG_NAME_MAX + 1]; /* what the share is called */
};

/*
 * Opens |path| for sharing, called |name|, or like the file or folder where that is NULL; a person's home folder is
 * called "files" then.  Of one file |name| is also what others find it under.  0 or an errno: ENOTSUP if it is neither
 * a file nor a folder.
 */
int share_tree_open(struct share_tree *t, const char *path, const char *name, bool hidden);
void share_tree_close(struct share_tree *t);

/* Opens what |path| names for reading: its descriptor, which is the caller's, or minus an errno.  ENOENT for all that
 * is not given out. */
int share_tree_at(const struct share_tree *t, const char *path, struct stat *st);

struct share_entry {
    char name[SHARE_NAME_MAX + 1]; /* as others find it */
    bool folder;
    uint64_t size;
};
struct share_list {
    struct share_entry *entry; /* folders first, by name; the caller's to free */
    size_t n, cap;
    bool more; /* there are more than SHARE_ENTRIES_MAX */
};
/* What is in the folder |path|: 0 or an errno; ENOTDIR if it is a file. */
int share_tree_list(const struct share_tree *t, const char *path, struct share_list *out);

/* All files of a share. */
struct share_file {
    char *path;
    uint64_t size;
};
struct share_files {
    struct share_file *file; /* in the order of the folders' pages */
    size_t n, cap;
    uint64_t bytes;
    bool more; /* beyond a limit, or a folder that could not be read: some are not listed */
};
/* False: out of memory, and |out| is empty. */
bool share_tree_files(const struct share_tree *t, struct share_files *out);
void share_files_free(struct share_files *f);

#endif
