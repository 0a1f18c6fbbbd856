//! Values that a card in force asks for, taken out of each event when it comes.
//!
//! A column answers what [`Walker::select`] would, with the same cost; an event that does not fit into it is looked
//! at as if there were none. So columns change how long an answer takes, and no bit of it.

use super::{Graph, Node, own_path::OwnPath, totals::Totals};
use crate::{
    item::Item,
    num::Num,
    selector::{Agg, Path},
    value::{Type, Value},
    walk::Walker,
};

/// The most columns of a graph: what two dozen cards need.
const COLUMNS_MAX: usize = 64;

/// The numbers that one path finds in every event, each on its own.
#[derive(Debug)]
pub(crate) struct Column {
    path: OwnPath,
    spans: Vec<Span>,
    units: Vec<i64>,
}

/// Where the numbers of an event stand, and what it costs to find them.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    count: u16,
    /// 0 if the event has to be looked at: finding anything costs something.
    cost: u16,
}

impl Column {
    /// Returns the numbers of an event in units of 10^-9, and the cost, if the column has them.
    pub(crate) fn of_node(&self, node: Node) -> Option<(&[i64], u64)> {
        let span = self.spans.get(node as usize).filter(|it| it.cost != 0)?;
        let units = &self.units[span.start as usize..][..usize::from(span.count)];
        Some((units, u64::from(span.cost)))
    }

    fn take(&mut self, graph: &Graph, node: Node) {
        let start = self.units.len();
        let mut fits = true;
        let cost = Walker::new(graph, u64::MAX).select(self.path.bound(graph), node, &mut |view| {
            if let Some(Value::Num(number)) = Value::coerce(view, Type::Num) {
                let units = i64::try_from(number.units());
                fits &= units.is_ok();
                self.units.extend(units);
            }
        });
        let parts = (u32::try_from(start), u16::try_from(self.units.len() - start), u16::try_from(cost));
        let span = match parts {
            (Ok(start), Ok(count), Ok(cost)) if fits => Span { start, count, cost },
            _ => {
                self.units.truncate(start);
                Span::default()
            }
        };
        let index = node as usize;
        if index >= self.spans.len() {
            self.spans.resize(index + 1, Span::default());
        }
        self.spans[index] = span;
    }

    pub(super) fn shrink(&mut self) {
        self.spans.shrink_to_fit();
        self.units.shrink_to_fit();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<Span>() + self.units.capacity() * 8
    }
}

impl Graph {
    /// Keeps what a card asks for in columns, of the events that are here and of those that will come.
    ///
    /// Worth it for a card in force over a large graph. Returns how many columns there are now.
    pub fn keep_for(&mut self, item: &Item) -> usize {
        for feature in item.job.spec.iter().filter_map(|it| it.feature.as_ref().ok()) {
            let path = &feature.selector.path;
            // Only what an event says itself stays the same when others come.
            let is_own = matches!(path, Path::Fields { .. });
            let is_number =
                feature.kind == Type::Num && feature.per_event.is_none() && feature.agg != Agg::Count;
            if !is_own || !is_number || self.columns.len() + self.totals.len() >= COLUMNS_MAX {
                continue;
            }
            if matches!(feature.agg, Agg::Sum | Agg::Avg) {
                if self.totals(path, feature.kind).is_none() {
                    let mut totals = Totals::new(path.clone(), self);
                    self.visible(u64::MAX).for_each(|node| totals.take(self, node));
                    self.totals.push(totals);
                }
            } else if self.column(path, feature.kind).is_none() {
                let mut column =
                    Column { path: OwnPath::new(path.clone(), self), spans: Vec::new(), units: Vec::new() };
                self.visible(u64::MAX).for_each(|node| column.take(self, node));
                self.columns.push(column);
            }
        }
        self.columns.len() + self.totals.len()
    }

    /// Puts a new event into the columns.
    pub(super) fn fill_columns(&mut self, node: Node) {
        let mut columns = std::mem::take(&mut self.columns);
        for column in &mut columns {
            column.take(self, node);
        }
        self.columns = columns;
        let mut all = std::mem::take(&mut self.totals);
        for totals in &mut all {
            totals.take(self, node);
        }
        self.totals = all;
    }

    /// Returns the column of a path, if there is one.
    pub(crate) fn column(&self, path: &Path, kind: Type) -> Option<&Column> {
        (kind == Type::Num).then(|| self.columns.iter().find(|it| it.path.is(path))).flatten()
    }

    /// Returns the totals of a path, if there are any.
    pub(crate) fn totals(&self, path: &Path, kind: Type) -> Option<&Totals> {
        (kind == Type::Num).then(|| self.totals.iter().find(|it| it.is_of(path))).flatten()
    }
}

impl Column {
    /// Returns a number of a column.
    pub(crate) fn number(units: i64) -> Num {
        Num::from_units(i128::from(units))
    }
}
