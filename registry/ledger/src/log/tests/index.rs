//! The index against a look at every event: filters, pages and counts give the same.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::{
    super::{block, era},
    *,
};
use crate::{
    filter::newest_first,
    store::{Access, Brief, ChunkRow, Found as _, Store},
};

fn any_event() -> impl Strategy<Value = Signed> {
    let tags = prop::collection::vec(("[pqr]|sid|parent|op|session_id", "[ab]|0x[AB]"), 0..4);
    (
        0_u8..3,
        0_u64..20,
        prop::sample::select(vec![30300_u16, 30404, 30410]),
        tags,
        any::<u64>(),
        any::<bool>(),
    )
        .prop_map(|(author, created_at, kind, tags, salt, sdk)| {
            let mut all: crate::event::Tags =
                [Tag::pair("d", "subspace_op"), Tag::pair("sid", if salt % 2 == 0 { "0xA" } else { "0xB" })]
                    .into_iter()
                    .collect();
            for (name, value) in tags {
                all.push(Tag::list(&name, [value.as_str(), "second"]));
            }
            let draft = Draft {
                created_at: UnixSeconds(created_at),
                kind: Kind(kind),
                tags: all,
                content: salt.to_string(),
            };
            key(author).sign(draft, if sdk { Scheme::Sdk } else { Scheme::SpecEip191 })
        })
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let kinds = prop::option::of(prop::collection::btree_set(
        prop::sample::select(vec![30300_u16, 30404, 1]).prop_map(Kind),
        0..3,
    ));
    let authors =
        prop::option::of(prop::collection::btree_set((0_u8..4).prop_map(|it| key(it).address()), 0..3));
    let values = prop::collection::btree_set("[ab]|0x[AB]|second|subspace_op", 0..3);
    let tags = prop::collection::btree_map("[pqr]|sid|parent|op|d|session_id", values, 0..3);
    let time = prop::option::of((0_u64..22).prop_map(UnixSeconds));
    let limit = prop::option::of(0_u64..30);
    (kinds, authors, tags, time.clone(), time, limit).prop_map(
        |(kinds, authors, tags, since, until, limit)| Filter {
            ids: None,
            authors,
            kinds,
            tags,
            since,
            until,
            limit,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn the_index_gives_what_a_look_at_every_event_gives(
        events in prop::collection::vec(any_event(), 1..220),
        filters in prop::collection::vec(any_filter(), 40),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 5),
        size in any::<prop::sample::Index>(),
        restart: bool,
    ) {
        let mut rig = Rig::new();
        let mut log = rig.open();
        let mut have: Vec<Signed> = Vec::new();
        for batch in events.chunks(50) {
            let batch: Vec<Prepared> = batch.iter().cloned().map(Prepared::from).collect();
            for outcome in log.append(batch).unwrap() {
                if let Outcome::Accepted(it) = outcome {
                    have.push(it.event.clone());
                }
            }
        }
        if restart {
            drop(log);
            log = rig.open();
        }
        let size = size.index(have.len()) as u64 + 1;
        let by_id = Filter { ids: Some(picks.iter().map(|it| have[it.index(have.len())].id()).collect()), ..Filter::default() };
        for (index, filter) in filters.iter().chain([&by_id, &Filter::default()]).enumerate() {
            let size = (index % 3 == 0).then_some(size);
            let seen = have.iter().take(size.map_or(have.len(), |it| usize::try_from(it).unwrap()));
            let mut expected: Vec<&Signed> = seen.filter(|it| filter.matches(it)).collect();
            expected.sort_by(|one, other| newest_first(one, other));
            let whole: Vec<EventId> = expected.iter().map(|it| it.id()).collect();
            let limit = filter.limit.map_or(usize::MAX, |it| usize::try_from(it).unwrap());
            let ids = |found: &[Stored]| found.iter().map(|it| it.id).collect::<Vec<_>>();
            let query = Query { filter: filter.clone(), size, after: None };
            let found = log.query(&query).unwrap();
            prop_assert_eq!(ids(&found), &whole[..whole.len().min(limit)], "{:?}", query);
            // Whoever asks for less of each finds the same.
            let mut briefs = Vec::new();
            log.each_brief(&query, |it| {
                briefs.push(it);
                ControlFlow::Continue(())
            })
            .unwrap();
            prop_assert_eq!(briefs, found.into_iter().map(Brief::of).collect::<Vec<_>>());
            if size.is_none() {
                prop_assert_eq!(log.count(filter, 1000).unwrap(), whole.len() as u64);
            }
            // Page by page it is the same list.
            let (mut pages, mut after) = (Vec::new(), None);
            loop {
                let filter = Filter { limit: Some(7), ..filter.clone() };
                let page = log.query(&Query { filter, size, after }).unwrap();
                let Some(last) = page.last() else { break };
                after = Some(PageMark { created_at: last.created_at.0, id: last.id });
                pages.extend(ids(&page));
            }
            prop_assert_eq!(pages, whole);
        }
    }
}

/// Makes a log's file what a hallmark before blocks would have written: each short run in a row of its own.
fn without_blocks(path: &std::path::Path) {
    let mut store = Store::connect(path, Access::Write).unwrap();
    let moved = store.transact(|store| {
        let mut count = 0;
        for row in store.eras()? {
            let mut chunks = store.chunks(row.no)?;
            let mut from = i64::MIN;
            while let Some(bytes) = store.block(row.no, from)? {
                let runs = block::unpack(&bytes).unwrap();
                from = runs.last().unwrap().0 + 1;
                count += runs.len();
                for (key, postings) in runs {
                    let oldest = postings.last().unwrap().created_at;
                    let mut bytes = Vec::new();
                    for posting in &postings {
                        posting.write(&mut bytes);
                    }
                    era::seal(&mut bytes);
                    chunks.put(ChunkRow { key, number: 0, oldest, postings: bytes })?;
                }
            }
            chunks.finish()?;
        }
        store.execute_for_tests("DROP TABLE block; PRAGMA user_version = 3")?;
        Ok(count)
    });
    assert!(moved.unwrap() > 100, "there were short runs");
}

#[test]
fn a_file_from_before_blocks_is_read_as_it_is_and_goes_on_with_them() {
    let mut rig = Rig::new();
    let numbered = |number: u64| {
        let mut draft = Draft { created_at: UnixSeconds(number), ..post_draft() };
        draft.tags.push(Tag::pair("number", &number.to_string()));
        draft.tags.push(Tag::pair("pair", &(number / 2).to_string()));
        key(1).sign(draft, Scheme::SpecEip191)
    };
    let write = |log: &Log, numbers: std::ops::Range<u64>| {
        log.append(numbers.map(|it| Prepared::from(numbered(it))).collect()).unwrap();
    };
    let log = rig.open();
    write(&log, 0..150);
    drop(log);
    without_blocks(&rig.path());
    let log = rig.open();
    write(&log, 150..300);
    for number in 0..300 {
        let found = |filter: Filter| {
            let found = log.query(&Query { filter, ..Query::default() }).unwrap();
            found.into_iter().map(|it| it.at.seq).collect::<Vec<_>>()
        };
        assert_eq!(found(Filter::default().tag("number", &number.to_string())), [number]);
        let pair = [number / 2 * 2 + 1, number / 2 * 2];
        assert_eq!(found(Filter::default().tag("pair", &(number / 2).to_string())), pair);
    }
}
