/* proxy.h - the proxy and the petnames, as the daemon runs them. */
#ifndef QUDAG_BIN_PROXY_H
#define QUDAG_BIN_PROXY_H

#include "control.h"

/*
 * Starts the proxy where the configuration wants it.  A port of the default that another program holds is no failure:
 * the log says so, and d->proxy_why.  DAEMON_LISTEN, with d->state.why: the one that was asked for cannot be had.
 */
int proxy_begin(struct daemon *d);

/* What of [proxy] can be checked without a node.  False, with a sentence in |why|: proxy_begin() would refuse it. */
bool proxy_check(const struct conf *c, char *why, size_t why_len);

/* One row: where it listens, or why it does not run, and what it did. */
void proxy_report(struct request *rq);

/* Commands: gives a petname, takes one away, lists them. */
void proxy_name_add(struct request *rq);
void proxy_name_remove(struct request *rq); /* by "name" */
void proxy_name_list(struct request *rq);   /* a row each */

/*
 * The address that |text|, an argument of |rq|, stands for: itself, or that of the petname it is.  NULL: there is no
 * such petname, and the request has ended with a sentence.
 */
const char *proxy_address(struct request *rq, const char *text);

#endif
