//! Reads the file in which ssh keeps the host keys it knows, and looks a server's key up in it.
//!
//! Plain names, `[host]:port`, patterns with `*` and `?`, negations, hashed names and `@revoked` are understood.
//! Certificate authorities (`@cert-authority`) are not, and trust nothing.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};

#[derive(Clone, Debug, Default)]
pub(super) struct KnownHosts {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    revoked: bool,
    hosts: String,
    kind: String,
    key: Vec<u8>,
}

impl KnownHosts {
    /// Reads what can be read; other lines trust nothing.
    pub(super) fn parse(text: &str) -> Self {
        Self { lines: text.lines().filter_map(Line::parse).collect() }
    }

    /// Says whether a host is known by a key, or why not and what to do.
    pub(super) fn check(&self, host: &str, port: u16, key: &[u8]) -> Result<(), String> {
        let name = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
        let shown = format!("{} key SHA256:{}", kind(key), fingerprint(key));
        if self.lines.iter().any(|it| it.revoked && it.key == key) {
            return Err(format!(
                "{name} shows the {shown}, which is marked as revoked: do not use this server"
            ));
        }
        let known: Vec<_> = self.lines.iter().filter(|it| !it.revoked && it.names(&name)).collect();
        if known.iter().any(|it| it.key == key) {
            return Ok(());
        }
        if known.is_empty() {
            return Err(format!(
                "{name} is not a known host: compare its {shown} with what its owner publishes, then add the line"
            ));
        }
        if known.iter().any(|it| it.kind == kind(key)) {
            return Err(format!(
                "{name} shows the {shown}, another one than is known: somebody may stand in between; ask its owner"
            ));
        }
        let kinds: Vec<_> = known.iter().map(|it| it.kind.as_str()).collect();
        Err(format!(
            "{name} shows the {shown}, and known of it is only {}: compare it with what its owner publishes, then add \
             the line",
            kinds.join(", ")
        ))
    }
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let first = words.next().filter(|it| !it.starts_with('#'))?;
        let (revoked, hosts) = match first {
            "@revoked" => (true, words.next()?),
            _ if first.starts_with('@') => return None,
            _ => (false, first),
        };
        let (kind, key) = (words.next()?, STANDARD.decode(words.next()?).ok()?);
        Some(Self { revoked, hosts: hosts.to_owned(), kind: kind.to_owned(), key })
    }

    fn names(&self, name: &str) -> bool {
        if let Some(hashed) = self.hosts.strip_prefix("|1|") {
            return hashed_matches(hashed, name).unwrap_or(false);
        }
        let name = name.to_ascii_lowercase();
        let hit = |it: &str| matches(it.to_ascii_lowercase().as_bytes(), name.as_bytes());
        let patterns = || self.hosts.split(',');
        patterns().any(hit) && !patterns().filter_map(|it| it.strip_prefix('!')).any(hit)
    }
}

/// Matches a pattern with `*` and `?`, in time linear in both.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from, mut retry) = (0, 0, None);
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, from));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((star, start)) = retry else { return false };
                retry = Some((star, start + 1));
                (at, from) = (star, start + 1);
            }
        }
    }
    pattern[at..].iter().all(|it| *it == b'*')
}

fn hashed_matches(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
    Some(hmac_sha1(&salt, name.as_bytes())[..] == hash[..])
}

/// HMAC-SHA-1 of RFC 2104, for keys that are no longer than a block, as ssh's salts are.
fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
    let mut block = [0; 64];
    let length = key.len().min(64);
    block[..length].copy_from_slice(&key[..length]);
    let pad = |with: u8| block.map(|it| it ^ with);
    let inner = Sha1::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha1::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

/// Returns the kind that a key's own bytes name: a length in four bytes, then the name.
fn kind(key: &[u8]) -> String {
    let length = key.first_chunk().map_or(0, |it| u32::from_be_bytes(*it) as usize);
    let name = key.get(4..).and_then(|it| it.get(..length)).unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

fn fingerprint(key: &[u8]) -> String {
    let digest = STANDARD.encode(base::Sha256::of(key).as_bytes());
    digest.trim_end_matches('=').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    fn check(text: &str, host: &str, port: u16) -> Result<(), String> {
        KnownHosts::parse(text).check(host, port, &STANDARD.decode(ED25519).unwrap())
    }

    #[test]
    fn a_host_is_known_by_its_name_its_port_its_pattern_or_its_hash() {
        let known = |hosts: &str, host: &str, port: u16| {
            check(&format!("# a comment\n\n{hosts} ssh-ed25519 {ED25519} note\n"), host, port).is_ok()
        };
        assert!(known("github.com", "github.com", 22) && known("a,GitHub.com", "github.com", 22));
        assert!(!known("github.com", "github.com", 2222) && known("[github.com]:2222", "github.com", 2222));
        assert!(known("*.example.org", "git.example.org", 22) && !known("*.example.org", "example.org", 22));
        assert!(known("git?.example.org", "git1.example.org", 22));
        assert!(!known("*,!git.example.org", "git.example.org", 22));
        // The example in the manual of sshd.
        let hashed = "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=";
        assert!(known(hashed, "192.168.1.61", 22) && !known(hashed, "192.168.1.62", 22));
    }

    #[test]
    fn an_unknown_changed_or_revoked_key_is_refused_with_its_fingerprint() {
        let wrong = |text: &str| check(text, "github.com", 22).unwrap_err();
        let unknown = wrong("");
        assert!(
            unknown.contains("not a known host") && unknown.contains("ssh-ed25519 key SHA256:+DiY3wvvV6")
        );
        let other = STANDARD.encode([&STANDARD.decode(ED25519).unwrap()[..50], &[0]].concat());
        assert!(wrong(&format!("github.com ssh-ed25519 {other}")).contains("another one than is known"));
        assert!(wrong(&format!("github.com ssh-rsa {other}")).contains("known of it is only ssh-rsa"));
        let revoked = format!("github.com ssh-ed25519 {ED25519}\n@revoked * ssh-ed25519 {ED25519}");
        assert!(wrong(&revoked).contains("revoked"));
        assert!(
            wrong(&format!("@cert-authority github.com ssh-ed25519 {ED25519}")).contains("not a known host")
        );
    }
}
