/* qudag.h - umbrella header: includes all others. */
#ifndef QUDAG_QUDAG_H
#define QUDAG_QUDAG_H

#include <qudag/channel.h>
#include <qudag/dark.h>
#include <qudag/dht.h>
#include <qudag/error.h>
#include <qudag/expose.h>
#include <qudag/identity.h>
#include <qudag/inbox.h>
#include <qudag/join.h>
#include <qudag/keep.h>
#include <qudag/keyring.h>
#include <qudag/limits.h>
#include <qudag/node.h>
#include <qudag/onion.h>
#include <qudag/peer.h>
#include <qudag/proxy.h>
#include <qudag/reach.h>
#include <qudag/relay.h>
#include <qudag/send.h>
#include <qudag/settings.h>
#include <qudag/stats.h>
#include <qudag/stream.h>
#include <qudag/text.h>
#include <qudag/tunnel.h>
#include <qudag/types.h>
#include <qudag/version.h>

#endif
