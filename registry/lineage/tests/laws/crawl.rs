//! The crawl against a plain one that is written as the protocol tells it, wherever shortcuts might show: order asked
//! for or not, links that lead backward, what is not visible or never came, filters, and limits at their very edge.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lineage::{Extraction, extract};

use super::*;

/// Whom an event names as parents in the order of its tags, each once.
fn parents(event: &Event) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let tags = event.tags.iter().filter(|it| it.first().is_some_and(|name| name == "parent"));
    tags.flat_map(|it| &it[1..]).map(String::as_str).filter(|it| seen.insert(*it)).collect()
}

/// What happened, and in which order it is told.
#[derive(Clone, Debug)]
struct Tale {
    events: Vec<Event>,
    /// Whether the newest links are put among the others, and which card has columns while the events come.
    is_settled: bool,
    keeps: bool,
}

impl Tale {
    fn graph(&self, item: &Item) -> Graph {
        let mut graph = Graph::new();
        if self.keeps {
            graph.keep_for(item);
        }
        for event in &self.events {
            graph.push(event).unwrap();
        }
        if self.is_settled {
            graph.settle();
        }
        graph
    }
}

/// How far links may lead: to events before, to the event itself as well, to such that never come, or anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tangle {
    Before,
    Itself,
    Nowhere,
    Anywhere,
}

/// Parents may be any event: an earlier or later one, the event itself, or one that never comes.
fn any_tale() -> impl Strategy<Value = Tale> {
    let content = prop_oneof![
        Just("words".to_owned()),
        (-500..500).prop_map(|it| format!(r#"{{"w":{it}}}"#)),
        (0_usize..90, -9.0..9.0).prop_map(|(count, it)| format!(r#"{{"w":{:?}}}"#, vec![it; count])),
        Just(r#"{"w":[99999999999999999,"0.5",null,true]}"#.to_owned()),
    ];
    let parents = prop::collection::vec((any::<prop::sample::Index>(), 0..20_u32), 0..5);
    let event = (0_u64..40, 1_u32..4, content, parents);
    let tangle = prop_oneof![
        Just(Tangle::Before),
        Just(Tangle::Itself),
        Just(Tangle::Nowhere),
        Just(Tangle::Anywhere)
    ];
    (prop::collection::vec(event, 1..100), tangle, any::<u64>(), any::<bool>(), any::<bool>()).prop_map(
        |(told, tangle, shuffle, is_settled, keeps)| {
            let count = told.len();
            let event = |(place, (time, kind, content, parents)): (usize, (u64, u32, String, Vec<_>))| {
                let parent = |(index, how): (prop::sample::Index, u32)| match how {
                    0 if tangle >= Tangle::Nowhere => Some(id(count + 1)),
                    1..3 if tangle >= Tangle::Itself => Some(id(place)),
                    3..5 if tangle == Tangle::Anywhere => Some(id(index.index(count))),
                    _ => (place > 0).then(|| id(index.index(place))),
                };
                let parents = parents.into_iter().filter_map(parent).map(|it| vec!["parent".to_owned(), it]);
                Event {
                    id: id(place),
                    pubkey: "0xa".to_owned(),
                    created_at: time,
                    kind,
                    tags: parents.collect(),
                    content: lineage::Content::of_text(&content),
                    seq: place as u64 + 1,
                }
            };
            let mut events: Vec<Event> = told.into_iter().enumerate().map(event).collect();
            // Some come in the ledger's order, some do not.
            if tangle == Tangle::Anywhere && shuffle % 2 == 0 {
                events.sort_by_key(|it| {
                    base::digest::Sha256::of(format!("{shuffle}{}", it.id).as_bytes()).to_string()
                });
            }
            Tale { events, is_settled, keeps }
        },
    )
}

/// What a crawl is asked for.
#[derive(Clone, Debug)]
struct Asked {
    start: Option<usize>,
    end: Option<usize>,
    direction: &'static str,
    kinds: Option<BTreeSet<u32>>,
    seed: Option<String>,
    at: u64,
    limit: u64,
    gas: u64,
}

impl Asked {
    fn item(&self) -> Item {
        let kinds = |it: &BTreeSet<u32>| format!("{:?}", it.iter().collect::<Vec<_>>());
        let start = self.start.map_or(r#""q":{"kinds":[1]}"#.to_owned(), |it| format!(r#""s":"{}""#, id(it)));
        let end = self.end.map_or(String::new(), |it| format!(r#""e":"{}","#, id(it)));
        let seed = self.seed.as_ref().map_or(String::new(), |it| format!(r#""seed":"{it}","#));
        let filter =
            self.kinds.as_ref().map_or(String::new(), |it| format!(r#","f":{{"kinds":{}}}"#, kinds(it)));
        let text = format!(
            r#"{{"v":"1",{start},{end}"j":{{"jid":"J","m":"OP_AI_EVAL","mod":"m:1","limit":{},{seed}"spec":[{ALL}]}},"o":{{"ut":"UPDATE"}},"ctl":{{"maxN":1000,"gas":{},"dir":"{}"{filter}}}}}"#,
            self.limit, self.gas, self.direction,
        );
        Item::read(&text).unwrap()
    }
}

fn any_asked() -> impl Strategy<Value = Asked> {
    let place = || 0_usize..100;
    let direction = prop_oneof![4 => Just("down"), 1 => Just("up"), 1 => Just("both")];
    let kinds = prop::option::weighted(0.3, prop::collection::btree_set(1_u32..4, 1..3));
    let at = prop_oneof![Just(1000), 1_u64..100];
    let (start, end) = (prop::option::weighted(0.8, place()), prop::option::weighted(0.2, place()));
    (start, end, direction, kinds, prop::option::weighted(0.2, "[a-z]"), at).prop_map(
        |(start, end, direction, kinds, seed, at)| Asked {
            start,
            end,
            direction,
            kinds,
            seed,
            at,
            limit: 1000,
            gas: 1 << 40,
        },
    )
}

/// What the plain crawl found.
#[derive(Debug, PartialEq, Eq)]
struct Plain {
    visited: Vec<String>,
    stop: &'static str,
    missing: u64,
    gas: u64,
}

/// The crawl as the protocol tells it, over lists. `None` if the gas does not suffice.
fn plain(events: &[Event], asked: &Asked) -> Option<Plain> {
    let visible: BTreeMap<&str, &Event> =
        events.iter().filter(|it| it.seq <= asked.at).map(|it| (it.id.as_str(), it)).collect();
    let mut queue: VecDeque<String> = if let Some(place) = asked.start {
        [id(place)].into()
    } else {
        let mut found: Vec<_> = visible.values().filter(|it| it.kind == 1).collect();
        found.sort_by_key(|it| (it.created_at, it.id.clone()));
        found.into_iter().map(|it| it.id.clone()).collect()
    };
    let mut gas = if asked.start.is_none() { 5 * queue.len() as u64 } else { 0 };
    let starts: BTreeSet<String> = queue.iter().cloned().collect();
    let (mut queued, mut visited, mut missing) = (starts.clone(), Vec::new(), 0);
    let end = asked.end.map(id);
    let mut stop = "exhausted";
    while let Some(next) = queue.pop_front() {
        if visited.len() as u64 >= asked.limit {
            stop = "limit";
            break;
        }
        let Some(event) = visible.get(next.as_str()) else {
            missing += 1;
            continue;
        };
        if !starts.contains(&next) && asked.kinds.as_ref().is_some_and(|it| !it.contains(&event.kind)) {
            continue;
        }
        gas += 100;
        visited.push(next.clone());
        let mut children: Vec<_> =
            visible.values().filter(|it| parents(it).contains(&next.as_str())).collect();
        children.sort_by_key(|it| (it.created_at, it.id.clone()));
        let mut lists = Vec::new();
        if asked.direction != "up" {
            lists.push(children.into_iter().map(|it| it.id.clone()).collect::<Vec<_>>());
        }
        if asked.direction != "down" {
            lists.push(parents(event).into_iter().map(str::to_owned).collect());
        }
        for mut list in lists {
            if let Some(seed) = &asked.seed {
                list.sort_by_key(|it| {
                    base::digest::Sha256::of(format!("hallmark/seed/1\n{seed}\n{it}").as_bytes()).to_string()
                });
            }
            gas += 5 * list.len() as u64;
            queue.extend(list.into_iter().filter(|it| queued.insert(it.clone())));
        }
        if gas > asked.gas {
            return None;
        }
        if end.as_ref() == Some(&next) {
            stop = "e";
            break;
        }
    }
    (gas <= asked.gas).then_some(Plain { visited, stop, missing, gas })
}

fn told_by(extraction: &Extraction) -> Plain {
    Plain {
        visited: extraction.visited().unwrap(),
        stop: extraction.stop().name(),
        missing: extraction.missing(),
        gas: extraction.gas(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn with_or_without_its_order_a_crawl_is_the_plain_one(tale in any_tale(), mut asked in any_asked(), cut in 0_u64..100, gas in 0_u64..1000) {
        let seq = |place: usize| tale.events.iter().find(|it| it.id == id(place)).map_or(u64::MAX, |it| it.seq);
        prop_assume!(asked.start.is_none_or(|it| seq(it) <= asked.at));
        prop_assume!(tale.events.iter().any(|it| it.kind == 1 && it.seq <= asked.at));
        let graph = tale.graph(&asked.item());
        let unkept = Tale { keeps: false, ..tale.clone() }.graph(&asked.item());
        let whole = plain(&tale.events, &asked).unwrap();
        let count = whole.visited.len() as u64;
        // All of it, one less, exactly all, one more, and somewhere between.
        for limit in [1000, count - 1, count, count + 1, cut] {
            asked.limit = limit.max(1);
            asked.gas = 1 << 40;
            let expected = plain(&tale.events, &asked).unwrap();
            let crawl_gas = expected.gas;
            let item = asked.item();
            let found = extract(&graph, &item, Checkpoint::at(asked.at), Caps::NONE).unwrap();
            let paid = found.gas();
            prop_assert_eq!(found.visited_count(), expected.visited.len());
            prop_assert_eq!(&told_by(&found), &Plain { gas: paid, ..expected });
            // The same by way of an evaluation, which needs the order, over a graph that keeps no columns.
            let evaluated = evaluate(&unkept, &item, &Model::read(CONSTANT), Checkpoint::at(asked.at), Caps::NONE).unwrap();
            prop_assert_eq!(&found.features, &evaluated.features);
            prop_assert_eq!(found.visit_hash().unwrap(), evaluated.visit_hash());
            prop_assert_eq!(paid + 1000, evaluated.gas);
            // Gas that just suffices, that just does not, and some that ends on the way.
            for allowed in [paid, paid - 1, crawl_gas, crawl_gas - 1, gas * paid / 1000] {
                asked.gas = allowed.max(1);
                let suffices = asked.gas >= paid && plain(&tale.events, &asked).is_some();
                let item = asked.item();
                let found = extract(&graph, &item, Checkpoint::at(asked.at), Caps::NONE);
                prop_assert_eq!(found.as_ref().err().map(|it| it.code), (!suffices).then_some(Code::EGas));
            }
        }
    }
}
