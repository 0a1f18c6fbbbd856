//! The index against a look at every event: filters, pages and counts give the same.

use proptest::prelude::*;

use super::*;
use crate::filter::newest_first;

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
