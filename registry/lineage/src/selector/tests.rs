use proptest::prelude::*;

use super::*;

#[test]
fn the_selectors_of_the_spec_parse_and_print_as_they_were_written() {
    for text in [
        "meta.price",
        "meta.items.w",
        "tx.value",
        "tx.kind",
        "rel.parents",
        "rel.children",
        "blk.height",
        "time",
        "txid",
        "sum(meta.items.w)",
        "avg(meta.items.q)",
        "count(tx[kind=30405].id)",
        "meta.items[cat=grain].q",
        "meta.items[cat!=grain,q<100].q",
        "meta.items[cat=\"ü\"].q",
        "tx[kind>=30404,pubkey=p1].id",
        "tag[k=a].k",
        "meta.\"a b\".\"c\\\"\\\\\"[\"x y\"=\"\"].z",
        "meta.a[url=https://x.org/a_b-c+d].b",
    ] {
        assert_eq!(Selector::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Selector::parse("rel.parent"), Selector::parse("rel.parents"));
}

#[test]
fn what_is_no_selector_is_refused_with_a_caret() {
    let check = |text: &str, column: usize, expected: &str| {
        let error = Selector::parse(text).unwrap_err();
        assert_eq!((error.column, error.expected.as_str()), (column, expected), "{text}");
    };
    let root = "expected meta, tag, tx, rel, blk, time or txid";
    check("", 1, root);
    check("meta", 5, "expected `.` and a name");
    check("foo.bar", 1, root);
    check("meta.a..b", 8, "expected a name");
    check("meta.items[cat=].q", 16, "expected a value");
    check("sum(sum(meta.a))", 5, root);
    check("hist(meta.a)", 1, root);
    check("sum(meta.a", 11, "expected `)`");
    check("blk.hash", 4, "expected `.height`");
    check("blk[height=1].height", 4, "expected `.height`");
    check("rel.parents[a=1]", 12, "expected the end, `.` or `[`");
    check("time[a=1]", 5, "expected the end, `.` or `[`");
    check("tx.hash", 4, "expected kind, pubkey, id or value");
    check("meta.items[cat=“grain”].q", 16, "expected a value");
    check("meta.items[].q", 12, "expected a name");
    check("meta.i[a=1,b=2,c=3,d=4,e=5].q", 23, "expected `]`, or `,` and one of at most 4 conditions");
    check("meta.a b", 7, "expected the end, `.` or `[`");
    check("meta.\"a", 8, "expected a closing `\"`");
    check(&format!("meta{}", ".a".repeat(17)), 39, "expected at most 16 steps");
    check(&format!("meta.{}", "a".repeat(65)), 70, "expected the end, `.` or `[`");
    assert!(Selector::parse(&format!("meta{}", ".a".repeat(16))).is_ok());
    assert!(Selector::parse(&format!("meta.{}", "a".repeat(252))).is_err());
    assert_eq!(Selector::parse("meta.a..b").unwrap_err().to_string(), "expected a name\nmeta.a..b\n       ^");
}

fn condition(root: Root) -> impl Strategy<Value = Condition> {
    let op = prop::sample::select(Op::ALL.to_vec());
    let name = if root == Root::Tx {
        prop::sample::select(TX_FIELDS.to_vec()).prop_map(str::to_owned).boxed()
    } else {
        "[a-z_][a-zA-Z0-9_-]{0,5}|\\PC{0,4}".boxed()
    };
    (name, op, "[a-z0-9.+:/-]{1,6}|\\PC{0,4}").prop_map(|(name, op, literal)| Condition { name, op, literal })
}

fn any_path() -> impl Strategy<Value = Path> {
    let root = prop::sample::select(vec![Root::Meta, Root::Tag, Root::Tx]);
    let fields = root.prop_flat_map(|root| {
        let filter = prop::collection::vec(condition(root), 0..3);
        let step = ("[a-z][a-z0-9_-]{0,5}|\\PC{0,3}", prop::collection::vec(condition(Root::Meta), 0..2));
        let steps = prop::collection::vec(step.prop_map(|(name, filter)| Step { name, filter }), 1..4);
        let own = prop::sample::select(TX_FIELDS.to_vec());
        (filter, steps, own).prop_map(move |(filter, mut steps, own)| {
            if root == Root::Tx {
                steps[0].name = own.to_owned();
            }
            Path::Fields { root, filter, steps }
        })
    });
    prop_oneof![
        Just(Path::TxId),
        Just(Path::Time),
        Just(Path::Height),
        Just(Path::Parents),
        Just(Path::Children),
        fields,
    ]
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same_selector(
        function in prop::option::of(prop::sample::select(Agg::ALL[..7].to_vec())), path in any_path(),
    ) {
        let selector = Selector { function, path };
        let text = selector.to_string();
        prop_assume!(text.len() <= TEXT_BYTES_MAX);
        prop_assert_eq!(Selector::parse(&text), Ok(selector));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z.\\[\\]=<>!\",()0-9 \\\\]{0,40}|\\PC{0,20}") {
        if let Err(error) = Selector::parse(&text) {
            prop_assert!(error.column <= text.chars().count() + 1);
        }
    }
}
