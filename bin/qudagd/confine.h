/*
 * confine.h - what the daemon gives up for good: programs it could start, files it could write, system calls it
 * has no use for.  Whoever takes the process over by a fault in it can do no more than it could.
 *
 * Files: Landlock (landlock(7), Linux 5.13).  System calls: a filter by seccomp(2).
 */
#ifndef QUDAG_BIN_CONFINE_H
#define QUDAG_BIN_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

#define CONFINE_WHY_LEN 200

/*
 * From now on this thread, and those it begins later, write, make and remove files below the |n| folders |dirs|
 * only, and start no program; reading is as before.  To be called before other threads are begun, which would keep
 * their rights. A folder that is not there is left out.  False: why[] has the cause, as that this kernel has no
 * Landlock; nothing is confined then, but that programs started later may not gain rights (PR_SET_NO_NEW_PRIVS).
 */
bool confine_files(const char *const *dirs, size_t n, char why[CONFINE_WHY_LEN]);

/*
 * From now on all threads of the process have the system calls of a network daemon only.  Any other fails with
 * EPERM, or with ENOSYS where the C library tries a newer one first.  False: why[] has the cause; no filter
 * is set then, but PR_SET_NO_NEW_PRIVS may be.
 */
bool confine_calls(char why[CONFINE_WHY_LEN]);

#endif
