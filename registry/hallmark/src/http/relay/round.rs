//! One round of a crier: some events, and the frames that they are told in.

use std::sync::Arc;

use ledger::{
    Accepted,
    relay::{Session, SubscriptionId},
};
use tokio_tungstenite::tungstenite::protocol::frame::{
    Frame,
    coding::{Data, OpCode},
};

/// How much one client is sent in one go, but for the last frame.
const BYTES_MAX: usize = 64 << 10;

/// What is told to one client after the other.
pub(super) struct Round<'e> {
    events: &'e [Arc<Accepted>],
    /// For each event the frame that was made of it last: most clients ask under the same name.
    made: Vec<Option<(SubscriptionId, Vec<u8>)>>,
    /// What this client is to be sent, of which events, and of which it is told later.
    frames: Vec<u8>,
    said: Vec<usize>,
    left: Vec<usize>,
}

impl<'e> Round<'e> {
    pub(super) fn new(events: &'e [Arc<Accepted>]) -> Self {
        let made = events.iter().map(|_| None).collect();
        Self { events, made, frames: Vec::new(), said: Vec::new(), left: Vec::new() }
    }

    /// Puts the frames together that a client asks for; if it cannot be told now, all is left for later.
    pub(super) fn ask(&mut self, session: &Session, is_now: bool) {
        self.frames.clear();
        self.said.clear();
        self.left.clear();
        for (place, accepted) in self.events.iter().enumerate() {
            let asking = session.asking(accepted);
            if asking.is_empty() {
                continue;
            }
            if !is_now || self.frames.len() >= BYTES_MAX {
                self.left.push(place);
                continue;
            }
            self.said.push(place);
            for id in asking {
                let made = &mut self.made[place];
                if made.as_ref().is_none_or(|it| it.0 != *id) {
                    *made = Some((id.clone(), frame(Session::told(id, accepted))));
                }
                if let Some((_, frame)) = made {
                    self.frames.extend_from_slice(frame);
                }
            }
        }
    }

    /// Returns the frames that the client is to be sent now.
    pub(super) fn frames(&self) -> &[u8] {
        &self.frames
    }

    /// Notes that none of them was sent.
    pub(super) fn leave_all(&mut self) {
        self.left.splice(..0, self.said.drain(..));
    }

    /// Returns the events of which the client is told later.
    pub(super) fn left(&self) -> impl Iterator<Item = &'e Arc<Accepted>> {
        self.left.iter().filter_map(|it| self.events.get(*it))
    }
}

/// Returns a text as the one frame that a server sends it in.
fn frame(text: String) -> Vec<u8> {
    let frame = Frame::message(text, OpCode::Data(Data::Text), true);
    let mut bytes = Vec::with_capacity(frame.len());
    // To write into memory cannot fail.
    let _ = frame.format(&mut bytes);
    bytes
}
