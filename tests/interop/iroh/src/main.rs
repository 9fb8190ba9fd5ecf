//! Two iroh endpoints behind routers, and a relay of their own; nothing of others: no DNS, no port mapping, no published addresses.
//!
//!     iroh-pair relay IP              -> its address; it takes whom it does not know, with a certificate of its own making
//!     iroh-pair listen RELAY          -> its id; it sends back what comes
//!     iroh-pair dial RELAY ID         -> "begun", "relayed" or "direct" when a first byte has come back, "direct" once it has such a path
//!
//! RELAY is IP: https at port 4443, discovery of addresses (QUIC) at port 7842.
use std::{env, error::Error, net::Ipv4Addr, time::Duration};

use iroh::{
    Endpoint, EndpointAddr, EndpointId, RelayConfig, RelayMap, RelayMode, RelayUrl,
    endpoint::{Connection, presets},
    tls::CaTlsConfig,
};
use iroh_relay::{
    RelayQuicConfig,
    server::{self, CertConfig, QuicConfig, Server, ServerConfig, TlsConfig, testing},
};
use tokio::time::sleep;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ALPN: &[u8] = b"qudag-netlab/echo";
const HTTPS: u16 = 4443;
const QUIC: u16 = 7842;
const WARM: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(5);

fn url(ip: &str) -> Result<RelayUrl> {
    Ok(format!("https://{ip}:{HTTPS}").parse()?)
}

async fn relay(ip: &str) -> Result<()> {
    let (_, tls) = testing::self_signed_tls_certs_and_config();
    let any = Ipv4Addr::UNSPECIFIED;
    let mut relay = server::RelayConfig::new((any, 8080));
    relay.tls = Some(TlsConfig::new(
        (any, HTTPS),
        CertConfig::Manual { server_config: tls },
    ));
    let mut config = ServerConfig::default();
    config.relay = Some(relay);
    config.quic = Some(QuicConfig::new((any, QUIC)));
    let _server = Server::spawn(config).await?;
    println!("{ip}");
    std::future::pending().await
}

async fn endpoint(relay: &str) -> Result<Endpoint> {
    let map = RelayMap::from(RelayConfig::new(
        url(relay)?,
        Some(RelayQuicConfig::new(QUIC)),
    ));
    let endpoint = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Custom(map))
        .ca_tls_config(CaTlsConfig::insecure_skip_verify())
        .alpns(vec![ALPN.to_vec()])
        .bind()
        .await?;
    endpoint.online().await;
    sleep(WARM).await;
    Ok(endpoint)
}

async fn listen(relay: &str) -> Result<()> {
    let endpoint = endpoint(relay).await?;
    println!("{}", endpoint.id());
    while let Some(incoming) = endpoint.accept().await {
        let connection = incoming.await?;
        let (mut send, mut recv) = connection.accept_bi().await?;
        send.write_all(&recv.read_to_end(64).await?).await?;
        send.finish()?;
        connection.closed().await;
    }
    Ok(())
}

/// The path that is used now is one between the two.
fn is_direct(connection: &Connection) -> bool {
    connection
        .paths()
        .iter()
        .any(|p| p.is_selected() && p.is_ip())
}

async fn dial(relay: &str, id: &str) -> Result<()> {
    let endpoint = endpoint(relay).await?;
    let id: EndpointId = id.parse()?;
    println!("begun");
    let connection = endpoint
        .connect(EndpointAddr::new(id).with_relay_url(url(relay)?), ALPN)
        .await?;
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(b"hello").await?;
    send.finish()?;
    recv.read_to_end(64).await?;
    println!(
        "{}",
        if is_direct(&connection) {
            "direct"
        } else {
            "relayed"
        }
    );
    while !is_direct(&connection) {
        sleep(LOOK).await;
    }
    println!("direct");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["relay", ip] => relay(ip).await,
        ["listen", address] => listen(address).await,
        ["dial", address, id] => dial(address, id).await,
        _ => Err("iroh-pair relay IP | listen RELAY | dial RELAY ID".into()),
    }
}
