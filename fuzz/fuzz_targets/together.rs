//! Whatever is wrong with some of them: many signatures are found checked together just as each is alone.
#![no_main]

use base::UnixSeconds;
use ledger::{Claimed, Draft, Kind, Leniency, Limits, Prepared, Scheme, SecretKey};
use libfuzzer_sys::fuzz_target;

const SCHEMES: [Scheme; 5] =
    [Scheme::SpecEip191, Scheme::SpecRaw, Scheme::SpecText, Scheme::Sdk, Scheme::SdkUtf16];

fuzz_target!(|bytes: &[u8]| {
    let lenient = Leniency { accept_id_text: true, accept_eip2098: true };
    let claimed = bytes.chunks_exact(3).take(300).zip(0..).map(|(it, number)| event(it[0], it[1], it[2], number));
    let claimed: Vec<_> = claimed.filter_map(|it| Claimed::parse(&it, &Limits::default()).ok()).collect();
    let alone: Vec<_> = claimed.iter().cloned().map(|it| it.verify(lenient)).collect();
    let together = Prepared::of_all(claimed, lenient);
    let together: Vec<_> = together.into_iter().map(|it| it.map(|it| it.event().clone())).collect();
    assert_eq!(together, alone);
});

/// Signs a draft by one of a few authors, in one of the ways, and writes one digit of the signature anew; the last of
/// them are cut off.
fn event(author: u8, place: u8, digit: u8, number: u64) -> String {
    let key = SecretKey::from_bytes([1 + author % 4; 32]).expect("a key");
    let scheme = SCHEMES[usize::from(author / 4) % SCHEMES.len()];
    let draft = Draft {
        created_at: UnixSeconds(number),
        kind: Kind(30300),
        tags: std::iter::empty().collect(),
        content: "é".to_owned(),
    };
    let event = key.sign(draft, scheme).to_json();
    let Some((before, signature)) = event.split_once(r#""sig":""#) else { unreachable!("it is signed") };
    let mut digits: Vec<char> = signature.chars().take(130).collect();
    match digits.get_mut(usize::from(place)) {
        Some(it) => *it = char::from_digit(u32::from(digit % 16), 16).unwrap_or('0'),
        None if place == 255 => digits.truncate(128),
        None => {}
    }
    format!(r#"{before}"sig":"{}"}}"#, digits.into_iter().collect::<String>())
}
