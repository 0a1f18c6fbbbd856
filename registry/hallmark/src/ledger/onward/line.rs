//! The line to a relay: TCP, and TLS over it with the certificates that this system trusts.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use base::{Clock as _, SystemClock};
use futures_util::SinkExt as _;
use ledger::{Draft, Kind, Tag};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use tokio::{net::TcpStream, task::spawn_blocking, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{self, Message, Utf8Bytes, protocol::WebSocketConfig},
};
use url::Url;

use super::super::Ledger;

/// How long a relay may take to let us in, or to answer.
pub(in crate::ledger) const PATIENCE: Duration = Duration::from_secs(15);
/// How large an answer of a relay may be.
const ANSWER_BYTES_MAX: usize = 2 << 20;

pub(in crate::ledger) type Line = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Connects to a relay.
pub(in crate::ledger) async fn connect(relay: &Url) -> anyhow::Result<Line> {
    let limits = WebSocketConfig::default()
        .max_message_size(Some(ANSWER_BYTES_MAX))
        .max_frame_size(Some(ANSWER_BYTES_MAX));
    let connector = match relay.scheme() {
        "wss" => Connector::Rustls(Arc::new(spawn_blocking(tls).await.context("work on a thread")??)),
        _ => Connector::Plain,
    };
    let connecting = connect_async_tls_with_config(relay.as_str(), Some(limits), true, Some(connector));
    match timeout(PATIENCE, connecting).await {
        Ok(Ok((line, _))) => Ok(line),
        Ok(Err(error)) if is_about_certificate(&error) => Err(error)
            .context("its certificate is refused: no authority that this system trusts vouches for it"),
        Ok(Err(error)) => Err(error).context("connect"),
        Err(_) => bail!("no connection within {} s", PATIENCE.as_secs()),
    }
}

/// Says something.
pub(in crate::ledger) async fn say(line: &mut Line, frame: String) -> anyhow::Result<()> {
    match timeout(PATIENCE, line.send(Message::text(frame))).await {
        Ok(sent) => sent.context("send"),
        Err(_) => bail!("the relay does not read"),
    }
}

/// Returns the text of what was heard; nothing if it is only a sign of life.
pub(in crate::ledger) fn text(
    heard: Option<Result<Message, tungstenite::Error>>,
) -> anyhow::Result<Option<Utf8Bytes>> {
    match heard {
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
        Some(Ok(Message::Close(frame))) => {
            let why = frame.map_or_else(String::new, |it| format!(": {}", it.reason));
            bail!("the relay closed the connection{why}");
        }
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => Err(error).context("read"),
        None => bail!("the relay closed the connection"),
    }
}

/// Returns the frame that says who we are, to a relay that asks.
pub(in crate::ledger) fn auth(ledger: &Ledger, relay: &Url, challenge: &str) -> String {
    let tags = [Tag::pair("relay", relay.as_str()), Tag::pair("challenge", challenge)];
    let draft = Draft {
        created_at: SystemClock.now(),
        kind: Kind::AUTHENTICATION,
        tags: tags.into_iter().collect(),
        content: String::new(),
    };
    format!("[\"AUTH\",{}]", ledger.0.key.sign(draft, ledger.config().scheme()).to_json())
}

fn is_about_certificate(error: &tungstenite::Error) -> bool {
    // What TLS says travels inside an error of the socket.
    let tungstenite::Error::Io(error) = error else { return false };
    let inner = error.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// Returns how to speak TLS: with the certificates that this system trusts.
fn tls() -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    // One certificate that cannot be read is no reason to trust none.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.context("set up TLS")?.with_root_certificates(roots).with_no_client_auth())
}
