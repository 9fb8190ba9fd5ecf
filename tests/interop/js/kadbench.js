// Lookups among js-libp2p nodes of one process, all connected over QUIC: the work of bench/dht_bench.c.
//
//   node kadbench.js NODES FINDS      each node looks up the closest to FINDS keys
//
// Prints one line: js P50_MS P95_MS CPU_MS REQUESTS FOUND_20 RSS_PER_NODE TABLE_PEERS
import { createLibp2p } from 'libp2p'
import { quic } from '@chainsafe/libp2p-quic'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'

const [nodes, finds] = process.argv.slice(2).map(Number)
const LIMIT_MS = Number(process.argv[4] ?? 100000) // of the measured part: what is not done by then is left out
const pause = ms => new Promise(resolve => setTimeout(resolve, ms))
const bytes = text => new TextEncoder().encode(text)

const make = () => createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/udp/0/quic-v1'] },
  transports: [quic()],
  connectionGater: { denyDialMultiaddr: () => false },
  connectionManager: { inboundConnectionThreshold: 10000, maxIncomingPendingConnections: 10000, maxConnections: 10000 },
  connectionMonitor: { enabled: false },
  services: {
    identify: identify(),
    ping: ping(),
    dht: kadDHT({ protocol: '/ipfs/kad/1.0.0', clientMode: false, peerInfoMapper: passthroughMapper, initialQuerySelfInterval: 100 })
  }
})

const before = process.memoryUsage().rss
const all = []
for (let i = 0; i < nodes; i++) all.push(await make())
for (let i = 1; i < nodes; i++) {
  for (let j = 0; j < i; j++) await all[i].dial(all[j].getMultiaddrs()[0])
}
await pause(4000)
await Promise.all(all.map(n => n.services.dht.refreshRoutingTable().catch(() => {})))
await pause(2000)
const rss = (process.memoryUsage().rss - before) / nodes
const peers = all.reduce((sum, n) => sum + n.services.dht.routingTable.size, 0) / nodes

const spent = () => { const c = process.cpuUsage(); return (c.user + c.system) / 1000 }
const ms = []
let requests = 0
let found20 = 0
const from = [spent(), performance.now()]
const late = () => performance.now() - from[1] > LIMIT_MS
for (let k = 0; k < finds && !late(); k++) {
  for (let i = 0; i < nodes && !late(); i++) {
    const start = performance.now()
    const found = new Set()
    for await (const e of all[i].services.dht.getClosestPeers(bytes(`/bench/key-${i * finds + k}`))) {
      if (e.name === 'SEND_QUERY') requests++
      if (e.name === 'FINAL_PEER') found.add(e.peer.id.toString())
    }
    ms.push(performance.now() - start)
    if (found.size >= 20) found20++
  }
}
const cpu = (spent() - from[0]) / ms.length
const n = ms.length
if (n < nodes * finds) console.error(`kadbench: ${n} of ${nodes * finds} lookups in ${LIMIT_MS / 1000} s`)
ms.sort((a, b) => a - b)
console.log('js', ms[Math.floor(n / 2)], ms[Math.floor(n * 0.95)], cpu, requests / n, found20 / n, rss, peers)
process.exit(0)
