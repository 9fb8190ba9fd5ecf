//! A rust-libp2p node on a leash: the command language of ../../peer.c, the same answers.
//!
//!     interop [--listen MULTIADDR,...] [--sec tls|noise] [--kad server|client|off] [--relay yes] [--punch yes]
mod opener;
mod streams;

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::core::connection::ConnectedPoint;
use libp2p::kad::{self, store::MemoryStore, QueryResult, RecordKey};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{NetworkBehaviour, Stream, StreamProtocol, SwarmEvent};
use libp2p::{dcutr, identify, noise, ping, relay, tcp, tls, yamux, Multiaddr, PeerId, Swarm, SwarmBuilder};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use streams::Counters;

const KAD: StreamProtocol = StreamProtocol::new("/interop/kad/1.0.0");
const ANSWER: Duration = Duration::from_secs(40);

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    kad: Toggle<kad::Behaviour<MemoryStore>>,
    relay: Toggle<relay::Behaviour>,
    relay_client: relay::client::Behaviour,
    dcutr: Toggle<dcutr::Behaviour>,
    opener: opener::Behaviour,
}

type Event = SwarmEvent<BehaviourEvent>;
type Answer = Result<String, String>;

struct Peer {
    swarm: Swarm<Behaviour>,
    counters: Arc<Counters>,
    identified: HashMap<PeerId, String>,
    links: Vec<(PeerId, Multiaddr)>,
    kept: Option<Stream>, // of "open"
}

fn option(name: &str, otherwise: &str) -> String {
    let args: Vec<String> = std::env::args().collect();
    let at = args.iter().position(|a| *a == format!("--{name}"));
    at.and_then(|i| args.get(i + 1).cloned()).unwrap_or(otherwise.into())
}

fn behaviour(key: &libp2p::identity::Keypair, relay_client: relay::client::Behaviour, counters: Arc<Counters>) -> Behaviour {
    let id = key.public().to_peer_id();
    let kad = option("kad", "server");
    let dht = (kad != "off").then(|| {
        let mut config = kad::Config::new(KAD);
        config.set_periodic_bootstrap_interval(None);
        let mut dht = kad::Behaviour::with_config(id, MemoryStore::new(id), config);
        dht.set_mode(Some(if kad == "client" { kad::Mode::Client } else { kad::Mode::Server }));
        dht
    });
    let limits = relay::Config { max_circuit_bytes: 0, ..Default::default() }; // none
    let relay = (option("relay", "no") == "yes").then(|| relay::Behaviour::new(id, limits));
    let identify = identify::Config::new_with_signed_peer_record("interop/1".into(), key).with_agent_version("rust-interop/1".into());
    Behaviour {
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::default(),
        kad: dht.into(),
        relay: relay.into(),
        relay_client,
        dcutr: (option("punch", "no") == "yes").then(|| dcutr::Behaviour::new(id)).into(),
        opener: opener::Behaviour::new(counters),
    }
}

/// The two kinds of security give builders of different types, hence a macro.
macro_rules! swarm_with {
    ($security:expr, $counters:expr) => {
        SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default().nodelay(true), $security, yamux::Config::default)?
            .with_quic()
            .with_relay_client($security, yamux::Config::default)?
            .with_behaviour(|key, client| behaviour(key, client, $counters))?
            .with_swarm_config(|c| {
                c.with_idle_connection_timeout(Duration::from_secs(3600)).with_max_negotiating_inbound_streams(2048)
            })
            .build()
    };
}

fn swarm(counters: Arc<Counters>) -> Result<Swarm<Behaviour>, Box<dyn Error>> {
    Ok(match option("sec", "both").as_str() {
        "tls" => swarm_with!(tls::Config::new, counters),
        "noise" => swarm_with!(noise::Config::new, counters),
        _ => swarm_with!((tls::Config::new, noise::Config::new), counters),
    })
}

/// The key under which a provider of |text| is found: its sha2-256 multihash.
fn content_key(text: &str) -> RecordKey {
    let mut key = vec![0x12, 0x20];
    key.extend_from_slice(&Sha256::digest(text.as_bytes()));
    RecordKey::new(&key)
}

fn words(ids: impl IntoIterator<Item = impl ToString>) -> String {
    ids.into_iter().map(|i| i.to_string()).collect::<Vec<_>>().join(" ")
}

impl Peer {
    /// What every event is noted for, whoever waits for it.
    fn note(&mut self, event: &Event) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => self.swarm.add_external_address(address.clone()),
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                let address = match endpoint {
                    ConnectedPoint::Dialer { address, .. } => address,
                    ConnectedPoint::Listener { send_back_addr, .. } => send_back_addr,
                };
                self.links.push((*peer_id, address.clone()));
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                self.links.retain(|(id, _)| id != peer_id);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. })) => {
                let protocols = words(info.protocols.iter());
                self.identified.insert(*peer_id, format!("{}|{protocols}", info.agent_version));
                if let (true, Some(kad)) = (info.protocols.contains(&KAD), self.swarm.behaviour_mut().kad.as_mut()) {
                    for address in &info.listen_addrs {
                        kad.add_address(peer_id, address.clone());
                    }
                }
            }
            _ => {}
        }
    }

    /// Runs the node until |look| has an answer.
    async fn until<T>(&mut self, mut look: impl FnMut(&mut Self, &Event) -> Option<T>) -> T {
        loop {
            let event = self.swarm.select_next_some().await;
            self.note(&event);
            if let Some(found) = look(self, &event) {
                return found;
            }
        }
    }

    /// Runs the node until |work| is done.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                event = self.swarm.select_next_some() => self.note(&event),
            }
        }
    }

    async fn poll_for(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<String>) -> Answer {
        let end = Instant::now() + ANSWER;
        while Instant::now() < end {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            self.during(tokio::time::sleep(Duration::from_millis(20))).await;
        }
        Err(format!("no {what}"))
    }

    async fn connect(&mut self, address: &str) -> Answer {
        let address: Multiaddr = address.parse().map_err(|e| format!("{e}"))?;
        let options = DialOpts::from(address);
        let wanted = options.connection_id();
        self.swarm.dial(options).map_err(|e| e.to_string())?;
        self.until(|_, event| match event {
            SwarmEvent::ConnectionEstablished { connection_id, .. } if *connection_id == wanted => Some(Ok(String::new())),
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } if *connection_id == wanted => {
                Some(Err(format!("{error:?}")))
            }
            _ => None,
        })
        .await
    }

    async fn hangup(&mut self, id: PeerId) -> Answer {
        if self.swarm.disconnect_peer_id(id).is_err() {
            return Ok(String::new()); // there is no connection
        }
        self.until(|_, event| match event {
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } if *peer_id == id => Some(Ok(String::new())),
            _ => None,
        })
        .await
    }

    /// Dials and hangs up; the answer is the time in us.
    async fn handshakes(&mut self, address: &str, count: u64) -> Answer {
        let id = address.rsplit('/').next().and_then(|t| t.parse().ok()).ok_or("no peer id")?;
        let begin = Instant::now();
        for _ in 0..count {
            self.connect(address).await?;
            self.hangup(id).await?;
        }
        Ok(begin.elapsed().as_micros().to_string())
    }

    fn kad(&mut self) -> Result<&mut kad::Behaviour<MemoryStore>, String> {
        self.swarm.behaviour_mut().kad.as_mut().ok_or("no DHT".into())
    }

    /// Runs a query to its end; |take| sees each of its results.
    async fn query(&mut self, query: kad::QueryId, mut take: impl FnMut(&QueryResult)) {
        self.until(|_, event| match event {
            SwarmEvent::Behaviour(BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed { id, result, step, .. })) if *id == query => {
                take(result);
                step.last.then_some(())
            }
            _ => None,
        })
        .await
    }

    async fn put(&mut self, key: &str, value: &str) -> Answer {
        let record = kad::Record::new(key.as_bytes().to_vec(), value.as_bytes().to_vec());
        let id = self.kad()?.put_record(record, kad::Quorum::One).map_err(|e| e.to_string())?;
        let mut answer = Err("no result".to_string());
        self.query(id, |result| {
            if let QueryResult::PutRecord(r) = result {
                answer = r.as_ref().map(|_| "1".into()).map_err(|e| e.to_string());
            }
        })
        .await;
        answer
    }

    async fn get(&mut self, key: &str) -> Answer {
        let id = self.kad()?.get_record(RecordKey::new(&key.as_bytes()));
        let mut answer = Err("not found".to_string());
        self.query(id, |result| {
            if let QueryResult::GetRecord(Ok(kad::GetRecordOk::FoundRecord(found))) = result {
                answer = Ok(String::from_utf8_lossy(&found.record.value).into());
            }
        })
        .await;
        answer
    }

    async fn provide(&mut self, text: &str) -> Answer {
        let id = self.kad()?.start_providing(content_key(text)).map_err(|e| e.to_string())?;
        let mut answer = Err("no result".to_string());
        self.query(id, |result| {
            if let QueryResult::StartProviding(r) = result {
                answer = r.as_ref().map(|_| "1".into()).map_err(|e| e.to_string());
            }
        })
        .await;
        answer
    }

    async fn find(&mut self, text: &str) -> Answer {
        let id = self.kad()?.get_providers(content_key(text));
        let mut found = HashSet::new();
        self.query(id, |result| {
            if let QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders { providers, .. })) = result {
                found.extend(providers.iter().cloned());
            }
        })
        .await;
        if found.is_empty() {
            return Err("no providers".into());
        }
        Ok(words(found))
    }

    async fn closest(&mut self, key: Vec<u8>) -> Vec<kad::PeerInfo> {
        let mut peers = Vec::new();
        let Ok(kad) = self.kad() else { return peers };
        let id = kad.get_closest_peers(key);
        self.query(id, |result| {
            if let QueryResult::GetClosestPeers(Ok(found)) = result {
                peers.extend(found.peers.iter().cloned());
            }
        })
        .await;
        peers
    }

    async fn find_peer(&mut self, id: PeerId) -> Answer {
        let found = self.closest(id.to_bytes()).await;
        match found.into_iter().find(|p| p.peer_id == id) {
            Some(p) => Ok(words(p.addrs)),
            None => Err("not found".into()),
        }
    }

    async fn table(&mut self, id: PeerId) -> Answer {
        self.poll_for("entry in the routing table", |peer| {
            let bucket = peer.kad().ok()?.kbucket(id)?;
            let there = bucket.iter().any(|e| *e.node.key.preimage() == id);
            there.then(String::new)
        })
        .await
    }

    /// Asks a relay for a place; the answer is the address at which we are reached through it.
    async fn reserve(&mut self, relay: &str) -> Answer {
        self.connect(relay).await?;
        let address: Multiaddr = relay.parse().map_err(|e| format!("{e}"))?;
        let listener = self.swarm.listen_on(address.with(Protocol::P2pCircuit)).map_err(|e| e.to_string())?;
        let answer = self
            .until(|_, event| match event {
                SwarmEvent::Behaviour(BehaviourEvent::RelayClient(relay::client::Event::ReservationReqAccepted { .. })) => Some(Ok(())),
                SwarmEvent::ListenerClosed { listener_id, reason, .. } if *listener_id == listener => Some(Err(format!("{reason:?}"))),
                _ => None,
            })
            .await;
        answer.map(|_| format!("{relay}/p2p-circuit/p2p/{}", self.swarm.local_peer_id()))
    }

    /// Opens a stream and does |work| on it, while the node runs.
    async fn one<F: Future<Output = Answer>>(&mut self, id: PeerId, p: StreamProtocol, work: impl FnOnce(Stream) -> F) -> Answer {
        let opened = self.swarm.behaviour_mut().opener.open(id, p);
        self.during(async { work(opened.await.map_err(|_| "the connection is gone")??).await }).await
    }

    /// At most 256 at once: its yamux ends a connection with 512, instead of letting the next one wait.
    async fn many_streams(&mut self, id: PeerId, many: usize) -> Answer {
        let mut running = tokio::task::JoinSet::new();
        let mut begun = 0;
        while begun < many || !running.is_empty() {
            while begun < many && running.len() < 256 {
                let (opened, i) = (self.swarm.behaviour_mut().opener.open(id, streams::ECHO), begun);
                running.spawn(async move {
                    let stream = opened.await.map_err(|_| "the connection is gone")??;
                    streams::short_echo(stream, i).await
                });
                begun += 1;
            }
            if let Some(done) = self.during(running.join_next()).await {
                done.map_err(|e| e.to_string())??;
            }
        }
        Ok(many.to_string())
    }

    async fn open(&mut self, id: PeerId) -> Answer {
        let opened = self.swarm.behaviour_mut().opener.open(id, streams::ECHO);
        let stream = self
            .during(async {
                let mut stream = opened.await.map_err(|_| "the connection is gone")??;
                streams::turn(&mut stream, b"opened").await.map(|_| stream)
            })
            .await?;
        self.kept = Some(stream);
        Ok(String::new())
    }

    async fn r#use(&mut self) -> Answer {
        let mut stream = self.kept.take().ok_or("no stream is open")?;
        let answer = self.during(streams::turn(&mut stream, b"still there")).await;
        self.kept = Some(stream);
        answer
    }

    async fn command(&mut self, verb: &str, a: &str, b: &str) -> Answer {
        match verb {
            // those whose first word is no peer id
            "connect" => return self.connect(a).await,
            "handshakes" => return self.handshakes(a, b.parse().unwrap_or(0)).await,
            "put" => return self.put(a, b).await,
            "get" => return self.get(a).await,
            "provide" => return self.provide(a).await,
            "find" => return self.find(a).await,
            "closest" => return Ok(words(self.closest(a.as_bytes().to_vec()).await.iter().map(|p| p.peer_id))),
            "links" => return Ok(words(self.links.iter().map(|(id, address)| format!("{id}{address}")))),
            "reserve" => return self.reserve(a).await,
            "use" => return self.r#use().await,
            "resets" => return Ok(self.counters.resets.load(Ordering::Relaxed).to_string()),
            "seen" => return Ok(self.counters.seen.load(Ordering::Relaxed).to_string()),
            _ => {}
        }
        let id: PeerId = a.parse().map_err(|e| format!("{e}"))?;
        let total: u64 = b.parse().unwrap_or(0);
        match verb {
            "agent" => self.poll_for("identify", |peer| peer.identified.get(&id).cloned()).await,
            "ping" => self.one(id, streams::PING, streams::ping).await,
            "table" => self.table(id).await,
            "findpeer" => self.find_peer(id).await,
            "hangup" => self.hangup(id).await,
            "streams" => self.many_streams(id, total as usize).await,
            "send" => self.one(id, streams::SINK, |s| streams::send(s, total)).await,
            "pour" => self.one(id, streams::COUNT, |s| streams::pour(s, total)).await,
            "fetch" => self.one(id, streams::SOURCE, |s| streams::fetch(s, total)).await,
            "half" => self.one(id, streams::HALF, streams::half).await,
            "refuse" => self.one(id, streams::REFUSE, streams::refuse).await,
            "reset" => self.one(id, streams::ECHO, streams::reset).await,
            "open" => self.open(id).await,
            _ => Err("unknown command".into()),
        }
    }
}

/// Where we listen, once we do; said before the first command.
async fn begin(peer: &mut Peer) -> Result<(), Box<dyn Error>> {
    let id = *peer.swarm.local_peer_id();
    println!("PEER {id}");
    for address in option("listen", "/ip4/127.0.0.1/udp/0/quic-v1").split(',') {
        let listener = peer.swarm.listen_on(address.parse()?)?;
        let address = peer
            .until(|_, event| match event {
                SwarmEvent::NewListenAddr { listener_id, address } if *listener_id == listener => Some(address.clone()),
                _ => None,
            })
            .await;
        println!("ADDR {address}/p2p/{id}");
    }
    println!("READY");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let counters = Arc::new(Counters::default());
    let swarm = swarm(counters.clone())?;
    let mut peer = Peer { swarm, counters, identified: HashMap::new(), links: Vec::new(), kept: None };
    begin(&mut peer).await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = peer.during(lines.next_line()).await? {
        let mut words = line.split_whitespace();
        let (verb, a, b) = (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
        if verb == "quit" {
            break;
        }
        let limit = if matches!(verb, "send" | "fetch" | "pour" | "handshakes") { ANSWER * 3 } else { ANSWER };
        match timeout(limit, peer.command(verb, a, b)).await.unwrap_or(Err("no answer in time".into())) {
            Ok(answer) => println!("OK {answer}"),
            Err(why) => println!("FAIL {}", why.replace('\n', " ")),
        }
    }
    std::process::exit(0) // stdin is read on a thread that cannot be stopped
}
