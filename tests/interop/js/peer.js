// A js-libp2p node on a leash: the command language of ../peer.c, the same answers.
//
//   node peer.js [--listen MULTIADDR,...] [--sec tls|noise] [--kad server|client|off] [--dht PROTOCOL] [--relay yes]
//
// Values live in the namespace "test", which takes anything here as it does in the node under test.
import { createInterface } from 'node:readline'
import { createLibp2p } from 'libp2p'
import { quic } from '@chainsafe/libp2p-quic'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { serve, streamCommands } from './streams.js'

const option = (name, otherwise) => {
  const at = process.argv.indexOf('--' + name)
  return at < 0 ? otherwise : process.argv[at + 1]
}
const kad = option('kad', 'server')
const bytes = text => new TextEncoder().encode(text)
const contentId = async text => CID.createV1(raw.code, await sha256.digest(bytes(text)))
const TIME_MS = 40000
// of one peer at a time; by default one is sent, and its DHT may be at just that
const PINGS = { maxOutboundStreams: 16, maxInboundStreams: 16 }

const dht = kadDHT({
  protocol: option('dht', '/ipfs/kad/1.0.0'),
  clientMode: kad === 'client',
  peerInfoMapper: passthroughMapper, // else loopback addresses are dropped
  validators: { test: async () => {} },
  selectors: { test: () => 0 },
  initialQuerySelfInterval: 100
})
const node = await createLibp2p({
  nodeInfo: { userAgent: 'js-interop/1' },
  addresses: { listen: option('listen', '/ip4/127.0.0.1/udp/0/quic-v1').split(',') },
  transports: [quic(), tcp(), circuitRelayTransport()],
  connectionEncrypters: { tls: [tls()], noise: [noise()], both: [tls(), noise()] }[option('sec', 'both')],
  streamMuxers: [yamux()],
  connectionGater: { denyDialMultiaddr: () => false },
  connectionManager: { inboundConnectionThreshold: 1000, maxIncomingPendingConnections: 1000 },
  connectionMonitor: { enabled: false },
  services: {
    identify: identify(),
    ping: ping(PINGS),
    ...(kad === 'off' ? {} : { dht }),
    ...(option('relay', 'no') === 'yes' ? { relay: circuitRelayServer({ reservations: { applyDefaultLimit: false } }) } : {})
  }
})
await serve(node)

const known = new Map() // peer id -> what identify told
node.addEventListener('peer:identify', e => known.set(e.detail.peerId.toString(), e.detail))

const until = async (what, look) => {
  for (let t = 0; t < TIME_MS; t += 20) {
    const found = await look()
    if (found) return found
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  throw new Error('no ' + what)
}
const signal = () => AbortSignal.timeout(TIME_MS)

const commands = {
  async connect (address) {
    await node.dial(multiaddr(address), { signal: signal() })
    return ''
  },
  async agent (id) {
    const told = await until('identify', () => known.get(id))
    return `${told.agentVersion}|${told.protocols.join(' ')}`
  },
  // what js-libp2p made of the two: undefined where there was none, or where it refused the signature
  async certified (id) {
    const told = await until('identify', () => known.get(id))
    return `${told.observedAddr}|${told.signedPeerRecord?.addresses.join(' ')}`
  },
  async ping (id) {
    return Math.round(await node.services.ping.ping(peerIdFromString(id), { signal: signal() }) * 1000)
  },
  async table (id) {
    await until('entry in the routing table', async () => node.services.dht.routingTable.find(peerIdFromString(id)))
    return ''
  },
  async put (key, value) {
    let stored = 0
    for await (const e of node.services.dht.put(bytes(key), bytes(value), { signal: signal() })) {
      if (e.name === 'PEER_RESPONSE' && e.messageName === 'PUT_VALUE') stored++
    }
    if (stored === 0) throw new Error('nobody stored the value')
    return stored
  },
  async get (key) {
    let from
    let value
    for await (const e of node.services.dht.get(bytes(key), { signal: signal() })) {
      if (e.name === 'VALUE') [value, from] = [e.value, e.from.toString()]
    }
    if (value == null) throw new Error('not found')
    return `${new TextDecoder().decode(value)} ${from}`
  },
  async provide (text) {
    let told = 0
    for await (const e of node.services.dht.provide(await contentId(text), { signal: signal() })) {
      if (e.name === 'PEER_RESPONSE' && e.messageName === 'ADD_PROVIDER') told++
    }
    if (told === 0) throw new Error('nobody took the provider record')
    return told
  },
  async find (text) {
    const found = new Set()
    for await (const e of node.services.dht.findProviders(await contentId(text), { signal: signal() })) {
      if (e.name === 'PROVIDER') for (const p of e.providers) found.add(p.id.toString())
    }
    if (found.size === 0) throw new Error('no providers')
    return [...found].join(' ')
  },
  async closest (key) {
    const found = []
    for await (const e of node.services.dht.getClosestPeers(bytes(key), { signal: signal() })) {
      if (e.name === 'FINAL_PEER') found.push(e.peer.id.toString())
    }
    if (found.length === 0) throw new Error('no peers')
    return found.join(' ')
  },
  async findpeer (id) {
    const found = await node.peerRouting.findPeer(peerIdFromString(id), { signal: signal() })
    return found.multiaddrs.join(' ')
  },
  async links () {
    return node.getConnections().map(c => c.remotePeer.toString()).join(' ')
  },
  async hangup (id) {
    await node.hangUp(peerIdFromString(id))
    return ''
  },
  // dials and hangs up; the answer is the time in us
  async handshakes (address, many) {
    const begin = performance.now()
    for (let i = 0; i < Number(many); i++) {
      const link = await node.dial(multiaddr(address), { signal: signal() })
      await link.close()
    }
    return Math.round((performance.now() - begin) * 1000)
  },
  // asks a relay for a place; the answer is the address at which we are reached through it
  async reserve (address) {
    await node.dial(multiaddr(address), { signal: signal() })
    await node.components.transportManager.listen([multiaddr(address + '/p2p-circuit')])
    await until('reservation', () => node.getMultiaddrs().some(a => a.toString().includes('/p2p-circuit')))
    return `${address}/p2p-circuit/p2p/${node.peerId}`
  },
  ...streamCommands(node)
}

const oneLine = text => String(text).replaceAll('\n', ' ')
console.log('PEER', node.peerId.toString())
for (const address of node.getMultiaddrs()) console.log('ADDR', address.toString())
console.log('READY')
for await (const line of createInterface({ input: process.stdin })) {
  const [verb, ...rest] = line.split(' ')
  if (verb === 'quit') break
  try {
    if (!(verb in commands)) throw new Error('unknown command')
    console.log('OK', oneLine(await commands[verb](...rest)))
  } catch (err) {
    console.log('FAIL', err.name, oneLine(err.message))
  }
}
await node.stop()
process.exit(0)
