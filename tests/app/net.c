/* net.c - the nodes of tests/api, for tests that look inside one of them. */
#include "../api/net.c"
