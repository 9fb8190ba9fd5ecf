/*
 * quiet.c - links through relays whose path may have died behind the relay.
 *
 *   bytes leave ─▶ asked ─ 400 ms ─▶ pinged ─ 1 s ─▶ LINK_QUIET ─ bytes come ─▶ LINK_HEARD
 *                    └ bytes come ─▶ nothing is outstanding
 *
 * QUIC knows by its acknowledgements (quic/quiet.c); a byte stream through a relay is acknowledged by the relay.  Where
 * much is under way nothing is said: a relay that holds it back within its rate looks the same.
 */
#include "upgrade/upgrade_int.h"

bool upgrade_quiet_sent(struct upgrade_link *l, size_t n)
{
    if (n == 0 || !l->up || l->stage != STAGE_STREAMS || (l->info.props & LINK_RELAYED) == 0) {
        return false;
    }
    bool first = l->asked == 0;
    l->unsaid += n;
    if (first) {
        l->asked = l->u->now;
        l->pinged = false;
    }
    return first;
}

bool upgrade_quiet_heard(struct upgrade_link *l)
{
    l->asked = 0;
    l->unsaid = 0;
    l->quiet = false;
    return l->quiet_told;
}

tstamp upgrade_quiet_at(const struct upgrade_link *l)
{
    if (l->asked == 0 || l->quiet || l->unsaid > UPGRADE_QUIET_BYTES) {
        return TSTAMP_NEVER;
    }
    return tstamp_after(l->asked, l->pinged ? UPGRADE_QUIET_AFTER : UPGRADE_QUIET_PING);
}

void upgrade_quiet_tick(struct upgrade_link *l)
{
    tstamp now = l->u->now;

    switch (upgrade_rule_quiet(l->asked, l->unsaid, now)) {
    case UPGRADE_QUIET_WAIT:
        return;
    case UPGRADE_QUIET_TELL:
        l->quiet = true;
        break;
    case UPGRADE_QUIET_ASK:
        break;
    }
    if (!l->pinged) {
        l->pinged = true;
        yamux_probe(l->yamux, UPGRADE_PROBE, now);
    }
}

bool upgrade_quiet_event(struct upgrade_link *l, struct link_ev *ev)
{
    if (l->quiet == l->quiet_told) {
        return false;
    }
    l->quiet_told = l->quiet;
    *ev = (struct link_ev){.type = l->quiet ? LINK_QUIET : LINK_HEARD, .link = l->ref};
    return true;
}
