//! A client of an event relay, and what it sends.

use std::time::Duration;

use base::{Clock as _, SystemClock};
use futures_util::{SinkExt as _, StreamExt as _};
use ledger::{
    Draft, Kind, SecretKey, Signed,
    event::{Scheme, Tags},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async, tungstenite::Message};

use super::{daemon::Daemon, host::Host, hub::FixtureHub};

/// How long a story waits for a frame.
const PATIENCE: Duration = Duration::from_mins(1);

/// A client of a relay.
pub(crate) struct Client(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn of(daemon: &Daemon, path: &str) -> Self {
        Self(connect_async(format!("ws://{}{path}", daemon.address())).await.unwrap().0)
    }

    /// Returns a client for which the system keeps little that it has not read.
    pub(crate) async fn with_little_room(daemon: &Daemon) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(daemon.address().parse().unwrap()).await.unwrap();
        let url = format!("ws://{}/", daemon.address());
        Self(client_async(url, MaybeTlsStream::Plain(stream)).await.unwrap().0)
    }

    pub(crate) async fn say(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// Returns the next frame as its text; `None` if the relay has closed.
    pub(crate) async fn text(&mut self) -> Option<String> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    pub(crate) async fn hear(&mut self) -> Value {
        serde_json::from_str(&self.text().await.expect("a frame")).unwrap()
    }

    /// Sends an event and returns the OK.
    pub(crate) async fn publish(&mut self, event: &Signed) -> Value {
        self.say(&json!(["EVENT", event])).await;
        self.hear().await
    }

    /// Returns all stored events that a filter asks for.
    pub(crate) async fn stored(&mut self, filter: &Value) -> Vec<Value> {
        self.say(&json!(["REQ", "stored", filter])).await;
        let mut found = Vec::new();
        loop {
            let frame = self.hear().await;
            match frame[0].as_str().unwrap() {
                "EVENT" => found.push(frame[2].clone()),
                "EOSE" => break,
                _ => panic!("{frame}"),
            }
        }
        self.say(&json!(["CLOSE", "stored"])).await;
        found
    }
}

/// Returns one of 255 keys.
pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32]).unwrap()
}

/// Drafts an event of this moment.
pub(crate) fn draft(kind: u16, tags: &Value, content: &str) -> Draft {
    let tags: Tags = serde_json::from_value(tags.clone()).unwrap();
    Draft { created_at: SystemClock.now(), kind: Kind(kind), tags, content: content.to_owned() }
}

/// Signs a post in the subspace 0xMG.
pub(crate) fn post(number: u8, content: &str) -> Signed {
    let tags = json!([["d", "subspace_op"], ["sid", "0xMG"], ["op", "post"]]);
    key(number).sign(draft(30300, &tags, content), Scheme::Sdk)
}

/// A host with no models whose ledger has these settings.
pub(crate) async fn bare(settings: &[&str]) -> Host {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.index(&[]);
    host.ledger = settings.iter().map(|it| (*it).to_owned()).collect();
    host
}

/// Such a host, and its daemon.
pub(crate) async fn quiet(settings: &[&str]) -> (Host, Daemon) {
    let host = bare(settings).await;
    let daemon = Daemon::start(&host);
    (host, daemon)
}
