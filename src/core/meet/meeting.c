/* meeting.c - one meeting: messages, rounds, its end; see meet_int.h and spec/meet.md. */
#include "core/meet/meet_int.h"

#include "base/wipe.h"
#include "base/wr.h"

#include <string.h>

static void state_set(struct meeting *mt, enum meet_state state, tstamp due)
{
    mt->state = mt->mem->look.state = state;
    mt->due = due;
}

static void say(struct meeting *mt, struct meet_msg *msg, struct acts *out)
{
    uint8_t bytes[MEET_MSG_MAX + 2];
    struct wr w = wr_init(bytes, sizeof(bytes));

    meet_msg_write(&w, msg);
    if (wr_ok(&w) && !ref_none(mt->strm)) {
        acts_write(out, mt->strm, bytes, wr_done(&w).len);
    }
    wipe(bytes, sizeof(bytes));
    wipe(msg->secret, sizeof(msg->secret));
}

static void broken(struct meeting *mt, qudag_err err, const char *why, tstamp now, struct acts *out)
{
    meet_over(mt, &(struct meet_ending){MEET_BROKEN, err, why, 0}, now, out);
}

/* ---- HELLO ---- */

void meet_own_set(struct meeting *mt, const struct meet_own *own)
{
    struct meet_look *look = &mt->mem->look;

    look->n_ours = own->n < MEET_CANDIDATES_MAX ? own->n : MEET_CANDIDATES_MAX;
    for (size_t i = 0; i < look->n_ours; i++) {
        look->ours[i] = own->v[i];
        look->ours[i].set = 0;
    }
    mt->own = *own;
    mt->own.v = look->ours;
    mt->own.n = look->n_ours;
    mt->sides.ours = look->our_nat = own->nat;
    mt->sides.our_step = own->step != 0;
    mt->allowed = true;
}

static void candidates_take(struct meeting *mt, const struct meet_msg *msg)
{
    struct meet_look *look = &mt->mem->look;

    for (size_t i = 0; i < msg->n && mt->n_cand < MEET_CANDIDATES_ALL; i++) {
        mt->cand[mt->n_cand++] = msg->v[i];
        if (look->n_theirs < MEET_CANDIDATES_MAX) {
            look->theirs[look->n_theirs++] = msg->v[i];
        }
    }
}

/* ---- a round ---- */

/* START is out, or came; of the first round: B's HELLO. */
static void round_start(struct meeting *mt, tstamp now)
{
    struct meet_look *look = &mt->mem->look;

    look->started = look->started == 0 ? now : look->started;
    for (uint8_t set = 0; set < ARRAY_LEN(mt->start_at); set++) {
        mt->start_at[set] =
            tstamp_after(now, meet_rule_start(mt->round, set, mt->initiator, mt->rtt));
    }
    meet_round_begin(mt);
    meet_pairs_add(mt);
    if (mt->round == MEET_BIRTHDAY) {
        meet_birthday_begin(mt, now);
    }
    uint64_t takes = meet_rule_length(mt->round, mt->rtt, mt->n_pairs);
    state_set(mt, MEET_CHECKING, tstamp_after(now, mt->initiator ? takes : takes + MEET_ASK_LIMIT));
}

void meet_hello(struct meeting *mt, tstamp now, struct acts *out)
{
    const struct meet_look *look = &mt->mem->look;
    struct meet_msg msg = {
        .type = MEET_HELLO, .nat = mt->own.nat, .step = mt->own.step, .n = look->n_ours};

    rng_fill(&mt->m->rng, mt->ours, sizeof(mt->ours));
    memcpy(msg.secret, mt->ours, sizeof(mt->ours));
    memcpy(msg.v, look->ours, look->n_ours * sizeof(msg.v[0]));
    msg.held = meet_rule_held(mt->greeted ? now - mt->hello_at : mt->own.rtt);
    mt->hello_at = now;
    say(mt, &msg, out);
    if (mt->greeted) {
        meet_keys(mt);
        mt->rtt = meet_rule_path(mt->own.rtt, mt->their_rtt);
        round_start(mt, now);
    }
}

static void start_say(struct meeting *mt, tstamp now, struct acts *out)
{
    struct meet_msg msg = {.type = MEET_START, .round = mt->round};

    say(mt, &msg, out);
    round_start(mt, now);
}

static void socks_close(struct meeting *mt, bool all, struct acts *out)
{
    for (size_t i = 0; i < mt->n_socks; i++) {
        struct meet_sock *s = &mt->socks[i];
        bool heard = false;
        for (size_t k = 0; !all && k < mt->n_pairs; k++) {
            heard = heard || (mt->pairs[k].sock == i + 1 && mt->pairs[k].heard);
        }
        if (s->local.family == 0 || heard) {
            continue;
        }
        struct act *a = acts_up_copy(out, MEET_UP_CLOSE, &s->local, sizeof(s->local));
        if (a != NULL) {
            a->peer = mt->peer;
        }
        s->local.family = 0;
    }
}

static size_t socks_wanted(const struct meeting *mt, tstamp now)
{
    switch (mt->round) {
    case MEET_FRESH_PORT:
        return 2;
    case MEET_PREDICT:
        return meet_rule_hard(&mt->sides) ? 1 : 0;
    case MEET_BIRTHDAY:
        return meet_rule_hard(&mt->sides) ? meet_birthday_sockets(mt, now) : 0;
    default:
        return 0;
    }
}

/* Gets what |round| needs of sockets. */
static void round_prepare(struct meeting *mt, enum meet_round round, tstamp now, struct acts *out)
{
    mt->round = mt->mem->look.round = round;
    mt->round_told = false;
    mt->guess = (struct meet_guess){.first = (uint32_t)mt->n_socks};
    socks_close(mt, false, out);
    if (round == MEET_BIRTHDAY) {
        meet_birthday_claim(mt, now);
    }
    state_set(mt, MEET_GATHERING, tstamp_after(now, MEET_GATHER_LIMIT));
    for (size_t n = socks_wanted(mt, now); n > 0 && mt->n_socks < MEET_SOCKETS_MAX; n--) {
        mt->socks[mt->n_socks] = (struct meet_sock){.asked = true};
        mt->n_asked++;
        struct act *a = acts_up(out, MEET_UP_SOCKET);
        a->peer = mt->peer;
        a->cookie = mt->cookie << 16 | mt->n_socks++;
        a->n = round == MEET_BIRTHDAY ? 0 : 1;
    }
    if (mt->n_asked == 0) {
        meet_gathered(mt, now, out);
    }
}

/* What the sockets of this round are told of; counts those that are open. */
static size_t round_candidates(struct meeting *mt, struct meet_msg *msg)
{
    size_t open = 0;

    for (size_t i = 0; i < mt->n_socks; i++) {
        const struct meet_sock *s = &mt->socks[i];
        if (s->local.family == 0) {
            continue;
        }
        open++;
        if (mt->round == MEET_BIRTHDAY || (mt->round == MEET_FRESH_PORT && i >= 2)) {
            continue;
        }
        if (s->external.family == 0) {
            continue;
        }
        if (mt->round == MEET_FRESH_PORT && msg->n < MEET_CANDIDATES_MAX) {
            msg->v[msg->n++] = (struct meet_candidate){
                .addr = s->external, .kind = MEET_OBSERVED, .set = (uint8_t)(i + 1)};
        }
        for (unsigned k = 1; mt->round == MEET_PREDICT && k <= MEET_GUESSES && i + 1 == mt->n_socks;
             k++) {
            struct meet_candidate c = {.addr = s->external, .kind = MEET_PREDICTED};
            c.addr.port = meet_rule_predict(s->external.port, mt->own.step, k);
            msg->v[msg->n++] = c;
        }
    }
    return open;
}

void meet_gathered(struct meeting *mt, tstamp now, struct acts *out)
{
    struct meet_msg msg = {.type = MEET_ROUND, .round = mt->round};
    size_t open = round_candidates(mt, &msg);

    mt->mem->look.sockets = open > mt->mem->look.sockets ? (uint32_t)open : mt->mem->look.sockets;
    if (mt->round == MEET_BIRTHDAY && meet_rule_hard(&mt->sides) && open < MEET_SOCKETS_MIN) {
        meet_over(mt,
                  &(struct meet_ending){MEET_SHORT_HERE, QUDAG_ELIMIT,
                                        "too few sockets are to be had here", MEET_END_SHORT},
                  now, out);
        return;
    }
    if (mt->flagged || !meet_birthday_may(mt, now)) {
        msg.flags |= MEET_FLAG_NO_BIRTHDAY;
    }
    mt->round_told = true;
    say(mt, &msg, out);
    state_set(mt, mt->initiator ? MEET_GATHERING : MEET_WAITING, tstamp_after(now, MEET_ASK_LIMIT));
}

static void next_round(struct meeting *mt, tstamp now, struct acts *out)
{
    const char *why;

    mt->sides.no_birthday = mt->flagged || !meet_birthday_may(mt, now);
    enum meet_round next = meet_rule_next(mt->round, &mt->sides, &why);
    if (next < MEET_ROUNDS) {
        round_prepare(mt, next, now, out);
        return;
    }
    if (mt->guess.few) {
        why = "the router here gives few ports: too few for such a pair";
    }
    why = meet_rule_reason(&mt->mem->look, mt->n_pairs, why);
    meet_over(mt,
              &(struct meet_ending){mt->lacked ? MEET_SHORT_HERE : MEET_ALL_TRIED,
                                    QUDAG_EUNREACHABLE, why, MEET_END_GIVE_UP},
              now, out);
}

void meet_step(struct meeting *mt, tstamp now, struct acts *out)
{
    if (now >= mt->limit) {
        meet_over(mt,
                  &(struct meet_ending){MEET_BROKEN, QUDAG_ETIMEOUT, "it took too long",
                                        MEET_END_GIVE_UP},
                  now, out);
    } else if (now < mt->due) {
        return;
    } else if (mt->state == MEET_CHECKING && mt->initiator) {
        next_round(mt, now, out);
    } else if (mt->state == MEET_GATHERING && !mt->round_told) {
        mt->flagged = mt->flagged || mt->n_asked > 0; /* nobody outside hears of a new socket */
        mt->n_asked = 0;
        meet_gathered(mt, now, out);
    } else if (mt->state == MEET_DIALLING) {
        mt->due = mt->limit;
    } else {
        broken(mt, QUDAG_ETIMEOUT, "the peer fell silent on the relayed link", now, out);
    }
}

/* ---- messages ---- */

static void hello_in(struct meeting *mt, struct meet_msg *msg, tstamp now, struct acts *out)
{
    if (mt->greeted || mt->state != MEET_ASKING || ref_none(mt->strm)) {
        broken(mt, QUDAG_EPROTO, "the peer breaks the protocol", now, out);
        return;
    }
    mt->greeted = true;
    memcpy(mt->theirs, msg->secret, sizeof(mt->theirs));
    mt->sides.theirs = mt->mem->look.their_nat = msg->nat;
    mt->sides.their_step = msg->step != 0;
    candidates_take(mt, msg);
    if (!mt->initiator) {
        mt->hello_at = now;
        mt->their_rtt = msg->held * NS_PER_MS;
        acts_up(out, MEET_UP_ASKED)->peer = mt->peer;
        return;
    }
    mt->rtt = meet_rule_rtt(now - mt->hello_at, msg->held);
    meet_keys(mt);
    round_start(mt, now);
}

static void round_in(struct meeting *mt, const struct meet_msg *msg, tstamp now, struct acts *out)
{
    bool flag = (msg->flags & MEET_FLAG_NO_BIRTHDAY) != 0;

    if (mt->initiator && mt->state == MEET_DIALLING) {
        return; /* a pair was found meanwhile */
    }
    bool mine =
        mt->initiator && mt->state == MEET_GATHERING && mt->round_told && msg->round == mt->round;
    bool theirs = !mt->initiator && mt->state == MEET_CHECKING && msg->round > mt->round;
    if (!mine && !theirs) {
        broken(mt, QUDAG_EPROTO, "the peer breaks the protocol", now, out);
        return;
    }
    mt->flagged = mt->flagged || (flag && msg->round == MEET_FRESH_PORT);
    candidates_take(mt, msg);
    if (mine) {
        start_say(mt, now, out);
    } else if (msg->round == MEET_BIRTHDAY && (mt->flagged || !meet_birthday_may(mt, now))) {
        meet_over(
            mt,
            &(struct meet_ending){
                MEET_ALL_TRIED, QUDAG_EUNREACHABLE,
                "the peer's router gives each destination another port; many were tried lately",
                MEET_END_GIVE_UP},
            now, out);
    } else {
        round_prepare(mt, msg->round, now, out);
    }
}

static void end_in(struct meeting *mt, enum meet_end end, tstamp now, struct acts *out)
{
    if (mt->state == MEET_DIALLING && end == MEET_END_DIRECT) {
        return; /* it has our link already: the end of the dial is to be waited for */
    }
    switch (end) {
    case MEET_END_DIRECT:
        meet_over(mt, &(struct meet_ending){MEET_WENT_WELL, QUDAG_OK, "", 0}, now, out);
        break;
    case MEET_END_GIVE_UP:
        meet_over(mt,
                  &(struct meet_ending){MEET_ALL_TRIED, QUDAG_EUNREACHABLE,
                                        meet_rule_reason(&mt->mem->look, mt->n_pairs, ""), 0},
                  now, out);
        break;
    case MEET_END_REFUSED:
        meet_over(mt,
                  &(struct meet_ending){MEET_NOT_NOW, QUDAG_EREFUSED,
                                        "the peer meets only peers that it knows", 0},
                  now, out);
        break;
    case MEET_END_BUSY:
        meet_over(
            mt,
            &(struct meet_ending){MEET_NOT_NOW, QUDAG_EAGAIN, "the peer is busy with others", 0},
            now, out);
        break;
    case MEET_END_SHORT:
        meet_over(mt,
                  &(struct meet_ending){MEET_NOT_NOW, QUDAG_EAGAIN, "the peer lacks sockets", 0},
                  now, out);
        break;
    }
}

static void message(struct meeting *mt, struct meet_msg *msg, tstamp now, struct acts *out)
{
    switch (msg->type) {
    case MEET_HELLO:
        hello_in(mt, msg, now, out);
        break;
    case MEET_ROUND:
        round_in(mt, msg, now, out);
        break;
    case MEET_START:
        if (mt->initiator || mt->state != MEET_WAITING || msg->round != mt->round) {
            broken(mt, QUDAG_EPROTO, "the peer breaks the protocol", now, out);
        } else {
            round_start(mt, now);
        }
        break;
    case MEET_END:
        end_in(mt, msg->end, now, out);
        break;
    }
}

void meet_data(struct meeting *mt, struct slice in, tstamp now, struct acts *out)
{
    while (in.len > 0 && !mt->over) {
        struct meet_msg msg;
        size_t room = sizeof(mt->rx) - mt->rx_n, take = in.len < room ? in.len : room, used;

        memcpy(mt->rx + mt->rx_n, in.base, take);
        mt->rx_n += take;
        in = slice_rest(in, take);
        do {
            qudag_err err = meet_msg_read(&msg, (struct slice){mt->rx, mt->rx_n}, &used);
            if (err != QUDAG_OK) {
                broken(mt, err,
                       err == QUDAG_EUNSUPPORTED ? "the peer speaks another version"
                                                 : "the peer breaks the protocol",
                       now, out);
            } else if (used > 0) {
                message(mt, &msg, now, out);
                memmove(mt->rx, mt->rx + used, mt->rx_n - used);
                mt->rx_n -= used;
            }
            wipe(msg.secret, sizeof(msg.secret));
        } while (used > 0 && !mt->over && mt->rx_n > 0);
    }
    wipe(mt->rx + mt->rx_n, sizeof(mt->rx) - mt->rx_n);
}

/* ---- a pair, and the end ---- */

void meet_found(struct meeting *mt, size_t ix, tstamp now, struct acts *out)
{
    const struct meet_check *c = &mt->pairs[ix];
    struct meet_look *look = &mt->mem->look;
    struct meet_pair pair = {.remote = c->to.addr};

    if (c->sock > 0) {
        pair.local = mt->socks[c->sock - 1].local;
    }
    if (look->found == 0 || mt->initiator) {
        look->local = pair.local;
        look->remote = pair.remote;
    }
    look->found = look->found == 0 ? now : look->found;
    mt->guess.on = false;
    if (!mt->initiator || mt->state == MEET_DIALLING) {
        return;
    }
    mt->chosen = ix;
    state_set(mt, MEET_DIALLING, mt->limit);
    struct act *a = acts_up_copy(out, MEET_UP_FOUND, &pair, sizeof(pair));
    if (a != NULL) {
        a->peer = mt->peer;
    }
}

void meet_undialled(struct meeting *mt, tstamp now, struct acts *out)
{
    mt->pairs[mt->chosen].dead = true;
    for (size_t i = 0; i < mt->n_pairs; i++) {
        if (mt->pairs[i].valid && !mt->pairs[i].dead) {
            mt->state = MEET_CHECKING;
            meet_found(mt, i, now, out);
            return;
        }
    }
    meet_over(mt,
              &(struct meet_ending){MEET_BROKEN, QUDAG_EUNREACHABLE,
                                    "checks go both ways, but QUIC does not get through",
                                    MEET_END_GIVE_UP},
              now, out);
}

void meet_over(struct meeting *mt, const struct meet_ending *how, tstamp now, struct acts *out)
{
    enum meet_fate fate = how->fate;
    struct meet_look *look = &mt->mem->look;
    struct meet_msg msg = {.type = MEET_END, .end = how->tell};
    bool well = fate == MEET_WENT_WELL;

    if (mt->over) {
        return;
    }
    if (!ref_none(mt->strm) && how->tell == 0 && fate == MEET_BROKEN) {
        acts_reset(out, mt->strm, how->err);
    } else if (!ref_none(mt->strm)) {
        if (how->tell != 0) {
            say(mt, &msg, out);
        }
        acts_fin(out, mt->strm);
    }
    socks_close(mt, true, out);
    mt->over = true;
    mt->mem->failures = well || fate == MEET_SHORT_HERE ? 0 : mt->mem->failures + 1;
    look->state = well ? MEET_DIRECT : MEET_FAILED;
    look->err = how->err;
    look->why = how->why;
    look->next_try = tstamp_after(now, meet_rule_pause(fate, mt->mem->failures));
    if (well) {
        mt->m->stats.direct[mt->round]++;
    } else {
        mt->m->stats.failed[mt->round]++;
    }
    struct act *a = acts_up(out, MEET_UP_ENDED);
    a->peer = mt->peer;
    a->err = how->err;
    a->n = mt->round;
}
