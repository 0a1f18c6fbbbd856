//! Frames: JSON arrays whose first element says what they are (NIP-01, NIP-42, NIP-45).

use std::fmt;

use serde_json::value::RawValue;

use crate::filter::Filter;

/// The name of a subscription, chosen by the client: 1 to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubscriptionId(Box<str>);

/// What a client says.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientFrame<'f> {
    /// Here is an event. Its text, not looked at yet.
    Event(&'f str),
    /// Send me what is stored and what comes.
    Request(SubscriptionId, Vec<Filter>),
    /// Count what is stored.
    Count(SubscriptionId, Vec<Filter>),
    /// Send me no more.
    Close(SubscriptionId),
    /// Here is who I am: the text of a signed event.
    Auth(&'f str),
}

/// Why a frame says nothing. The text is for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// The subscription that it was about, if that much could be read: it is answered with CLOSED.
    pub subscription: Option<SubscriptionId>,
    /// What is wrong.
    pub what: String,
}

impl SubscriptionId {
    /// The longest name: clients look for it at the front of a frame.
    pub const CHARS_MAX: usize = 64;

    /// Takes a name of 1 to 64 characters.
    pub fn parse(text: &str) -> Option<Self> {
        (1..=Self::CHARS_MAX).contains(&text.chars().count()).then(|| Self(text.into()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FrameError {
    fn of(what: impl Into<String>) -> Self {
        Self { subscription: None, what: what.into() }
    }
}

impl<'f> ClientFrame<'f> {
    /// Returns what the event of a frame would be, as almost all clients write it. If that is one JSON value, so is the
    /// frame; else [`ClientFrame::parse`] says what is wrong.
    pub(super) fn event_of(text: &'f str) -> Option<&'f str> {
        text.strip_prefix("[\"EVENT\",")?.strip_suffix(']')
    }

    /// Reads a frame.
    pub fn parse(text: &'f str, filters_max: usize) -> Result<Self, FrameError> {
        let elements: Vec<&'f RawValue> = serde_json::from_str(text)
            .map_err(|error| FrameError::of(format!("not a frame, which is a JSON array: {error}")))?;
        let (verb, rest) = elements.split_first().ok_or_else(|| FrameError::of("an empty frame"))?;
        let verb = texts(verb).ok_or_else(|| FrameError::of("a frame begins with a word"))?;
        match (verb.as_str(), rest) {
            ("EVENT", [event]) => Ok(Self::Event(event.get())),
            ("AUTH", [event]) => Ok(Self::Auth(event.get())),
            ("CLOSE", [id]) => subscription(id).map(Self::Close),
            ("REQ", [id, filters @ ..]) => {
                let id = subscription(id)?;
                parse_filters(&id, filters, filters_max).map(|it| Self::Request(id, it))
            }
            ("COUNT", [id, filters @ ..]) => {
                let id = subscription(id)?;
                parse_filters(&id, filters, filters_max).map(|it| Self::Count(id, it))
            }
            ("EVENT" | "AUTH" | "CLOSE" | "REQ" | "COUNT", _) => {
                Err(FrameError::of(format!("{verb} with {} elements", elements.len())))
            }
            _ => {
                let verb: String = verb.chars().take(20).collect();
                Err(FrameError::of(format!(
                    "`{verb}` is not known here: EVENT, REQ, COUNT, CLOSE and AUTH are"
                )))
            }
        }
    }
}

fn texts(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

fn subscription(raw: &RawValue) -> Result<SubscriptionId, FrameError> {
    let id = texts(raw).and_then(|it| SubscriptionId::parse(&it));
    id.ok_or_else(|| FrameError::of("a subscription's id is a text of 1 to 64 characters"))
}

fn parse_filters(
    id: &SubscriptionId,
    raw: &[&RawValue],
    filters_max: usize,
) -> Result<Vec<Filter>, FrameError> {
    let wrong = |what: String| FrameError { subscription: Some(id.clone()), what };
    if raw.is_empty() || raw.len() > filters_max {
        return Err(wrong(format!("a subscription has 1 to {filters_max} filters, not {}", raw.len())));
    }
    let parse = |it: &&RawValue| serde_json::from_str(it.get()).map_err(|error| wrong(error.to_string()));
    raw.iter().map(parse).collect()
}

/// Frames to a client. An event's comes without a space, its subscription first: clients search it as text.
pub(super) mod reply {
    use serde_json::json;

    use super::SubscriptionId;
    use crate::event::{EventId, json_of};

    pub(in crate::relay) fn event(id: &SubscriptionId, json: &str) -> String {
        let id = json_of(id.as_str());
        // As long as it will be: a frame with an event is copied once.
        ["[\"EVENT\",", &id, ",", json, "]"].concat()
    }

    pub(in crate::relay) fn ok(id: EventId, is_taken: bool, text: &str) -> String {
        let id = id.to_string();
        ["[\"OK\",\"", &id, if is_taken { "\",true," } else { "\",false," }, &json_of(text), "]"].concat()
    }

    pub(in crate::relay) fn eose(id: &SubscriptionId) -> String {
        json!(["EOSE", id.as_str()]).to_string()
    }

    pub(in crate::relay) fn closed(id: &SubscriptionId, text: &str) -> String {
        json!(["CLOSED", id.as_str(), text]).to_string()
    }

    pub(in crate::relay) fn count(id: &SubscriptionId, count: u64, is_all: bool) -> String {
        let answer =
            if is_all { json!({"count": count}) } else { json!({"count": count, "approximate": true}) };
        json!(["COUNT", id.as_str(), answer]).to_string()
    }

    pub(in crate::relay) fn notice(text: &str) -> String {
        json!(["NOTICE", text]).to_string()
    }

    pub(in crate::relay) fn challenge(text: &str) -> String {
        json!(["AUTH", text]).to_string()
    }
}
