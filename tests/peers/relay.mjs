// A client of the event relay as web pages have one: the connection of nostr-tools, ids as the protocol's JavaScript
// library computes them, signatures as a wallet makes them. Prints what it saw as JSON.
//
//   node relay.mjs PEERS/npm ws://HOST:PORT/
import { createRequire } from 'node:module'

const [folder, url] = process.argv.slice(2)
const require = createRequire(folder + '/package.json')
const { AbstractRelay } = require('nostr-tools/abstract-relay')
const { secp256k1 } = require('@noble/curves/secp256k1')
const { keccak_256 } = require('@noble/hashes/sha3')
const { addr } = require('micro-eth-signer')
const { personal } = require('micro-eth-signer/typed-data')

const key = '0x' + '07'.repeat(32)
const address = addr.fromPublicKey(secp256k1.getPublicKey(key.slice(2))).slice(2)
const serialized = it => JSON.stringify([0, it.pubkey, it.created_at, it.kind, it.tags, it.content])
const hex = bytes => Buffer.from(bytes).toString('hex')

// A string's length counts UTF-16 units, so this is not what the wallet signs once a letter is not ASCII.
const idOf = it => {
  const text = serialized(it)
  return hex(keccak_256(new TextEncoder().encode(`\x19Ethereum Signed Message:\n${text.length}${text}`)))
}
const signed = (kind, tags, content, pubkey = address) => {
  const event = { kind, tags, content, pubkey, created_at: Math.floor(Date.now() / 1000) }
  return { ...event, id: idOf(event), sig: personal.sign(serialized(event), key).slice(2) }
}
const holds = it => {
  const v = Number.parseInt(it.sig.slice(128), 16)
  const sig = '0x' + it.sig.slice(0, 128) + (v < 27 ? v + 27 : v).toString(16)
  try {
    return it.id === idOf(it) && personal.verify(sig, serialized(it), '0x' + it.pubkey)
  } catch {
    return false
  }
}

const tags = (...more) => [['d', 'subspace_op'], ['sid', '0xJS'], ['op', 'post'], ...more]
const relay = await AbstractRelay.connect(url, { verifyEvent: holds, websocketImplementation: require('ws') })
const asked = filter =>
  new Promise(resolve => {
    const events = []
    const sub = relay.subscribe([filter], {
      onevent: it => events.push(it),
      oneose: () => (resolve(events), sub.close()),
      onclose: reason => resolve(reason),
    })
  })
const live = []
await new Promise(resolve => {
  const filter = { kinds: [30300], '#sid': ['0xJS'], authors: [address] }
  relay.subscribe([filter], { onevent: it => live.push(it.content), oneose: resolve })
})

const seen = { address }
const posts = [
  signed(30300, tags(), 'plain'),
  signed(30300, tags(['parent']), 'größer 🙂 \u2028'),
  signed(30300, tags(), 'by a wallet', address.toLowerCase()),
]
seen.taken = []
for (const event of posts) seen.taken.push(await relay.publish(event))
seen.again = await relay.publish(posts[1])
const child = signed(30300, tags(['parent', posts[0].id, posts[1].id]), 'child')
await relay.publish(child)
const begun = Date.now()
seen.refused = await relay.publish({ ...posts[0], content: 'changed' }).catch(it => it.message)
seen.refusedInTime = Date.now() - begun < 4000
seen.stored = (await asked({ kinds: [30300], '#sid': ['0xJS'] })).map(it => it.content).sort()
seen.byId = (await asked({ ids: [posts[1].id] })).map(it => it.content)
seen.byLowerCase = (await asked({ authors: [address.toLowerCase()] })).map(it => it.content)
// The relay finds every parent; this client shows only what has it as the first value.
seen.byFirstParent = (await asked({ '#parent': [posts[0].id] })).length
seen.bySecondParent = (await asked({ '#parent': [posts[1].id] })).length
seen.count = await relay.count([{ '#sid': ['0xJS'] }])
// What the daemon signs for clients such as this one.
seen.subspaces = (await asked({ kinds: [30100] })).map(it => it.tags.find(tag => tag[0] === 'subspace_name')[1])

await relay.publish(signed(30410, tags(['session_id', 's']), '{"messages":[]}'))
seen.closed = await asked({ kinds: [30410] })
await relay.auth(async it => signed(it.kind, it.tags, it.content))
seen.opened = (await asked({ kinds: [30410] })).length
seen.live = live
console.log(JSON.stringify(seen))
relay.close()
process.exit(0)
