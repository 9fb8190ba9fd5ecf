// The protocols of the test; ../peer_streams.h says what each does.
import { createHash } from 'node:crypto'
import { peerIdFromString } from '@libp2p/peer-id'

const name = what => `/interop/${what}/1.0.0`
const BLOCK = 65536
const HALF_BYTES = 100000 // after the other side's end
const STREAM_BYTES = 64
const MANY = { maxInboundStreams: 4096, maxOutboundStreams: 4096, runOnLimitedConnection: true }
const TIME_MS = 120000

// what is sent again and again
const block = new Uint8Array(BLOCK)
for (let i = 0, x = 1; i < BLOCK; i++) {
  x = (Math.imul(x, 1664525) + 1013904223) >>> 0
  block[i] = x >>> 24
}

const number = value => {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, BigInt(value))
  return out
}
const same = (a, b) => Buffer.compare(a, b) === 0

const write = async (stream, data) => {
  if (!stream.send(data)) await stream.onDrain({ signal: AbortSignal.timeout(TIME_MS) })
}

const sendBlocks = async (stream, total, hashed) => {
  const hash = createHash('sha256')
  for (let left = total; left > 0; left -= BLOCK) {
    const part = left < BLOCK ? block.subarray(0, left) : block
    if (hashed) hash.update(part)
    await write(stream, part)
  }
  return hash.digest()
}

// What comes on a stream, by numbers of bytes.
class Reader {
  constructor (stream) {
    this.chunks = stream[Symbol.asyncIterator]()
    this.rest = new Uint8Array(0)
  }

  // at most |limit| bytes; empty at the end
  async some (limit) {
    while (this.rest.length === 0) {
      const { value, done } = await this.chunks.next()
      if (done) return this.rest
      this.rest = value.subarray()
    }
    const part = this.rest.subarray(0, limit)
    this.rest = this.rest.subarray(part.length)
    return part
  }

  // |total| bytes, fewer at the end; each part goes to |see|
  async take (total, see) {
    let got = 0
    while (got < total) {
      const part = await this.some(total - got)
      if (part.length === 0) break
      see(part)
      got += part.length
    }
    return got
  }

  async bytes (total) {
    const parts = []
    await this.take(total, part => parts.push(Buffer.from(part)))
    return Buffer.concat(parts)
  }
}

export const counters = { resets: 0, seen: 0 }

const sink = hashed => async stream => {
  const hash = createHash('sha256')
  const got = await new Reader(stream).take(Infinity, part => { if (hashed) hash.update(part) })
  await write(stream, number(got))
  if (hashed) await write(stream, hash.digest())
}

const servers = {
  async echo (stream) {
    try {
      for await (const chunk of stream) await write(stream, chunk)
    } catch (err) {
      counters.resets++
      throw err
    }
  },
  sink: sink(true),
  count: sink(false),
  async source (stream) {
    const head = await new Reader(stream).bytes(8)
    await write(stream, await sendBlocks(stream, Number(head.readBigUInt64BE()), true))
  },
  async half (stream) {
    const reader = new Reader(stream)
    await reader.bytes(1)
    await write(stream, Buffer.from('bye'))
    await stream.close()
    counters.seen = 1 + await reader.take(Infinity, () => {})
  },
  async refuse (stream) {
    await new Reader(stream).bytes(1)
    throw new Error('refused')
  }
}

export const serve = async node => {
  for (const [what, server] of Object.entries(servers)) {
    await node.handle(name(what), async stream => {
      try {
        await server(stream)
        await stream.close()
      } catch (err) {
        stream.abort(err)
      }
    }, MANY)
  }
}

// Writes to an echo stream and reads it back.
const turn = async (stream, reader, data) => {
  await write(stream, data)
  if (!same(await reader.bytes(data.length), data)) throw new Error('the echo differs')
}

export const streamCommands = node => {
  let kept
  const open = (id, what) =>
    node.getConnections(peerIdFromString(id))[0].newStream(name(what), { ...MANY, signal: AbortSignal.timeout(TIME_MS) })
  const one = async (id, what, work) => {
    const stream = await open(id, what)
    try {
      const answer = await work(stream, new Reader(stream))
      await stream.close()
      return answer
    } catch (err) {
      stream.abort(err)
      throw err
    }
  }
  const shortEcho = (id, i) => one(id, 'echo', async (stream, reader) => {
    const data = new Uint8Array(STREAM_BYTES).map((_, k) => (i >> 8 * (k & 1)) & 255)
    await turn(stream, reader, data)
    await stream.close()
    if ((await reader.bytes(1)).length !== 0) throw new Error('more than was sent came back')
  })
  const poured = async (id, total, hashed) => one(id, hashed ? 'sink' : 'count', async (stream, reader) => {
    const begin = performance.now()
    const sum = await sendBlocks(stream, total, hashed)
    await stream.close()
    const wanted = Buffer.concat([number(total), hashed ? sum : Buffer.alloc(0)])
    if (!same(await reader.bytes(Infinity), wanted)) throw new Error('the peer got something else')
    return hashed ? sum.toString('hex') : Math.round((performance.now() - begin) * 1000)
  })
  return {
    async streams (id, many) {
      await Promise.all(Array.from({ length: Number(many) }, (_, i) => shortEcho(id, i)))
      return many
    },
    send: (id, total) => poured(id, Number(total), true),
    pour: (id, total) => poured(id, Number(total), false),
    fetch: (id, total) => one(id, 'source', async (stream, reader) => {
      await write(stream, number(total))
      await stream.close()
      const hash = createHash('sha256')
      await reader.take(Number(total), part => hash.update(part))
      const sum = hash.digest()
      if (!same(await reader.bytes(Infinity), sum)) throw new Error('what came is something else')
      return sum.toString('hex')
    }),
    half: id => one(id, 'half', async (stream, reader) => {
      await write(stream, Buffer.from('x'))
      if ((await reader.bytes(Infinity)).toString() !== 'bye') throw new Error('no bye')
      await sendBlocks(stream, HALF_BYTES, false)
      return ''
    }),
    refuse: id => one(id, 'refuse', async (stream, reader) => {
      await write(stream, Buffer.from('x'))
      const ended = await reader.bytes(1).then(() => true, () => false)
      if (ended) throw new Error('the stream ended without a reset')
      return ''
    }),
    async reset (id) {
      const stream = await open(id, 'echo')
      await turn(stream, new Reader(stream), Buffer.from('reset me'))
      stream.abort(new Error('reset'))
      return ''
    },
    async open (id) {
      const stream = await open(id, 'echo')
      kept = { stream, reader: new Reader(stream) }
      await turn(stream, kept.reader, Buffer.from('opened'))
      return ''
    },
    async use () {
      await turn(kept.stream, kept.reader, Buffer.from('still there'))
      return ''
    },
    resets: async () => counters.resets,
    seen: async () => counters.seen
  }
}
