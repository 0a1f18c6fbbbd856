//! The newest era against the plain way: a tree of trees, written run by run.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::store::Access;

/// The number of the era.
const NO: u64 = 3;

/// The last second that SQLite can hold: what reaches back to there is everything.
const LATEST: u64 = i64::MAX.cast_unsigned();

/// All rows of an era, in their order.
#[derive(Debug, Default, PartialEq)]
struct Rows {
    eras: Vec<EraRow>,
    blocks: Vec<Vec<u8>>,
    chunks: Vec<(u64, u64, Vec<u8>)>,
}

impl Rows {
    /// Writes an era into a file, and reads what stands there.
    fn of(era: &Era, keys: impl IntoIterator<Item = u64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        drop(Store::open(&path).unwrap());
        let mut store = Store::connect(&path, Access::Write).unwrap();
        store.transact(|store| era.write(store)).unwrap();
        let (mut rows, mut from) = (Self { eras: store.eras().unwrap(), ..Self::default() }, i64::MIN);
        while let Some(bytes) = store.block(NO, from).unwrap() {
            rows.blocks.push(bytes.clone());
            match block::unpack(&bytes).unwrap().last().unwrap().0.checked_add(1) {
                Some(next) => from = next,
                None => break,
            }
        }
        for key in keys {
            let mut from = 0;
            while let Some((number, bytes)) = store.chunk(NO, key, from, LATEST).unwrap() {
                rows.chunks.push((key, number, bytes));
                from = number + 1;
            }
        }
        rows
    }
}

/// The same as an era, in the plain way.
#[derive(Debug, Default)]
struct Plain {
    postings: BTreeMap<u64, BTreeSet<Posting>>,
    names: BTreeSet<(u64, u16)>,
    seconds: BTreeSet<u64>,
}

impl Plain {
    fn insert(&mut self, indexed: &Indexed, posting: Posting) {
        for key in &indexed.keys {
            self.postings.entry(*key).or_default().insert(posting);
        }
        self.names.extend(indexed.names().map(|it| (it, posting.offset)));
        self.seconds.insert(posting.created_at);
    }

    fn page(&self, key: u64, after: Option<Posting>, from: Rank) -> Vec<Posting> {
        let all = self.postings.get(&key).into_iter().flatten();
        let behind = all.filter(|it| after.map_or(it.rank() >= from, |after| **it > after));
        behind.take(CHUNK_POSTINGS).copied().collect()
    }

    fn rows(&self) -> Rows {
        fn sealed(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
            let mut bytes = Vec::new();
            write(&mut bytes);
            seal(&mut bytes);
            bytes
        }
        let names = sealed(|bytes| {
            for (name, offset) in &self.names {
                bytes.extend([name.to_be_bytes().as_slice(), &offset.to_be_bytes()].concat());
            }
        });
        let (newest, oldest) = (*self.seconds.last().unwrap(), *self.seconds.first().unwrap());
        let mut rows = Rows { eras: vec![EraRow { no: NO, newest, oldest, names }], ..Rows::default() };
        let mut packer = Packer::default();
        let signed: BTreeMap<i64, &BTreeSet<Posting>> =
            self.postings.iter().map(|(key, run)| (key.cast_signed(), run)).collect();
        for (key, run) in &signed {
            let run: Vec<Posting> = run.iter().copied().collect();
            if run.len() <= SHORT_MAX {
                rows.blocks.extend(packer.add(*key, &run).map(|it| it.bytes));
            }
        }
        rows.blocks.extend(packer.finish().map(|it| it.bytes));
        for (key, run) in self.postings.iter().filter(|it| it.1.len() > SHORT_MAX) {
            let run: Vec<Posting> = run.iter().copied().collect();
            for (number, postings) in (0..).zip(run.chunks(CHUNK_POSTINGS)) {
                let bytes = sealed(|bytes| postings.iter().for_each(|it| it.write(bytes)));
                rows.chunks.push((*key, number, bytes));
            }
        }
        rows
    }
}

/// An event: some keys that many have and some that few have, when, and whether its body has a name of its own.
type Event = (BTreeSet<u64>, u64, u64, bool);

fn any_event() -> impl Strategy<Value = Event> {
    let key = prop_oneof![Just(0), 1_u64..5, u64::MAX - 5..=u64::MAX, any::<u64>(), Just(1 << 63)];
    (prop::collection::btree_set(key, 1..8), 0_u64..6, 0_u64..50, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn an_era_is_what_the_plain_way_makes_of_its_events(
        batches in prop::collection::vec(prop::collection::vec(any_event(), 0..8), 1..40),
        after in prop::option::of((0_u64..7, 0_u64..50, 0_u16..200)),
        from in (0_u64..7, 0_u64..50),
    ) {
        let (mut era, mut spare, mut plain) = (Era::new(NO), Spare::default(), Plain::default());
        let after = after.map(|(created_at, id, offset)| Posting { created_at, id, offset });
        let from = Rank { created_at: from.0, id: from.1 };
        let mut offsets = 0..;
        for batch in batches {
            let indexed: Vec<(Indexed, Posting)> = batch.into_iter().zip(offsets.by_ref()).map(|it| {
                let ((keys, created_at, id, is_one), offset) = it;
                let names = (id, if is_one { id } else { id + 1000 });
                (Indexed { keys: keys.into_iter().collect(), names }, Posting { created_at, id, offset })
            }).collect();
            for (indexed, posting) in &indexed {
                plain.insert(indexed, *posting);
            }
            let new: Vec<_> = indexed.iter().map(|it| (&it.0, it.1)).collect();
            let growth = era.grow(&new, &mut spare);
            spare.keep(era.take(growth));
            prop_assert_eq!(era.newest(), plain.seconds.last().copied().unwrap_or(0));
            for key in plain.postings.keys().chain([&7]) {
                prop_assert_eq!(era.page(*key, after, from), plain.page(*key, after, from));
            }
        }
        if !plain.postings.is_empty() {
            prop_assert_eq!(Rows::of(&era, plain.postings.keys().copied()), plain.rows());
        }
    }
}

#[test]
fn what_is_written_is_what_was_always_written() {
    let mixed = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number << 7);
    let (mut era, mut keys) = (Era::new(NO), BTreeSet::new());
    for number in 0..300_u16 {
        let wide = u64::from(number);
        let own = [0, mixed(wide % 3 + 1), mixed(wide / 2 + 10), mixed(wide + 1000), mixed(wide % 40 + 5000)];
        keys.extend(own);
        let id = mixed(wide + 7000);
        let names = (id, if number.is_multiple_of(5) { id } else { !id });
        let posting = Posting { created_at: 100 + mixed(wide) % 50, id, offset: number };
        let growth = era.grow(&[(&Indexed { keys: own.to_vec(), names }, posting)], &mut Spare::default());
        era.take(growth);
    }
    let Rows { eras, blocks, chunks } = Rows::of(&era, keys);
    assert_eq!((eras.len(), blocks.len(), chunks.len()), (1, 76, 117));
    // Taken from the file of a hallmark that had its newest era in a table of sorted lists.
    let digest = Sha256::of(format!("{:?}", (eras, blocks, chunks)).as_bytes()).to_string();
    assert_eq!(digest, "513ecc04e6c5498bdc5ae821422dafcf8995d973c55cd18334bb43a2d24dc2ef");
}
