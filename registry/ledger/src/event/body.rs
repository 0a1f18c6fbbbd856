//! What is signed: the serialized body, its digests, and which of the ways to sign it an id means.

use std::io::Write as _;

use base::hex;
use serde::{Deserialize, Serialize};

use super::{Author, BodyId, Draft, EventId, Signed, name::keccak};

/// How an event was signed. The id alone says which family; the signature says the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// The specification's: the id is SHA-256 of the body, signed as a wallet signs 32 bytes (EIP-191).
    SpecEip191,
    /// The specification's, with plain ECDSA over the id.
    SpecRaw,
    /// The specification's, with a wallet's signature over the id's 64 digits, or 66 with `0x`.
    SpecText,
    /// The clients' libraries': the id is the EIP-191 Keccak of the body, and that is what is signed.
    Sdk,
    /// The same from JavaScript, which counts UTF-16 units in the id of a body that is not ASCII.
    SdkUtf16,
}

/// What is taken besides the ordinary. Everything is off unless an operator asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leniency {
    /// Take wallets' signatures over the text of an id ([`Scheme::SpecText`]).
    pub accept_id_text: bool,
    /// Take 64-byte signatures with the parity in the top bit of `s`, as EIP-2098 has them.
    pub accept_eip2098: bool,
}

/// The bytes that both families sign: NIP-01's array, as JavaScript prints it. An event's own JSON has tags and content
/// just as they are here.
pub(crate) struct Serialized {
    bytes: Vec<u8>,
    /// Where each of the author, the second, the kind, the tags and the content begins.
    parts_at: [usize; 5],
}

impl Serialized {
    pub(crate) fn of(author: &Author, draft: &Draft) -> Self {
        Self::with(author, draft, &draft.content)
    }

    pub(super) fn with(author: &Author, draft: &Draft, content: &str) -> Self {
        let room = content.len() + content.len() / 8 + draft.tags.json_bytes() + SERIALIZED_BYTES;
        let mut bytes = Vec::with_capacity(room);
        bytes.extend_from_slice(b"[0,");
        let author_at = write_json(&mut bytes, author.as_str());
        let created_at = write_json(&mut bytes, &draft.created_at.0);
        let kind_at = write_json(&mut bytes, &draft.kind);
        let tags_at = bytes.len();
        draft.tags.write_json(&mut bytes);
        bytes.push(b',');
        let content_at = write_json(&mut bytes, content);
        // In the place of the last comma.
        bytes.pop();
        bytes.push(b']');
        Self { bytes, parts_at: [author_at, created_at, kind_at, tags_at, content_at] }
    }

    /// Returns the bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns the JSON of the event that this is the body of, the `id` first: clients look for it there.
    pub(crate) fn event_json(&self, event: &Signed) -> String {
        let mut json = Vec::with_capacity(self.bytes.len() + ENVELOPE_BYTES);
        json.extend_from_slice(b"{\"id\":\"");
        hex::append(event.id.as_bytes(), &mut json);
        json.push(b'"');
        for (name, value) in NAMES.into_iter().zip(self.parts()) {
            json.extend_from_slice(name.as_bytes());
            json.extend_from_slice(value);
        }
        json.extend_from_slice(b",\"sig\":\"");
        event.signature.append(&mut json);
        json.extend_from_slice(b"\"}");
        String::from_utf8(json).expect("JSON is text")
    }

    fn parts(&self) -> [&[u8]; 5] {
        let [author, created_at, kind, tags, content] = self.parts_at;
        // A comma stands before each of them, and the array's bracket behind the last.
        [(author, created_at), (created_at, kind), (kind, tags), (tags, content), (content, self.bytes.len())]
            .map(|(from, next)| &self.bytes[from..next - 1])
    }
}

/// What stands in an event's JSON before each part of its body.
const NAMES: [&str; 5] = [",\"pubkey\":", ",\"created_at\":", ",\"kind\":", ",\"tags\":", ",\"content\":"];

/// What a body has besides its tags and its content.
const SERIALIZED_BYTES: usize = 96;

/// What an event's JSON has besides its body, with a signature of 65 bytes.
const ENVELOPE_BYTES: usize = 255;

/// Appends a value and a comma. Returns where the value begins.
fn write_json(bytes: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> usize {
    let from = bytes.len();
    append_json(bytes, value);
    bytes.push(b',');
    from
}

/// Appends the JSON of a value that holds only numbers and texts.
pub(crate) fn append_json(bytes: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(bytes, value).expect("numbers and texts can always be written as JSON");
}

/// Returns the JSON of a value that holds only numbers and texts.
pub(crate) fn json_of(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("numbers and texts can always be written as JSON")
}

/// Returns what a wallet signs when it is given some bytes (EIP-191, version 0x45).
pub(crate) fn personal_digest(bytes: &[u8]) -> [u8; 32] {
    prefixed(bytes, bytes.len())
}

fn prefixed(bytes: &[u8], length: usize) -> [u8; 32] {
    // A number has at most 20 digits.
    let mut digits = [0; 20];
    let mut room = &mut digits[..];
    write!(room, "{length}").expect("there is room");
    let unused = room.len();
    keccak(&[b"\x19Ethereum Signed Message:\n", &digits[..digits.len() - unused], bytes])
}

/// The ways in which an event may have been signed, with the digest that each would be over; the first places are taken.
pub(super) type Signable = [Option<(Scheme, [u8; 32])>; 4];

/// The digests of one body. Keccak waits until it is asked for: of a long text it costs more than the signature.
pub(crate) struct Digests {
    pub(super) serialized: Serialized,
    pub(crate) body: BodyId,
}

impl Digests {
    pub(crate) fn new(serialized: Serialized) -> Self {
        let body = BodyId::of(&serialized.bytes);
        Self { serialized, body }
    }

    /// Returns the id of the specification.
    pub(crate) fn spec_id(&self) -> EventId {
        EventId::from_bytes(*self.body.digest().as_bytes())
    }

    /// Returns the id of the clients' libraries.
    pub(crate) fn sdk_id(&self) -> EventId {
        EventId::from_bytes(personal_digest(&self.serialized.bytes))
    }

    /// Returns what may have been signed if the id is `id`, the likely first; nothing if the id is not this body's.
    pub(super) fn signable(&self, id: EventId, leniency: Leniency) -> Signable {
        let one = |scheme, digest| Some((scheme, digest));
        if id == self.spec_id() {
            let (wallets, raw) = (personal_digest(id.as_bytes()), *id.as_bytes());
            let mut signable = [one(Scheme::SpecEip191, wallets), one(Scheme::SpecRaw, raw), None, None];
            if leniency.accept_id_text {
                let text = id.to_string();
                signable[2] = one(Scheme::SpecText, personal_digest(text.as_bytes()));
                signable[3] = one(Scheme::SpecText, personal_digest(format!("0x{text}").as_bytes()));
            }
            return signable;
        }
        let keccak = self.sdk_id();
        let scheme = if id == keccak {
            Scheme::Sdk
        } else if id == self.utf16_id() {
            Scheme::SdkUtf16
        } else {
            return [None; 4];
        };
        [one(scheme, *keccak.as_bytes()), None, None, None]
    }

    /// Returns the id that JavaScript computes: the length counts UTF-16 units.
    pub(crate) fn utf16_id(&self) -> EventId {
        // One unit for each character, two where UTF-8 has four bytes: both show in a character's first byte.
        let units = self.serialized.bytes.iter().map(|it| match it {
            0x80..=0xbf => 0,
            0xf0.. => 2,
            _ => 1,
        });
        EventId::from_bytes(prefixed(&self.serialized.bytes, units.sum()))
    }
}
