/* padding.h - how much is sent only so that others see less. */
#ifndef QUDAG_SRC_NODE_PADDING_H
#define QUDAG_SRC_NODE_PADDING_H

/* First exchanges of circuits (spec/onion.md 9), and links to guards (spec/link.md 6). */
enum node_padding {
    NODE_PADDING_FULL,    /* both */
    NODE_PADDING_REDUCED, /* the same, the latter less often and for less long */
    NODE_PADDING_NONE,
};

#endif
