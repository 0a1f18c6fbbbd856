//! `tree`: questions that lead to a leaf; `gbt`: the sum of the leaves of several trees.
//!
//! Children stand behind their parent, so every walk ends. An input is looked at only when its question is asked.

use super::{Inputs, Judged, LIST_MAX, Link, NODES_MAX, linear::overflow, link, number, optional_word};
use crate::{
    flaw::{Code, Flaw},
    gas::{self, Meter},
    json::Json,
    num::Num,
    reader::Reader,
};

pub(super) const KEYS: [&str; 1] = ["nodes"];
pub(super) const FOREST_KEYS: [&str; 3] = ["trees", "b", "link"];

#[derive(Clone, Debug)]
pub(super) struct Tree(Vec<Node>);

#[derive(Clone, Debug)]
enum Node {
    /// Is the input at most the threshold?
    Question {
        input: usize,
        threshold: Num,
        yes: usize,
        no: usize,
    },
    Leaf(Judged),
}

impl Tree {
    pub(super) fn read(reader: &mut Reader, width: usize) -> Option<Self> {
        let list = reader.needed("nodes").and_then(|_| reader.maybe_list("nodes", NODES_MAX))?;
        Self::of_nodes(reader, "nodes", list, width)
    }

    fn of_nodes(reader: &mut Reader, key: &str, list: &[Json], width: usize) -> Option<Self> {
        if list.is_empty() {
            reader.wrong(key, "a tree has at least one node");
            return None;
        }
        let mut nodes = Vec::new();
        for (index, value) in list.iter().enumerate() {
            let place = reader.place_of(&format!("{key}/{index}"));
            nodes.push(read_node(value, &place, index..list.len(), width, reader.flaws()));
        }
        nodes.into_iter().collect::<Option<Vec<Node>>>().map(Self)
    }

    pub(super) fn run(&self, inputs: &Inputs, meter: &mut Meter) -> Result<&Judged, Flaw> {
        let mut index = 0;
        loop {
            meter.charge(gas::TREE_NODE)?;
            match &self.0[index] {
                Node::Leaf(judged) => return Ok(judged),
                Node::Question { input, threshold, yes, no } => {
                    index = if inputs.get(*input)? <= *threshold { *yes } else { *no };
                }
            }
        }
    }
}

fn read_node(
    value: &Json,
    place: &str,
    own: std::ops::Range<usize>,
    width: usize,
    flaws: &mut Vec<Flaw>,
) -> Option<Node> {
    let is_leaf = value.get("s").is_some();
    let keys: &[&str] = if is_leaf { &["s", "l", "a"] } else { &["f", "t", "y", "n"] };
    let mut reader = Reader::of(value, place, Code::EModel, keys, flaws)?;
    if is_leaf {
        let score = reader.needed("s").and_then(|it| number(&mut reader, "s", it));
        let label = reader.maybe("l").and_then(|it| optional_word(&mut reader, "l", it));
        let action = reader.maybe("a").and_then(|it| optional_word(&mut reader, "a", it));
        return Some(Node::Leaf(Judged { score: score?, label, action }));
    }
    let threshold = reader.needed("t").and_then(|it| number(&mut reader, "t", it));
    let mut index = |key: &str, range: std::ops::Range<usize>| {
        let found = reader.maybe(key).and_then(Json::as_whole).and_then(|it| usize::try_from(it).ok());
        let found = found.filter(|it| range.contains(it));
        if found.is_none() {
            reader.wrong(key, format!("expected a whole number from {} to below {}", range.start, range.end));
        }
        found
    };
    let (input, yes, no) =
        (index("f", 0..width), index("y", own.start + 1..own.end), index("n", own.start + 1..own.end));
    Some(Node::Question { input: input?, threshold: threshold?, yes: yes?, no: no? })
}

#[derive(Clone, Debug)]
pub(super) struct Forest {
    trees: Vec<Tree>,
    bias: Num,
    link: Link,
}

impl Forest {
    pub(super) fn read(reader: &mut Reader, width: usize) -> Option<Self> {
        let bias = reader.maybe("b").map_or(Some(Num::ZERO), |it| number(reader, "b", it));
        let link = link(reader, "link");
        let list = reader.needed("trees").and_then(|_| reader.maybe_list("trees", LIST_MAX))?;
        let (mut trees, mut nodes) = (Vec::new(), 0);
        for (index, tree) in list.iter().enumerate() {
            let key = format!("trees/{index}");
            let Some(list) = tree.as_list() else {
                reader.wrong(&key, format!("expected a list of nodes, found {}", tree.kind()));
                continue;
            };
            nodes += list.len();
            if nodes > NODES_MAX {
                reader.wrong(&key, format!("at most {NODES_MAX} nodes in all trees"));
                return None;
            }
            trees.extend(Tree::of_nodes(reader, &key, list, width));
        }
        Some(Self { trees, bias: bias?, link })
    }

    pub(super) fn run(&self, inputs: &Inputs, meter: &mut Meter) -> Result<Num, Flaw> {
        let mut units = self.bias.units();
        for tree in &self.trees {
            // At most 1023 leaves below 10^18 each.
            units += tree.run(inputs, meter)?.score.units();
        }
        Num::aggregate(units).map(|it| self.link.apply(it)).ok_or_else(|| overflow("/trees"))
    }
}
