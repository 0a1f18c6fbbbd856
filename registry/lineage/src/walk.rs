//! Runs a selector over one event: which values it finds, and what that costs.

use std::borrow::Cow;

use crate::{
    gas,
    graph::{Graph, Node, pack::View},
    num::Num,
    selector::{self, Op, Path, Root},
};

/// A path whose names were looked up in a graph.
#[derive(Debug)]
pub(crate) enum Bound {
    TxId,
    Time,
    Height,
    Parents,
    Children,
    Fields { root: Root, filter: Vec<Test>, steps: Vec<Step> },
}

#[derive(Debug)]
pub(crate) struct Step {
    field: Field,
    filter: Vec<Test>,
}

#[derive(Debug)]
pub(crate) struct Test {
    field: Field,
    op: Op,
    literal: String,
    number: Option<Num>,
}

/// A field's name, and its number in the graph if any event has it.
#[derive(Debug)]
struct Field {
    name: String,
    key: Option<u32>,
}

/// What has fields.
enum Element<'g> {
    Meta(View<'g>, View<'g>),
    Tx(Node),
    Value(View<'g>),
}

impl Bound {
    pub(crate) fn of(path: &Path, graph: &Graph) -> Self {
        let field = |name: &str| Field { name: name.to_owned(), key: graph.keys().get(name) };
        let tests = |filter: &[selector::Condition]| {
            let test = |it: &selector::Condition| Test {
                field: field(&it.name),
                op: it.op,
                literal: it.literal.clone(),
                number: Num::parse(&it.literal),
            };
            filter.iter().map(test).collect::<Vec<Test>>()
        };
        match path {
            Path::TxId => Self::TxId,
            Path::Time => Self::Time,
            Path::Height => Self::Height,
            Path::Parents => Self::Parents,
            Path::Children => Self::Children,
            Path::Fields { root, filter, steps } => {
                let step = |it: &selector::Step| Step { field: field(&it.name), filter: tests(&it.filter) };
                Self::Fields { root: *root, filter: tests(filter), steps: steps.iter().map(step).collect() }
            }
        }
    }
}

/// Looks at one event after the other.
pub(crate) struct Walker<'g> {
    graph: &'g Graph,
    at: u64,
    children: Vec<Node>,
}

impl<'g> Walker<'g> {
    pub(crate) fn new(graph: &'g Graph, at: u64) -> Self {
        Self { graph, at, children: Vec::new() }
    }

    /// Hands on each value that is there, and returns what that costs.
    pub(crate) fn select(&mut self, path: &Bound, node: Node, each: &mut impl FnMut(View<'g>)) -> u64 {
        let graph = self.graph;
        match path {
            Bound::TxId => {
                each(View::Text(graph.id(node)));
                gas::VALUE
            }
            Bound::Time => {
                each(View::Exact(Num::whole(graph.created_at(node))));
                gas::VALUE
            }
            Bound::Height => {
                each(View::Exact(Num::whole(graph.seq(node))));
                gas::STEP + gas::VALUE
            }
            Bound::Parents => {
                let parents = graph.parents(node);
                for parent in parents {
                    each(View::Text(graph.id(*parent)));
                }
                gas::STEP + gas::VALUE * parents.len() as u64
            }
            Bound::Children => {
                graph.children_into(node, self.at, &mut self.children);
                for child in &self.children {
                    each(View::Text(graph.id(*child)));
                }
                gas::STEP + gas::VALUE * self.children.len() as u64
            }
            Bound::Fields { root, filter, steps } => {
                let element = self.root(*root, node);
                let mut cost = 0;
                if self.passes(&element, filter, &mut cost) {
                    self.enter(&element, steps, &mut cost, each);
                }
                cost
            }
        }
    }

    /// Returns how many values are there, and what that costs. What is counted is not looked at.
    pub(crate) fn count(&mut self, path: &Bound, node: Node) -> (u64, u64) {
        let mut count = 0;
        let cost = match path {
            Bound::TxId => {
                count = 1;
                gas::VALUE
            }
            Bound::Parents => {
                count = self.graph.parents(node).len() as u64;
                gas::STEP + gas::VALUE * count
            }
            Bound::Children => {
                self.graph.children_into(node, self.at, &mut self.children);
                count = self.children.len() as u64;
                gas::STEP + gas::VALUE * count
            }
            _ => self.select(path, node, &mut |_| count += 1),
        };
        (count, cost)
    }

    fn root(&self, root: Root, node: Node) -> Element<'g> {
        match root {
            Root::Tx => Element::Tx(node),
            Root::Tag => Element::Value(self.graph.fields(node).0),
            Root::Meta => {
                let (tags, content) = self.graph.fields(node);
                Element::Meta(tags, content)
            }
        }
    }

    fn enter(&self, element: &Element<'g>, steps: &[Step], cost: &mut u64, each: &mut impl FnMut(View<'g>)) {
        let Some((step, rest)) = steps.split_first() else { return };
        *cost += gas::STEP;
        let Some(found) = self.field(element, &step.field) else { return };
        found.flatten(&mut |value| {
            let element = Element::Value(value);
            if !self.passes(&element, &step.filter, cost) {
                return;
            }
            if !rest.is_empty() {
                return self.enter_dyn(&element, rest, cost, each);
            }
            if let Element::Value(value) = element
                && !matches!(value, View::Null)
            {
                *cost += gas::VALUE;
                each(value);
            }
        });
    }

    /// The same through a pointer: a closure in a closure in a closure would have a type without end.
    fn enter_dyn(
        &self,
        element: &Element<'g>,
        steps: &[Step],
        cost: &mut u64,
        each: &mut dyn FnMut(View<'g>),
    ) {
        self.enter(element, steps, cost, &mut |it| each(it));
    }

    fn passes(&self, element: &Element<'g>, filter: &[Test], cost: &mut u64) -> bool {
        if filter.is_empty() {
            return true;
        }
        *cost += gas::FILTER;
        filter.iter().all(|test| {
            let Some(found) = self.field(element, &test.field) else { return false };
            let mut holds = false;
            found.flatten(&mut |value| holds |= test.holds(value));
            holds
        })
    }

    fn field(&self, element: &Element<'g>, field: &Field) -> Option<View<'g>> {
        match element {
            Element::Meta(tags, content) => {
                let key = field.key?;
                content.field(key).or_else(|| tags.field(key))
            }
            Element::Value(value) => value.field(field.key?),
            Element::Tx(node) => match field.name.as_str() {
                "kind" => Some(View::Exact(Num::whole(u64::from(self.graph.kind(*node))))),
                "pubkey" => Some(View::Text(self.graph.pubkey(*node))),
                "id" => Some(View::Text(self.graph.id(*node))),
                "value" => self.tx_value(*node),
                _ => None,
            },
        }
    }

    /// The amount that an event moves, or else the reward it promises.
    fn tx_value(&self, node: Node) -> Option<View<'g>> {
        let (tags, _) = self.graph.fields(node);
        let tag = |name| tags.field(self.graph.keys().get(name)?);
        let mut first = None;
        tag("amount").or_else(|| tag("reward"))?.flatten(&mut |it| _ = first.get_or_insert(it));
        first
    }
}

impl Test {
    fn holds(&self, value: View) -> bool {
        if self.op.is_textual() {
            let text = value.into_text();
            return text.is_some_and(|it: Cow<str>| (it == self.literal) == (self.op == Op::Equal));
        }
        let (Some(left), Some(right)) = (value.to_num(), self.number) else { return false };
        self.op.holds(left, right)
    }
}
