/* frame.h - messages on a stream: an unsigned varint with the length, then the message. */
#ifndef QUDAG_SRC_CORE_KAD_COMMON_FRAME_H
#define QUDAG_SRC_CORE_KAD_COMMON_FRAME_H

#include "base/types.h"

/* 1: a whole message at the head of |in|, *used bytes with its length; 0: not yet; -1: never. */
int kad_frame(struct slice in, struct slice *msg, size_t *used);

#endif
