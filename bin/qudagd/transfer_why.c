/* transfer_why.c - why a transfer out was not delivered: how many attempts failed, how far they came, and with what. */
#include "transfer_out.h"

#include <string.h>

static const char *const where[RULES_STAGES] = {
    [RULES_STAGE_LOOKUP] = "while the address was looked up",
    [RULES_STAGE_CIRCUIT] = "while a circuit to it was built",
    [RULES_STAGE_SERVICE] = "at the receiver",
};

void transfer_why_note(struct transfer_out *s, qudag_err why)
{
    enum rules_stage stage = rules_stage(s->on_circuit, s->open);
    s->failed[stage].n++;
    s->failed[stage].last = why;
    s->last = why;
}

void transfer_why_text(char *out, size_t cap, const struct transfer_out *s)
{
    (void)snprintf(out, cap, "%s%s", s->refusal != NULL ? s->refusal : qudag_strerror(s->last),
                   s->limited ? "; the next attempt waits, for the sake of the guards" : "");
}

/* Appends to the text at |out|. */
static void add(char *out, size_t cap, const char *a, const char *b, const char *c)
{
    size_t len = strlen(out);
    (void)snprintf(out + len, cap - len, "%s%s%s", a, b, c);
}

void transfer_why_end(struct transfer_out *s, qudag_err why)
{
    char text[480], number[48];
    unsigned total = 0;
    for (size_t ix = 0; ix < RULES_STAGES; ix++) {
        total += s->failed[ix].n;
    }
    unsigned seconds = (unsigned)((mono_ns() - s->begun_ns) / NS_PER_S);
    (void)snprintf(text, sizeof(text), "not delivered in %u s; attempts that failed: %u", seconds,
                   total);
    for (size_t ix = 0; ix < RULES_STAGES; ix++) {
        if (s->failed[ix].n > 0) {
            (void)snprintf(number, sizeof(number), ", %u ", s->failed[ix].n);
            add(text, sizeof(text), number, where[ix], "");
            add(text, sizeof(text), " (", qudag_strerror(s->failed[ix].last), ")");
        }
    }
    if (s->limited) {
        add(text, sizeof(text), "; the next had to wait: a receiver may cost ten circuits an hour",
            "", "");
    }
    add(text, sizeof(text), "; the last", "", "");
    qudag_err last = total > 0 ? s->last : why;
    if (s->refusal != NULL && last == QUDAG_EREFUSED) {
        add(text, sizeof(text), ": ", s->refusal, "");
        transfer_out_remember(s);
        transfer_out_fail(s, exit_of(last), qudag_err_name(last), text, "try again later");
        return;
    }
    transfer_out_fail_err(s, last, text);
}
