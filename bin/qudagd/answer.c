/* answer.c - what an error is for whoever asked: exit code, sentence, and what to do about it. */
#include "control.h"

#include "report.h"
#include "rules.h"

#include <stdio.h>

enum tool_exit exit_of(qudag_err err)
{
    switch (err) {
    case QUDAG_OK:
        return TOOL_OK;
    case QUDAG_ENOTFOUND:
    case QUDAG_ESTALE:
        return TOOL_NOT_FOUND;
    case QUDAG_ETIMEOUT:
    case QUDAG_EUNREACHABLE:
    case QUDAG_EBOOTSTRAP:
    case QUDAG_ENORELAYS:
    case QUDAG_ENOGUARD:
    case QUDAG_ECIRCUIT:
    case QUDAG_ECLOSED:
    case QUDAG_ERESET:
        return TOOL_UNREACHABLE;
    case QUDAG_EREFUSED:
    case QUDAG_EPOLICY:
    case QUDAG_EAUTH:
    case QUDAG_ESMALLNET:
    case QUDAG_ENEEDAUTH:
        return TOOL_REFUSED;
    case QUDAG_EINVAL:
    case QUDAG_ECHECKSUM:
    case QUDAG_EMALFORMED:
    case QUDAG_EEXISTS:
    case QUDAG_ETOOBIG:
        return TOOL_USAGE;
    default:
        return TOOL_FAILED;
    }
}

#define CLOCK_HINT                                                                                 \
    "set the clock: with a wrong one what is valid looks expired, or not valid yet, and is not "   \
    "found; several peers disagree with it"

#define NEEDAUTH_HINT                                                                              \
    "ask whoever owns it for a key, then: qudag dark authorize ADDRESS KEY; who has one already "  \
    "was removed, or was added just now: then try again in two minutes"

static const char *hint_of(qudag_err err)
{
    switch (err) {
    case QUDAG_ENORELAYS:
        return "qudag status shows how far the bootstrap is; circuits need hops + 1 known relays";
    case QUDAG_ENOGUARD:
        return "others are not used in their place, since whoever keeps them away may want that; "
               "is "
               "this machine's own network up?  They are tried again by themselves";
    case QUDAG_ECHECKSUM:
        return "check the address: at least one character is wrong";
    case QUDAG_EMALFORMED:
        return "check the spelling: qudag help shows an example";
    case QUDAG_ETIMEOUT:
        return "the other side or a relay on the way does not answer; try again, and if it stays "
               "so, "
               "qudag status shows whether this node is well";
    case QUDAG_EUNREACHABLE:
        return "is the other side up, and does a firewall let it through (QUIC: UDP)?";
    case QUDAG_ENOTFOUND:
        return "it may have expired or never existed; check the spelling";
    case QUDAG_ENEEDAUTH:
        return NEEDAUTH_HINT;
    case QUDAG_ELIMIT:
        return "more is under way here, or calls that service, than there is room for: try again "
               "in a "
               "minute";
    case QUDAG_EPOLICY:
        return "[link] pq decides what links are allowed";
    case QUDAG_ESYSTEM:
        return "the daemon's log shows the cause";
    default:
        return "";
    }
}

void request_end_said(struct request *rq, qudag_err err, const char *text)
{
    char message[640];
    if (err == QUDAG_ESMALLNET) {
        end_small_network(rq, text);
        return;
    }
    bool clock = daemon_clock_suspect(rq->d) && rules_may_be_clock((int)err);
    (void)snprintf(message, sizeof(message), "%s%s", text,
                   clock ? "; the clock of this machine seems to be wrong" : "");
    request_end(rq, exit_of(err), err == QUDAG_OK ? "" : qudag_err_name(err),
                err == QUDAG_OK ? "" : message, clock ? CLOCK_HINT : hint_of(err));
}

void request_end_err(struct request *rq, qudag_err err, const char *what)
{
    char message[600];
    if (err == QUDAG_ESMALLNET) {
        end_small_network(rq, what);
        return;
    }
    (void)snprintf(message, sizeof(message), "%s%s%s", what, what[0] == 0 ? "" : ": ",
                   qudag_strerror(err));
    request_end_said(rq, err, message);
}
