//! What a relay says to who follows it. Pure.

use base::UnixSeconds;
use ledger::EventId;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A frame of a relay.
#[derive(Debug)]
pub(super) enum Frame {
    /// An event, under the name of a subscription.
    Event { subscription: String, shown: Shown },
    /// All that was there has been shown.
    Eose { subscription: String },
    /// A subscription is over.
    Closed { subscription: String, why: String },
    /// It wants to know who asks.
    Auth { challenge: String },
    /// Anything else, and what cannot be read.
    Other,
}

/// An event as a relay shows it: as yet a claim.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) id: EventId,
    pub(super) created_at: UnixSeconds,
    /// As it came.
    pub(super) json: String,
}

#[derive(Deserialize)]
struct Head {
    id: EventId,
    created_at: UnixSeconds,
}

impl Frame {
    pub(super) fn parse(text: &str) -> Self {
        Self::read(text).unwrap_or(Self::Other)
    }

    fn read(text: &str) -> Option<Self> {
        let parts: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        let word = |at: usize| serde_json::from_str::<String>(parts.get(at)?.get()).ok();
        Some(match word(0)?.as_str() {
            "EVENT" => {
                let json = parts.get(2)?.get();
                let Head { id, created_at } = serde_json::from_str(json).ok()?;
                Self::Event { subscription: word(1)?, shown: Shown { id, created_at, json: json.to_owned() } }
            }
            "EOSE" => Self::Eose { subscription: word(1)? },
            "CLOSED" => Self::Closed { subscription: word(1)?, why: word(2).unwrap_or_default() },
            "AUTH" => Self::Auth { challenge: word(1)? },
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_comes_with_its_own_text_and_nonsense_is_nothing() {
        let id = "ab".repeat(32);
        let event = format!("{{\"id\":\"{id}\", \"created_at\":7,\"more\":1.0}}");
        match Frame::parse(&format!("[\"EVENT\",\"a\",{event}]")) {
            Frame::Event { subscription, shown } => {
                assert_eq!((subscription.as_str(), shown.created_at), ("a", UnixSeconds(7)));
                assert_eq!(shown.json, event);
            }
            other => panic!("{other:?}"),
        }
        let why = "auth-required: who?";
        let closed = Frame::parse(&format!("[\"CLOSED\",\"a\",\"{why}\"]"));
        assert!(matches!(closed, Frame::Closed { why: it, .. } if it == why));
        assert!(
            matches!(Frame::parse("[\"EOSE\",\"a\"]"), Frame::Eose { subscription } if subscription == "a")
        );
        assert!(matches!(Frame::parse("[\"AUTH\",\"x\"]"), Frame::Auth { challenge } if challenge == "x"));
        for text in
            ["", "{}", "[]", "[1]", "[\"EVENT\",\"a\"]", "[\"EVENT\",\"a\",{\"id\":\"ab\"}]", "[\"NOTICE\"]"]
        {
            assert!(matches!(Frame::parse(text), Frame::Other), "{text}");
        }
    }
}
