//! The protocols of the test; ../../peer.c says what each does.
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;

use futures::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use libp2p::swarm::{Stream, StreamProtocol};
use sha2::{Digest, Sha256};

pub const ECHO: StreamProtocol = StreamProtocol::new("/interop/echo/1.0.0");
pub const SINK: StreamProtocol = StreamProtocol::new("/interop/sink/1.0.0");
pub const SOURCE: StreamProtocol = StreamProtocol::new("/interop/source/1.0.0");
pub const COUNT: StreamProtocol = StreamProtocol::new("/interop/count/1.0.0");
pub const HALF: StreamProtocol = StreamProtocol::new("/interop/half/1.0.0");
pub const REFUSE: StreamProtocol = StreamProtocol::new("/interop/refuse/1.0.0");
pub const PING: StreamProtocol = StreamProtocol::new("/ipfs/ping/1.0.0");
pub const PROTOCOLS: [StreamProtocol; 6] = [ECHO, SINK, SOURCE, COUNT, HALF, REFUSE];

const BLOCK: usize = 65536;
const HALF_BYTES: u64 = 100_000; // after the other side's end
const STREAM_BYTES: usize = 64;

type Answer = Result<String, String>;

#[derive(Default)]
pub struct Counters {
    pub resets: AtomicU64, // echo streams that the peer reset
    pub seen: AtomicU64,   // bytes that came on the last stream of "half"
}

/// What is sent again and again.
fn block() -> Vec<u8> {
    let mut x = 1u32;
    (0..BLOCK)
        .map(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 24) as u8
        })
        .collect()
}

async fn send_blocks(stream: &mut Stream, mut total: u64, hashed: bool) -> std::io::Result<Vec<u8>> {
    let (data, mut hash) = (block(), Sha256::new());
    while total > 0 {
        let part = &data[..total.min(BLOCK as u64) as usize];
        if hashed {
            hash.update(part);
        }
        stream.write_all(part).await?;
        total -= part.len() as u64;
    }
    stream.flush().await?;
    Ok(hash.finalize().to_vec())
}

/// Reads until |limit| bytes or the end: how many came, and their hash if wanted.
async fn take(stream: &mut (impl AsyncRead + Unpin), limit: u64, hashed: bool) -> std::io::Result<(u64, Vec<u8>)> {
    let (mut buf, mut hash, mut total) = (vec![0; BLOCK], Sha256::new(), 0u64);
    while total < limit {
        let want = (limit - total).min(BLOCK as u64) as usize;
        let got = stream.read(&mut buf[..want]).await?;
        if got == 0 {
            break;
        }
        if hashed {
            hash.update(&buf[..got]);
        }
        total += got as u64;
    }
    Ok((total, hash.finalize().to_vec()))
}

pub async fn serve(stream: Stream, protocol: StreamProtocol, counters: Arc<Counters>) {
    let is_echo = protocol == ECHO;
    let result = match protocol {
        p if p == ECHO => serve_echo(stream).await,
        p if p == SINK => serve_sink(stream, true).await,
        p if p == COUNT => serve_sink(stream, false).await,
        p if p == SOURCE => serve_source(stream).await,
        p if p == HALF => serve_half(stream, &counters).await,
        _ => serve_refuse(stream).await,
    };
    if result.is_err() && is_echo {
        counters.resets.fetch_add(1, Ordering::Relaxed);
    }
}

async fn serve_echo(mut stream: Stream) -> std::io::Result<()> {
    let mut buf = vec![0; BLOCK];
    loop {
        let got = stream.read(&mut buf).await?;
        if got == 0 {
            return stream.close().await;
        }
        stream.write_all(&buf[..got]).await?;
        stream.flush().await?;
    }
}

async fn serve_sink(mut stream: Stream, hashed: bool) -> std::io::Result<()> {
    let (got, sum) = take(&mut stream, u64::MAX, hashed).await?;
    stream.write_all(&got.to_be_bytes()).await?;
    if hashed {
        stream.write_all(&sum).await?;
    }
    stream.close().await
}

async fn serve_source(mut stream: Stream) -> std::io::Result<()> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).await?;
    let sum = send_blocks(&mut stream, u64::from_be_bytes(head), true).await?;
    stream.write_all(&sum).await?;
    stream.close().await
}

async fn serve_half(mut stream: Stream, counters: &Counters) -> std::io::Result<()> {
    stream.read_exact(&mut [0]).await?;
    stream.write_all(b"bye").await?;
    stream.close().await?;
    let (got, _) = take(&mut stream, u64::MAX, false).await?;
    counters.seen.store(got + 1, Ordering::Relaxed);
    Ok(())
}

/// Dropping is the only way to end a stream early.
async fn serve_refuse(mut stream: Stream) -> std::io::Result<()> {
    stream.read_exact(&mut [0]).await
}

fn text(e: std::io::Error) -> String {
    e.to_string()
}

/// Writes to an echo stream and reads it back.
pub async fn turn(stream: &mut Stream, data: &[u8]) -> Answer {
    let mut back = vec![0; data.len()];
    stream.write_all(data).await.map_err(text)?;
    stream.flush().await.map_err(text)?;
    stream.read_exact(&mut back).await.map_err(text)?;
    if back == data {
        Ok(String::new())
    } else {
        Err("the echo differs".into())
    }
}

/// One of many echo streams, with bytes and an end of its own.
pub async fn short_echo(mut stream: Stream, i: usize) -> Answer {
    turn(&mut stream, &[i as u8, (i >> 8) as u8].repeat(STREAM_BYTES / 2)).await?;
    stream.close().await.map_err(text)?;
    match take(&mut stream, 1, false).await.map_err(text)? {
        (0, _) => Ok(String::new()),
        _ => Err("more than was sent came back".into()),
    }
}

pub async fn ping(mut stream: Stream) -> Answer {
    let begin = Instant::now();
    turn(&mut stream, &block()[..32]).await?;
    Ok(begin.elapsed().as_micros().to_string())
}

pub async fn send(mut stream: Stream, total: u64) -> Answer {
    let sum = send_blocks(&mut stream, total, true).await.map_err(text)?;
    stream.close().await.map_err(text)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(text)?;
    if answer == [&total.to_be_bytes()[..], &sum].concat() {
        Ok(hex(&sum))
    } else {
        Err("the peer got something else".into())
    }
}

/// Sends without hashing; the answer is the time in us until the peer has counted it all.
pub async fn pour(mut stream: Stream, total: u64) -> Answer {
    let begin = Instant::now();
    send_blocks(&mut stream, total, false).await.map_err(text)?;
    stream.close().await.map_err(text)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(text)?;
    if answer == total.to_be_bytes() {
        Ok(begin.elapsed().as_micros().to_string())
    } else {
        Err("the peer counts differently".into())
    }
}

pub async fn fetch(mut stream: Stream, total: u64) -> Answer {
    stream.write_all(&total.to_be_bytes()).await.map_err(text)?;
    stream.close().await.map_err(text)?;
    let (got, sum) = take(&mut stream, total, true).await.map_err(text)?;
    let mut theirs = Vec::new();
    stream.read_to_end(&mut theirs).await.map_err(text)?;
    if got == total && theirs == sum {
        Ok(hex(&sum))
    } else {
        Err(format!("what came is something else: {got} bytes"))
    }
}

/// Reads the other side's end, and then goes on writing.
pub async fn half(mut stream: Stream) -> Answer {
    let mut all = Vec::new();
    stream.write_all(b"x").await.map_err(text)?;
    stream.flush().await.map_err(text)?;
    stream.read_to_end(&mut all).await.map_err(text)?;
    if all != b"bye" {
        return Err(format!("got {all:?}"));
    }
    send_blocks(&mut stream, HALF_BYTES, false).await.map_err(text)?;
    stream.close().await.map_err(text)?;
    Ok(String::new())
}

/// Succeeds when the other side resets the stream.
pub async fn refuse(mut stream: Stream) -> Answer {
    stream.write_all(b"x").await.map_err(text)?;
    stream.flush().await.map_err(text)?;
    match take(&mut stream, 1, false).await {
        Ok(_) => Err("the stream ended without a reset".into()),
        Err(_) => Ok(String::new()),
    }
}

/// Dropping the stream is all the reset there is: RST in yamux, but over QUIC an end and STOP_SENDING.
pub async fn reset(mut stream: Stream) -> Answer {
    turn(&mut stream, b"reset me").await
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
