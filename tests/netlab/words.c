/* words.c - a word is a kind, or NAME=VALUE. */
#include "words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const depends[] = {"independent", "address", "address-port"};
static const char *const ports[] = {"preserve", "sequential", "random"};

static const struct kind {
    const char *name;
    enum nat_depends mapping, filter;
    enum nat_ports ports;
} kinds[] = {
    {"full-cone", NAT_INDEPENDENT, NAT_INDEPENDENT, NAT_PRESERVE},
    {"restricted", NAT_INDEPENDENT, NAT_ADDRESS, NAT_PRESERVE},
    {"port-restricted", NAT_INDEPENDENT, NAT_ADDRESS_PORT, NAT_PRESERVE},
    {"symmetric", NAT_ADDRESS_PORT, NAT_ADDRESS_PORT, NAT_RANDOM},
};

/* The place of |text| in |names|; |n|: nowhere. */
static unsigned place(const char *text, const char *const *names, unsigned n)
{
    unsigned i = 0;

    while (i < n && strcmp(text, names[i]) != 0) {
        i++;
    }
    return i;
}

/* A decimal number of at most |max|. */
static bool number(const char *text, uint64_t max, uint64_t *v, char **end)
{
    errno = 0;
    *v = strtoull(text, end, 10);
    return *end != text && errno == 0 && *v <= max;
}

static bool whole_number(const char *text, uint64_t max, uint64_t *v)
{
    char *end;

    return number(text, max, v, &end) && *end == 0;
}

static bool nat_kind(struct nat_config *cfg, const char *word)
{
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (strcmp(word, kinds[i].name) == 0) {
            cfg->mapping = kinds[i].mapping;
            cfg->filter = kinds[i].filter;
            cfg->ports = kinds[i].ports;
            return true;
        }
    }
    return false;
}

static bool nat_number(struct nat_config *cfg, const char *name, const char *value)
{
    uint64_t v;

    if (!whole_number(value, UINT32_MAX, &v)) {
        return false;
    }
    if (strcmp(name, "timeout_ms") == 0) {
        cfg->timeout_ns = v * NS_PER_MS;
    } else if (strcmp(name, "timeout_new_ms") == 0) {
        cfg->timeout_new_ns = v * NS_PER_MS;
    } else if (strcmp(name, "per_host") == 0) {
        cfg->per_host_max = (uint32_t)v;
    } else if (strcmp(name, "lo") == 0 && v <= UINT16_MAX) {
        cfg->lo = (uint16_t)v;
    } else if (strcmp(name, "hi") == 0 && v <= UINT16_MAX) {
        cfg->hi = (uint16_t)v;
    } else if (strcmp(name, "step") == 0 && v <= UINT16_MAX) {
        cfg->step = (uint16_t)v;
    } else if (strcmp(name, "hairpin") == 0) {
        cfg->hairpin = v != 0;
    } else if (strcmp(name, "refresh_in") == 0) {
        cfg->refresh_in = v != 0;
    } else if (strcmp(name, "rejects") == 0) {
        cfg->rejects = v != 0;
    } else {
        return false;
    }
    return true;
}

static bool nat_word(struct nat_config *cfg, char *word)
{
    char *value = strchr(word, '=');
    unsigned at;

    if (value == NULL) {
        return nat_kind(cfg, word);
    }
    *value++ = 0;
    if (strcmp(word, "mapping") == 0 || strcmp(word, "filter") == 0) {
        at = place(value, depends, COUNT(depends));
        *(word[0] == 'm' ? &cfg->mapping : &cfg->filter) = (enum nat_depends)at;
        return at < COUNT(depends);
    }
    if (strcmp(word, "ports") == 0) {
        at = place(value, ports, COUNT(ports));
        cfg->ports = (enum nat_ports)at;
        return at < COUNT(ports);
    }
    return nat_number(cfg, word, value);
}

bool words_nat(struct nat_config *cfg, char *text)
{
    char *rest = NULL;

    for (char *w = strtok_r(text, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest)) {
        if (!nat_word(cfg, w)) {
            return false;
        }
    }
    return true;
}

static bool burst(struct wire_config *cfg, const char *value)
{
    uint64_t in, out;
    char *end;

    if (!number(value, 1000, &in, &end) || *end != '/' || !whole_number(end + 1, 1000, &out)) {
        return false;
    }
    cfg->burst_in = (uint32_t)in;
    cfg->burst_out = (uint32_t)out;
    return true;
}

static bool wire_word(struct wire_config *cfg, char *word)
{
    char *value = strchr(word, '=');
    uint64_t v;

    if (value == NULL) {
        return false;
    }
    *value++ = 0;
    if (strcmp(word, "burst") == 0) {
        return burst(cfg, value);
    }
    if (!whole_number(value, UINT32_MAX, &v)) {
        return false;
    }
    if (strcmp(word, "delay_ms") == 0) {
        cfg->delay_ns = v * NS_PER_MS;
    } else if (strcmp(word, "jitter_ms") == 0) {
        cfg->jitter_ns = v * NS_PER_MS;
    } else if (strcmp(word, "loss") == 0) {
        cfg->loss = (uint32_t)v;
    } else if (strcmp(word, "rate_kbit") == 0) {
        cfg->rate = v * 1000;
    } else if (strcmp(word, "limit") == 0) {
        cfg->limit = v;
    } else if (strcmp(word, "mtu") == 0) {
        cfg->mtu = v;
    } else if (strcmp(word, "down") == 0) {
        cfg->down = v != 0;
    } else {
        return false;
    }
    return true;
}

bool words_wire(struct wire_config *cfg, char *text)
{
    char *rest = NULL;

    *cfg = (struct wire_config){0};
    for (char *w = strtok_r(text, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest)) {
        if (!wire_word(cfg, w)) {
            return false;
        }
    }
    return true;
}
