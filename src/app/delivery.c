/* delivery.c - see delivery.h. */
#include "app/delivery.h"

#include <errno.h>
#include <string.h>

/* ------------------------------------------------------------------ receiving */

bool delivery_stream(bool from_known_peer, const char *dark, const char *proto, const char *served)
{
    return !from_known_peer && dark != NULL && proto != NULL && strcmp(proto, served) == 0;
}

bool delivery_peer_stream(bool known, bool allowed, const char *dark, const char *proto,
                          const char *served)
{
    return known && allowed && dark == NULL && proto != NULL && strcmp(proto, served) == 0;
}

bool delivery_matches(uint64_t size, const uint8_t hash[DELIVERY_HASH_LEN], uint64_t announced_size,
                      const uint8_t announced_hash[DELIVERY_HASH_LEN])
{
    return size == announced_size && memcmp(hash, announced_hash, DELIVERY_HASH_LEN) == 0;
}

enum delivery_offer delivery_offer(uint64_t size, uint64_t cost, uint64_t piece_max,
                                   const struct delivery_room *room)
{
    if (room->inbox_max == 0) {
        return DELIVERY_OFFER_CLOSED;
    }
    if (size > piece_max || size > room->file_max || size > room->inbox_max) {
        return DELIVERY_OFFER_TOO_LARGE;
    }
    if (room->stored > room->inbox_max || cost > room->inbox_max - room->stored) {
        return DELIVERY_OFFER_INBOX_FULL;
    }
    bool fits = room->reserved <= room->inbox_max - room->stored - cost;
    return fits && room->transfers <= room->transfers_max ? DELIVERY_OFFER_OK : DELIVERY_OFFER_BUSY;
}

uint64_t delivery_pace(uint64_t left)
{
    uint64_t due = left / DELIVERY_PACE_DAY;
    due = due < DELIVERY_PACE_BYTES ? DELIVERY_PACE_BYTES : due;
    return due < left ? due : left;
}

bool delivery_pace_slow(const struct delivery_pace *p)
{
    return p->measured && p->came < p->due;
}

bool delivery_may_hash(unsigned idle, uint64_t since_s)
{
    return idle < DELIVERY_HASHES || since_s >= DELIVERY_HASH_PAUSE_S;
}

size_t delivery_gives_way(const struct delivery_pace *p, size_t n)
{
    size_t first = n;
    for (size_t ix = 0; ix < n; ix++) {
        bool slower = first == n || p[ix].came < p[first].came ||
                      (p[ix].came == p[first].came && p[ix].due > p[first].due);
        first = delivery_pace_slow(&p[ix]) && slower ? ix : first;
    }
    return first;
}

/* ------------------------------------------------------------------ sending */

bool delivery_sending_again(const struct delivery_sending *s, uint64_t silent_s)
{
    return s->tries < DELIVERY_TRIES_MAX && silent_s < DELIVERY_GIVE_UP_S &&
           s->differs < DELIVERY_DIFFERS_MAX &&
           s->attempts <
               DELIVERY_TRIES_MAX + s->counted / (s->named ? DELIVERY_PROGRESS : DELIVERY_STEP);
}

uint64_t delivery_pause_ms(unsigned nth)
{
    uint64_t pause = DELIVERY_PAUSE_MS;
    while (nth > 1 && pause < DELIVERY_PAUSE_MAX_MS) {
        pause *= 2;
        nth--;
    }
    return pause < DELIVERY_PAUSE_MAX_MS ? pause : DELIVERY_PAUSE_MAX_MS;
}

enum delivery_stage delivery_stage(bool on_circuit, bool open)
{
    return open         ? DELIVERY_STAGE_SERVICE
           : on_circuit ? DELIVERY_STAGE_CIRCUIT
                        : DELIVERY_STAGE_LOOKUP;
}

bool delivery_receiver_full(int err, enum delivery_stage stage)
{
    return err == QUDAG_ELIMIT && stage != DELIVERY_STAGE_LOOKUP;
}

bool delivery_lack(int sys_err)
{
    return sys_err == EMFILE || sys_err == ENFILE || sys_err == ENOMEM || sys_err == ENOBUFS ||
           sys_err == EAGAIN || sys_err == EINTR || sys_err == EBUSY;
}

enum delivery_claim delivery_claim(const struct delivery_sending *s, uint64_t n)
{
    if (n > s->sent) {
        return DELIVERY_CLAIM_FALSE;
    }
    bool all = n == s->size && n > s->counted;
    bool step = n >= s->counted && n - s->counted >= DELIVERY_PROGRESS;
    return all || step ? DELIVERY_CLAIM_PROGRESS : DELIVERY_CLAIM_TRUE;
}

bool delivery_offset(const struct delivery_sending *s, uint64_t offset)
{
    return offset >= s->confirmed && offset <= s->sent;
}

uint64_t delivery_patience_s(uint64_t size)
{
    return DELIVERY_GIVE_UP_S + size / (10u << 20); /* a slow disk reads 10 MiB in a second */
}

bool delivery_send_is_final(int err, unsigned nth)
{
    if (err == QUDAG_ENOTFOUND || err == QUDAG_ENEEDAUTH) {
        return nth >= 3;
    }
    return qudag_err_category((qudag_err)err) == QUDAG_CAT_USAGE || err == QUDAG_EUNSUPPORTED ||
           err == QUDAG_EEXPIRED || err == QUDAG_EAUTH;
}

enum delivery_differs delivery_hash_differs(unsigned times, bool looked, bool changed)
{
    if (looked && changed) {
        return DELIVERY_DIFFERS_CHANGED;
    }
    if (!looked) {
        return DELIVERY_DIFFERS_LOOK;
    }
    return times < DELIVERY_DIFFERS_MAX ? DELIVERY_DIFFERS_AGAIN : DELIVERY_DIFFERS_END;
}
