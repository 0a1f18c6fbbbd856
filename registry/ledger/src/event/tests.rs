//! The vectors made with ethers and eth-account, and each rule of what is taken and what is not.

use base::UnixSeconds;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::key::SecretKey;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../vectors/events.json")).unwrap()
}

fn key() -> SecretKey {
    SecretKey::parse(vectors()["private_key"].as_str().unwrap()).unwrap()
}

fn parse(json: &str) -> Result<Claimed, ParseError> {
    Claimed::parse(json, &Limits::default())
}

fn verify_with(json: &str, leniency: Leniency) -> Result<Signed, String> {
    let chain = |error: &dyn std::error::Error| {
        let causes = std::iter::successors(error.source(), |it| it.source());
        causes.fold(error.to_string(), |text, it| format!("{text}: {it}"))
    };
    parse(json).map_err(|it| chain(&it))?.verify(leniency).map_err(|it| chain(&it))
}

fn verify(json: &str) -> Result<Signed, String> {
    verify_with(json, Leniency::default())
}

fn draft() -> Draft {
    let tags = [Tag::pair("d", "subspace_op"), Tag::pair("sid", "0xMG"), Tag::list("note", ["тег", "x"])];
    Draft {
        created_at: UnixSeconds(1_745_000_000),
        kind: Kind(30405),
        tags: tags.into_iter().collect(),
        content: "Grüße 🙂".to_owned(),
    }
}

/// Signs the usual draft, changes the JSON, and returns the text.
fn changed(scheme: Scheme, change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_str(&key().sign(draft(), scheme).to_json()).unwrap();
    change(&mut value);
    value.to_string()
}

#[test]
fn every_vector_verifies_and_comes_back_byte_for_byte() {
    let vectors = vectors();
    for vector in vectors["vectors"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let text = vector["event"].to_string();
        let event = verify(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = match name {
            "seed-eip191-ascii" => Scheme::SpecEip191,
            "seed-raw65-hard" => Scheme::SpecRaw,
            "sdk-js-hard-utf16-id" => Scheme::SdkUtf16,
            _ => Scheme::Sdk,
        };
        assert_eq!(event.scheme(), expected, "{name}");
        assert_eq!(base::hex::text(&event.serialized()), vector["serialized_utf8_hex"], "{name}");
        assert_eq!(event.body().to_string(), vector["sha256"], "{name}");
        let digests = Digests::new(Serialized::of(event.author(), &event.draft));
        assert_eq!(digests.sdk_id().to_string(), vector["eip191_keccak"], "{name}");
        assert_eq!(digests.utf16_id().to_string(), vector["js_sdk_utf16_keccak"], "{name}");
        assert_eq!(
            Author::checksum(event.author().address()).as_str(),
            &vector["address"].as_str().unwrap()[2..]
        );
        let again: Value = serde_json::from_str(&event.to_json()).unwrap();
        assert_eq!(again, vector["event"], "{name}");
        assert!(event.to_json().starts_with(r#"{"id":""#), "clients look for the id at the front");
    }
}

#[test]
fn every_negative_vector_is_refused() {
    let vectors = vectors();
    for vector in vectors["negative"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let error = verify(&vector["event"].to_string()).expect_err(name);
        let expected = match name {
            "high s (mathematically valid; refuse)" => "upper half",
            "wrong v" | "seed signature with an SDK id" => "is not by",
            _ => "is neither the SHA-256 of the event",
        };
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn the_example_sid_is_the_one_computed() {
    let example = &vectors()["sid_example"];
    let text = |field: &str| example[field].as_str().unwrap().to_owned();
    let sid = Sid::computed(&text("name"), &text("ops"), &text("rules"));
    assert_eq!(sid.as_str(), text("sid"));
    assert!(sid.is_digest() && !Sid::parse("0xMG").unwrap().is_digest());
    assert_eq!(
        Sid::computed("ab", "x=1", ""),
        Sid::computed("a", "bx=1", ""),
        "which is why creators are shown"
    );
}

// Rows 1 and 2: ids, and what a signature covers.

#[test]
fn every_scheme_signs_and_verifies_and_the_id_tells_which() {
    for scheme in [Scheme::SpecEip191, Scheme::SpecRaw, Scheme::Sdk, Scheme::SdkUtf16] {
        let signed = key().sign(draft(), scheme);
        assert_eq!(verify(&signed.to_json()).unwrap(), signed, "{scheme:?}");
    }
    let ascii = Draft { content: String::new(), tags: Tags::default(), ..draft() };
    let signed = key().sign(ascii, Scheme::SdkUtf16);
    assert_eq!(verify(&signed.to_json()).unwrap().scheme(), Scheme::Sdk, "ASCII has one length");
}

#[test]
fn a_signature_over_the_text_of_an_id_is_taken_on_request_only() {
    let signed = key().sign(draft(), Scheme::SpecText);
    assert!(verify(&signed.to_json()).unwrap_err().contains("is not by"));
    let leniency = Leniency { accept_id_text: true, ..Leniency::default() };
    assert_eq!(verify_with(&signed.to_json(), leniency).unwrap(), signed);
}

#[test]
fn a_wrong_id_is_answered_with_the_two_that_would_do() {
    let text = changed(Scheme::Sdk, |it| it["id"] = json!("0".repeat(64)));
    let signed = key().sign(draft(), Scheme::Sdk);
    let error = verify(&text).unwrap_err();
    assert!(error.contains(&signed.id().to_string()), "{error}");
    assert!(error.contains(&signed.body().to_string()), "{error}");
}

// Rows 3, 4 and 5: forms of a signature.

#[test]
fn a_signature_has_64_or_65_bytes_in_lower_case() {
    let with = |sig: &dyn Fn(&str) -> String| {
        let text = changed(Scheme::SpecEip191, |it| it["sig"] = json!(sig(it["sig"].as_str().unwrap())));
        verify(&text)
    };
    assert!(with(&str::to_owned).is_ok());
    let short = with(&|it| it[..128].to_owned()).unwrap();
    assert_eq!(short.signature.to_string().len(), 128, "given back in its own form");
    let v = |it: &str| u8::from_str_radix(&it[128..], 16).unwrap();
    assert!(with(&|it| format!("{}{:02x}", &it[..128], v(it) - 27)).is_ok());
    assert!(with(&|it| format!("{}{:02x}", &it[..128], 55 - v(it))).unwrap_err().contains("is not by"));
    assert!(with(&|it| format!("{}1d", &it[..128])).unwrap_err().contains("not 1d"));
    assert!(with(&|it| format!("{}1D", &it[..128])).unwrap_err().contains("lower-case"));
    assert!(with(&str::to_ascii_uppercase).unwrap_err().contains("lower-case"));
    assert!(with(&|it| format!("0x{it}")).unwrap_err().contains("130"));
    assert!(with(&|_| String::new()).unwrap_err().contains("130"));
    assert!(with(&|it| it[..126].to_owned()).is_err());
    assert!(with(&|_| "0".repeat(130)).is_err());
    assert!(with(&|_| "f".repeat(128)).unwrap_err().contains("upper half"));
    let id = changed(Scheme::Sdk, |it| it["id"] = json!(it["id"].as_str().unwrap().to_ascii_uppercase()));
    assert!(verify(&id).unwrap_err().contains("lower-case hex digit"));
}

#[test]
fn the_parity_in_the_top_bit_is_taken_on_request_only() {
    // Of a few signatures some have parity 1, which EIP-2098 writes into the top bit.
    let signed = (0..20).map(|it| Draft { content: it.to_string(), ..draft() });
    let signed: Vec<Signed> = signed.map(|it| key().sign(it, Scheme::SpecRaw)).collect();
    let odd = signed.iter().find(|it| it.signature.to_string().ends_with("1c")).unwrap();
    let sig = odd.signature.to_string();
    let digit = u8::from_str_radix(&sig[64..65], 16).unwrap() | 8;
    let folded = format!("{}{digit:x}{}", &sig[..64], &sig[65..128]);
    let text = odd.to_json().replace(&sig, &folded);
    assert!(verify(&text).unwrap_err().contains("upper half"));
    let leniency = Leniency { accept_eip2098: true, ..Leniency::default() };
    assert_eq!(verify_with(&text, leniency).unwrap().id(), odd.id());
}

// Row 6: authors.

#[test]
fn an_author_is_lower_case_or_checksum_and_never_anything_else() {
    let address = key().address();
    let (lower, checksum) = (Author::lower(address), Author::checksum(address));
    assert_eq!(lower, checksum, "one author");
    assert_ne!(lower.as_str(), checksum.as_str(), "two spellings");
    assert_eq!(Author::parse(checksum.as_str()).unwrap().as_str(), checksum.as_str());
    let check = |text: &str, expected: &str| {
        let error = Author::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    };
    check(&lower.as_str().to_ascii_uppercase(), checksum.as_str());
    check(&format!("0x{lower}"), "without 0x");
    check(&"ab".repeat(32), "64 digits are not supported");
    check(&"ab".repeat(19), "40 hex digits");
    check(&"é".repeat(20), "40 hex digits");
    check("", "40 hex digits");
}

// Row 8: an object in place of a text.

#[test]
fn an_object_is_its_own_text_and_is_given_back_as_a_text() {
    let content = r#"{"n":1.50,"b":[true,null],"text":"a \"b c\" \\","a":1e3}"#;
    let signed = key().sign(Draft { content: content.to_owned(), ..draft() }, Scheme::SpecEip191);
    let as_text = signed.to_json();
    let quoted = serde_json::to_string(content).unwrap();
    assert!(as_text.contains(&quoted));
    let as_object = as_text.replace(&quoted, content);
    assert_eq!(verify(&as_object).unwrap(), signed);
    let spaced = content.replace(",\"", " ,\n\t\"").replace("\":", "\" : ");
    assert_ne!(spaced, content);
    let event = verify(&as_text.replace(&quoted, &spaced)).unwrap();
    assert_eq!(event, signed, "white space outside of texts is not signed");
    assert!(event.to_json().contains(&quoted));

    let raw = key().sign(Draft { content: spaced.clone(), ..draft() }, Scheme::SpecEip191);
    let as_object = raw.to_json().replace(&serde_json::to_string(&spaced).unwrap(), &spaced);
    assert_eq!(verify(&as_object).unwrap().content(), spaced, "as it came, if that was signed");

    let printed_anew = content.replace("1.50", "1.5");
    assert!(verify(&as_text.replace(&quoted, &printed_anew)).unwrap_err().contains("is neither"));
    for wrong in ["[1]", "1", "null", "true"] {
        let error = verify(&as_text.replace(&quoted, wrong)).unwrap_err();
        assert!(error.contains("a text, or a JSON object"), "{wrong}: {error}");
    }
}

#[test]
fn an_object_that_was_signed_as_an_object_has_no_form_to_be_kept_in() {
    // The array that is signed, with the object itself in it and not its text.
    let (author, draft) = (Author::lower(key().address()), draft());
    let content = r#"{"dataset":[]}"#;
    let array = format!(
        "[0,{},{},{},{},{content}]",
        json!(author.as_str()),
        draft.created_at,
        draft.kind,
        json!(draft.tags)
    );
    let ids =
        [base::Sha256::of(array.as_bytes()).to_string(), base::hex::text(&personal_digest(array.as_bytes()))];
    for id in ids {
        let text = changed(Scheme::SpecEip191, |it| it["id"] = json!(id)).replace("\"Grüße 🙂\"", content);
        assert!(verify(&text).unwrap_err().contains("is neither the SHA-256 of the event"), "{text}");
    }
}

#[test]
fn texts_are_escaped_as_javascript_escapes_them() {
    let text: String = (0..0x30)
        .chain([0x5c, 0x7f, 0x85, 0xfeff, 0x2028, 0x2029, 0x1f642])
        .filter_map(char::from_u32)
        .collect();
    let draft = Draft { tags: Tags::default(), content: text, ..draft() };
    let body =
        String::from_utf8(Serialized::of(&Author::lower(key().address()), &draft).into_bytes()).unwrap();
    // As `JSON.stringify` prints it.
    let expected = concat!(
        r"\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f",
        r"\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f",
        r##" !\"#$%&'()*+,-./\\"##,
        "\u{7f}\u{85}\u{feff}\u{2028}\u{2029}🙂"
    );
    assert!(body.ends_with(&format!(",[],\"{expected}\"]")), "{body}");
}

proptest! {
    #[test]
    fn an_events_json_is_what_serde_makes_of_it(
        content in ".{0,40}",
        tags in prop::collection::vec(prop::collection::vec(".{0,8}", 1..4), 0..5),
        created_at in 0_u64..1 << 53,
        kind: u16,
    ) {
        let tags = tags.into_iter().map(|it| Tag::from_elements(it).unwrap()).collect();
        let draft = Draft { created_at: UnixSeconds(created_at), kind: Kind(kind), tags, content };
        let event = key().sign(draft, Scheme::SpecEip191);
        let json = event.to_json();
        prop_assert_eq!(&json, &serde_json::to_string(&event).unwrap());
        let proved = parse(&json).unwrap().prove(Leniency::default()).unwrap();
        prop_assert_eq!(proved.1.event_json(&proved.0), json);
        prop_assert_eq!(proved.0, event);
    }
}

// Rows 9 to 13 and 33: types, ranges, escapes, fields.

#[test]
fn fields_have_their_types_and_ranges() {
    let check = |field: &str, raw: &str, expected: &str| {
        let mut value: Value = serde_json::from_str(&key().sign(draft(), Scheme::Sdk).to_json()).unwrap();
        value[field] = json!("\u{1}");
        let text = value.to_string().replace("\"\\u0001\"", raw);
        let error = verify(&text).unwrap_err();
        assert!(error.contains(expected), "{field}={raw}: {error}");
    };
    for raw in
        ["\"1745000000\"", "\"<timestamp>\"", "1745000000.0", "1.745e9", "-1", "9007199254740992", "null"]
    {
        check("created_at", raw, "created_at as whole seconds");
    }
    for raw in ["65536", "70000", "-1", "1.0", "\"1\"", "null"] {
        check("kind", raw, "kind as a whole number");
    }
    check("tags", "[[]]", "a tag needs a name");
    check("tags", "[[1]]", "expected a string");
    check("tags", "{}", "expected a sequence");
    check("tags", r#"[["sid",""]]"#, "a sid is not empty");
    check("content", r#""\ud800""#, "hex escape");
    check("content", "\"a\nb\"", "control character");
    check("pubkey", "1", "expected a");
}

#[test]
fn comments_missing_fields_and_doubled_fields_are_no_event() {
    let text = changed(Scheme::Sdk, |_| ());
    assert!(verify(&text).is_ok());
    assert!(verify(&format!("{text}// note")).unwrap_err().contains("trailing"));
    assert!(verify(&text.replacen('{', "{\"kind\":1,", 1)).unwrap_err().contains("duplicate field `kind`"));
    assert!(verify("[]").is_err());
    assert!(verify("").is_err());
    for field in ["id", "pubkey", "created_at", "kind", "tags", "content", "sig"] {
        let text = changed(Scheme::Sdk, |it| drop(it.as_object_mut().unwrap().remove(field)));
        assert!(verify(&text).unwrap_err().contains(&format!("missing field `{field}`")));
    }
    let more = changed(Scheme::Sdk, |it| it["seen_on"] = json!({"relay": ["x"]}));
    assert!(!verify(&more).unwrap().to_json().contains("seen_on"), "what is not signed is not kept");
}

#[test]
fn too_much_is_refused_before_it_is_hashed() {
    let limits = Limits { event_bytes_max: 2000, tags_max: 3, tag_value_bytes_max: 100 };
    let of = |tags: Vec<Tag>, content: &str| {
        let draft = Draft { tags: tags.into_iter().collect(), content: content.to_owned(), ..draft() };
        Claimed::parse(&key().sign(draft, Scheme::Sdk).to_json(), &limits)
            .map(drop)
            .map_err(|it| it.to_string())
    };
    assert_eq!(of(vec![Tag::pair("a", "b"); 3], ""), Ok(()));
    assert_eq!(of(vec![Tag::pair("a", "b"); 4], "").unwrap_err(), "an event has at most 3 tags, not 4");
    let long = "the first value of tag `a` has at most 100 bytes, not 101";
    assert_eq!(of(vec![Tag::pair("a", &"b".repeat(101))], "").unwrap_err(), long);
    assert!(of(vec![], &"x".repeat(2000)).unwrap_err().starts_with("an event has at most 2000 bytes"));
}

// Row 20: parents.

#[test]
fn parents_are_all_the_ids_in_all_parent_tags() {
    let (one, two) = ("a".repeat(64), "b".repeat(64));
    let tags = [
        Tag::list("parent", [two.as_str(), "parent-hash-123", one.as_str()]),
        Tag::list("parent", []),
        Tag::list("parent", [one.as_str(), &"C".repeat(64)]),
    ];
    let signed = key().sign(Draft { tags: tags.into_iter().collect(), ..draft() }, Scheme::Sdk);
    let parents: Vec<String> = signed.parents().iter().map(ToString::to_string).collect();
    assert_eq!(parents, [one, two]);
}

#[test]
fn a_leaf_has_one_byte_form() {
    let event = key().sign(draft(), Scheme::SpecRaw);
    let at = Position { seq: 7, n: 2, tick: 3, depth: 1, prev: None, received: UnixSeconds(9) };
    let bytes = Leaf::of(&event, at).to_bytes();
    let expected = format!(
        concat!(
            r#"{{"v":1,"seq":7,"id":"{id}","body":"{id}","pubkey":"2c7536e3605d9c16a7a3d7b1898e529396a65c23","#,
            r#""sid":"0xMG","key":30405,"n":2,"tick":3,"depth":1,"prev":"","t":9}}"#
        ),
        id = event.id()
    );
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

proptest! {
    #[test]
    fn whatever_is_signed_verifies_and_one_changed_byte_does_not(
        content in ".{0,40}", value in ".{0,10}", seconds in 0..=(1_u64 << 53) - 1, kind: u16, place: prop::sample::Index,
        sdk: bool,
    ) {
        let tags = Tags::from_iter([Tag::pair("t", &value)]);
        let draft = Draft { created_at: UnixSeconds(seconds), kind: Kind(kind), tags, content };
        let signed = key().sign(draft, if sdk { Scheme::Sdk } else { Scheme::SpecEip191 });
        let text = signed.to_json();
        prop_assert_eq!(verify(&text).unwrap(), signed.clone());
        let digits: Vec<usize> = text.char_indices().filter(|it| it.1.is_ascii_digit()).map(|it| it.0).collect();
        let place = digits[place.index(digits.len())];
        let mut other = text.clone().into_bytes();
        other[place] = if other[place] == b'9' { b'8' } else { other[place] + 1 };
        let other = String::from_utf8(other).unwrap();
        if let Ok(event) = verify(&other) {
            // Only the spelling of a recovery id has two forms of one meaning, and neither is a digit away.
            prop_assert!(false, "{other} verifies as {event:?}");
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}", object in r#"\{("(id|pubkey|kind|tags|content|sig)":("[0-9a-f]{0,4}"|[0-9]{1,4}|\[\]|\{\}),?){0,8}\}"#) {
        let _ = verify(&text);
        let _ = verify(&object);
    }
}

/// How the event of a stranger may be right or wrong.
#[derive(Clone, Copy, Debug)]
enum Twist {
    None,
    Scheme(Scheme),
    Object,
    NoParity,
    OtherParity,
    OtherAuthor,
    OtherSignature,
    OtherId,
    HighS,
    Number(usize, &'static str),
}

/// Signs the draft of a number with one of three keys, and twists it.
fn twisted(author: u8, number: u64, twist: Twist) -> Claimed {
    let key = |number| SecretKey::from_bytes([number; 32]).unwrap();
    let mut draft = Draft { created_at: UnixSeconds(number), ..draft() };
    let scheme = if let Twist::Scheme(scheme) = twist { scheme } else { Scheme::SpecEip191 };
    if let Twist::Object = twist {
        draft.content = "{\"a\":1}".to_owned();
    }
    let mut event: Value =
        serde_json::from_str(&key(1 + author).sign(draft.clone(), scheme).to_json()).unwrap();
    let signature = event["sig"].as_str().unwrap().to_owned();
    let parity = |text: &str| if text.ends_with("1b") { "1c" } else { "1b" };
    match twist {
        Twist::None | Twist::Scheme(_) => {}
        Twist::Object => event["content"] = json!({"a": 1}),
        Twist::NoParity => event["sig"] = signature[..128].into(),
        Twist::OtherParity => event["sig"] = format!("{}{}", &signature[..128], parity(&signature)).into(),
        Twist::OtherAuthor => {
            let other: Value = serde_json::from_str(&key(4).sign(draft, scheme).to_json()).unwrap();
            event["sig"] = other["sig"].clone();
        }
        Twist::OtherSignature => {
            let other = Draft { kind: Kind(30300), ..draft };
            let other: Value = serde_json::from_str(&key(1 + author).sign(other, scheme).to_json()).unwrap();
            event["sig"] = other["sig"].clone();
        }
        Twist::OtherId => event["id"] = "1".repeat(64).into(),
        Twist::HighS => event["sig"] = format!("{}f{}", &signature[..64], &signature[65..]).into(),
        Twist::Number(place, digits) => {
            event["sig"] = format!("{}{digits}{}", &signature[..place], &signature[place + 64..]).into();
        }
    }
    parse(&event.to_string()).unwrap()
}

fn twists() -> impl Strategy<Value = Twist> {
    const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";
    const BEYOND: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    // Five is on no point of the curve: its cube and seven more have no root.
    const NO_POINT: &str = "0000000000000000000000000000000000000000000000000000000000000005";
    let wrong = prop::sample::select(vec![
        Twist::OtherParity,
        Twist::OtherAuthor,
        Twist::OtherSignature,
        Twist::OtherId,
        Twist::HighS,
        Twist::Number(0, ZERO),
        Twist::Number(0, BEYOND),
        Twist::Number(0, NO_POINT),
        Twist::Number(64, ZERO),
    ]);
    let unusual = prop::sample::select(vec![
        Twist::Scheme(Scheme::SpecRaw),
        Twist::Scheme(Scheme::Sdk),
        Twist::Scheme(Scheme::SdkUtf16),
        Twist::Object,
        Twist::NoParity,
    ]);
    prop_oneof![30 => Just(Twist::None), 6 => unusual, 1 => wrong]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn many_events_are_proved_together_as_each_is_alone(
        groups in prop::collection::vec(prop::collection::vec((0..3_u8, twists()), 1..80), 1..4)
    ) {
        for group in groups {
            let claimed: Vec<_> =
                group.into_iter().zip(1..).map(|((author, twist), it)| twisted(author, it, twist)).collect();
            let alone: Vec<_> = claimed.iter().map(|it| it.clone().verify(Leniency::default())).collect();
            let together = Claimed::prove_all(claimed, Leniency::default());
            let together: Vec<_> = together.into_iter().map(|it| it.map(|it| it.0)).collect();
            prop_assert_eq!(together, alone);
        }
    }
}
