/* stop.c - the command stop: what is waited for, each second, and what was cut off. */
#include "stop.h"

#include <string.h>

#define TELL_NS UINT64_C(1000000000)

static void row(struct request *rq, enum rec_type type)
{
    qudag_shutdown s = QUDAG_INIT(qudag_shutdown);
    struct rec *r = request_rec(rq, type);
    (void)qudag_node_shutdown_state(rq->d->node, &s);
    rec_int(r, "waited_ns", (int64_t)(mono_ns() - rq->d->stop_ns));
    rec_int(r, "requests", s.requests);
    rec_int(r, "streams", s.streams);
    rec_int(r, "left_ns", (int64_t)daemon_time_left(rq->d));
    request_send(rq);
}

static void tick(struct request *rq)
{
    uint64_t now = mono_ns();
    if (rq->d->ended) {
        row(rq, REC_ROW);
        request_end_err(rq, QUDAG_OK, "");
    } else if (now - rq->told_ns >= TELL_NS) {
        rq->told_ns = now;
        row(rq, REC_PROGRESS);
    }
}

void stop_run(struct request *rq)
{
    daemon_stop(rq->d, rec_get_bool(&rq->args, "now"));
    rq->told_ns = mono_ns();
    rq->tick = tick;
}

bool stop_refuses(const struct command *cmd)
{
    static const char *const still[] = {"stop",  "status",  "peers", "peers.tries",
                                        "stats", "metrics", "watch", "log"};
    for (size_t ix = 0; ix < sizeof(still) / sizeof(still[0]); ix++) {
        if (strcmp(cmd->name, still[ix]) == 0) {
            return false;
        }
    }
    return true;
}
