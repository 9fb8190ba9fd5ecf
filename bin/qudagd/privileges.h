/*
 * privileges.h - a daemon that was started as root: which user it becomes, what of root it keeps for its start,
 * and memory that does not reach the swap.
 */
#ifndef QUDAG_BIN_PRIVILEGES_H
#define QUDAG_BIN_PRIVILEGES_H

#include <stdbool.h>

#define PRIVILEGES_WHY_LEN 200

/*
 * Keeps all memory of the process, also what it gets later, out of the swap (mlockall(2)).  Only where the limit
 * RLIMIT_MEMLOCK is infinite, can be made so, or does not count, as for root: with any other an allocation would
 * fail once it is reached.  To be called before privileges_become().  False: why[], and nothing is locked.
 */
bool privileges_lock_memory(char why[PRIVILEGES_WHY_LEN]);

/*
 * Becomes |user|, which must exist, with its group and no other.  Of root's capabilities the one to bind ports
 * below 1024 stays until privileges_drop(), and the one to lock memory.  |dir|, where it is not there yet, is made
 * and given to the user (mode 0700).  Only root can; who is |user| already has nothing to do.  False: why[] says
 * what was wrong; the process should end.
 */
bool privileges_become(const char *user, const char *dir, char why[PRIVILEGES_WHY_LEN]);

/* Whether there is a user of that name.  False: why[] says so. */
bool privileges_known(const char *user, char why[PRIVILEGES_WHY_LEN]);

/*
 * No capability is left, nor to be had again, but the one to lock memory, CAP_IPC_LOCK, where memory is locked
 * beyond the limit.  False: why[]; the process should end.
 */
bool privileges_drop(char why[PRIVILEGES_WHY_LEN]);

#endif
