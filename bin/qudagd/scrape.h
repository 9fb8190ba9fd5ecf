/*
 * scrape.h - the listener of the metrics: GET /metrics, for Prometheus and what reads like it, and if the configuration
 * says so a page for browsers.
 *
 *   reader ─ HTTP ─▶ thread of libmicrohttpd ─ wake ─▶ the loop: metrics_take() or page_take() ─▶ the thread writes
 *
 * The loop copies values into memory of its own and does nothing else: who reads slowly, or opens connections and says
 * nothing, holds the thread's places, never the node.
 */
#ifndef QUDAG_BIN_SCRAPE_H
#define QUDAG_BIN_SCRAPE_H

#include "daemon.h"

#define SCRAPE_CONNECTIONS_MAX 16
#define SCRAPE_TIMEOUT_S 10 /* a connection on which nothing happens ends */

/*
 * Listens where the configuration says; d->scrape stays NULL where it says off.  A daemon exit code (exits.h), with
 * d->state.why: it cannot, or must not, listen there.
 */
int scrape_begin(struct daemon *d);

/* From a timer: values of the last hour, for the page. */
void scrape_tick(struct daemon *d, uint64_t now_ns);

/* Stops listening and frees; before the node is freed. */
void scrape_end(struct daemon *d);

#endif
