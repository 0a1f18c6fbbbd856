//! Whatever the text: a card, a model, an UPDATE, a selector or a flaw with a place, and no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineage::{Caps, Checkpoint, Graph, Item, Model, Selector, Update, evaluate, explain};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Selector::parse(text) {
        Ok(selector) => assert_eq!(Selector::parse(&selector.to_string()), Ok(selector)),
        Err(error) => assert!(error.column <= text.chars().count() + 1),
    }
    let model = Model::read(text);
    if let Ok(item) = Item::read(text) {
        assert_eq!(Item::read(item.canonical()).map(|it| it.hash()), Ok(item.hash()));
        assert!(!explain(&item).is_empty());
        // Nothing is visible in an empty ledger.
        assert!(evaluate(&Graph::new(), &item, &model, Checkpoint::at(1), Caps::DAEMON).is_err());
    }
    if let Ok(update) = Update::read(text) {
        assert_eq!(Update::read(&update.canonical()).as_ref(), Ok(&update));
    }
    if let Some(mended) = lineage::lint::fix(text) {
        assert!(lineage::json::Json::parse(&mended).is_ok());
    }
    if let Ok(result) = lineage::case::run_line(text) {
        assert_eq!(lineage::case::run_line(text).ok(), Some(result));
    }
});
