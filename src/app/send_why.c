/* send_why.c - why a delivery failed: how many attempts failed, how far they came, and with what. */
#include "app/send_int.h"

#include <stdio.h>
#include <string.h>

static const char *const where[DELIVERY_STAGES] = {
    [DELIVERY_STAGE_LOOKUP] = "while the address was looked up",
    [DELIVERY_STAGE_CIRCUIT] = "while a circuit to it was built",
    [DELIVERY_STAGE_SERVICE] = "at the receiver",
};

/* The same of one to a peer. */
static const char *const peer_where[DELIVERY_STAGES] = {
    [DELIVERY_STAGE_LOOKUP] = "while the peer was looked for",
    [DELIVERY_STAGE_CIRCUIT] = "while a link with it was made",
    [DELIVERY_STAGE_SERVICE] = "at the receiver",
};

void send_why_note(struct send_out *s, qudag_err why)
{
    enum delivery_stage stage = delivery_stage(s->on_circuit, s->open);
    s->failed[stage].n++;
    s->failed[stage].last = why;
    s->last = why;
}

const char *send_last_text(const struct send_out *s, qudag_err last)
{
    if (s->refusal != NULL) {
        return s->refusal;
    }
    return s->unfound && last == QUDAG_EUNREACHABLE
               ? "the peer is not found: no address of it is known"
               : qudag_strerror(last);
}

/* Appends to the text at |out|. */
static void add(char *out, size_t cap, const char *a, const char *b, const char *c)
{
    size_t len = strlen(out);
    (void)snprintf(out + len, cap - len, "%s%s%s", a, b, c);
}

void send_why_end(struct send_out *s, qudag_err why)
{
    char text[QUDAG_SEND_WHY_MAX], number[48];
    unsigned total = 0;
    for (size_t ix = 0; ix < DELIVERY_STAGES; ix++) {
        total += s->failed[ix].n;
    }
    unsigned seconds = (unsigned)((api_now() - s->begun_ns) / NS_PER_S);
    (void)snprintf(text, sizeof(text), "not delivered in %u s; attempts that failed: %u", seconds,
                   total);
    for (size_t ix = 0; ix < DELIVERY_STAGES; ix++) {
        if (s->failed[ix].n > 0) {
            (void)snprintf(number, sizeof(number), ", %u ", s->failed[ix].n);
            add(text, sizeof(text), number, (s->peer.len > 0 ? peer_where : where)[ix], "");
            add(text, sizeof(text), " (", qudag_strerror(s->failed[ix].last), ")");
        }
    }
    if (s->limited) {
        add(text, sizeof(text), "; the next had to wait: a receiver may cost ten circuits an hour",
            "", "");
    }
    qudag_err last = total > 0 ? s->last : why;
    bool busy = s->refusal != NULL && last == QUDAG_EREFUSED;
    add(text, sizeof(text), "; the last", ": ", send_last_text(s, last));
    send_remember(s);
    send_fail(s, busy ? QUDAG_SEND_END_BUSY : QUDAG_SEND_END_UNREACHED, last, text);
}
