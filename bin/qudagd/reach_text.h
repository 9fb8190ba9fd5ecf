/* reach_text.h - how this node and its peers are reached, in words; pure, reach_text_test.c has the table. */
#ifndef QUDAG_BIN_QUDAGD_REACH_TEXT_H
#define QUDAG_BIN_QUDAGD_REACH_TEXT_H

#include <qudag/reach.h>

#define REACH_TEXT_LEN 400

/* Networks that dialled back to the best address of an IP version, and those that could not to any. */
struct reach_votes {
    uint32_t yes4, no4, yes6, no6;
};

/* "IPv4 private (4 networks could not dial back), IPv6 unknown". */
void reach_text(char *out, size_t cap, const qudag_reach *r, const struct reach_votes *v);
/* What is seen of the NAT, by STUN and by dial-backs; "" where nothing is. */
void reach_text_nat(char *out, size_t cap, const qudag_reach *r, const struct reach_votes *v);
/* "udp 192.168.1.2:4433 at 203.0.113.7:4433, by upnp", or why it is not. */
void reach_text_port(char *out, size_t cap, const qudag_port *p);
/* Whether the evidence of an address is worth a row: nobody dials loopback, but where it is announced (a lab). */
bool reach_text_shows(const qudag_reach_addr *a);
/* "ADDRESS, observed, public (5 dialled back, 0 could not), announced". */
void reach_text_addr(char *out, size_t cap, const qudag_reach_addr *a);
/* "none", "direct", "met" (found by meeting), "relayed", "relayed, meeting"; static. */
const char *reach_path_word(const qudag_path *p);

#endif
