//! What the numbers that a path finds in each event come to: for sums and means over very many events.
//!
//! Like a column (`columns`), a total answers what looking at the event would, with the same cost, and an event that
//! does not fit is looked at as if there were no totals. It keeps one number an event, in blocks of 64 beside the
//! words of a set of nodes, so a sum over a set reads memory from front to back.

use super::{Graph, Node};
use crate::{
    bits::{Bits, ones},
    selector::Path,
    value::{Type, Value},
    walk::{Bound, Walker},
};

const BLOCK: usize = 64;

/// The totals of one path.
#[derive(Debug)]
pub(crate) struct Totals {
    path: Path,
    blocks: Vec<Block>,
}

/// The totals of 64 nodes that stand beside each other.
#[derive(Debug)]
struct Block {
    /// In units of 10^-9.
    units: [i64; BLOCK],
    /// How many numbers there are.
    counts: [u8; BLOCK],
    /// What it costs to find them. 0 if the event has to be looked at: finding anything costs something.
    costs: [u8; BLOCK],
}

static EMPTY: Block = Block::new();

impl Block {
    const fn new() -> Self {
        Self { units: [0; BLOCK], counts: [0; BLOCK], costs: [0; BLOCK] }
    }
}

/// What the numbers of many events come to.
#[derive(Debug, Default)]
pub(crate) struct Total {
    /// In units of 10^-9. A graph has fewer than 2^32 nodes of less than 2^63 each, so it fits.
    pub(crate) units: i128,
    pub(crate) count: u64,
    pub(crate) cost: u64,
}

impl Totals {
    pub(super) fn new(path: Path) -> Self {
        Self { path, blocks: Vec::new() }
    }

    pub(super) fn is_of(&self, path: &Path) -> bool {
        self.path == *path
    }

    /// Takes the total of an event.
    pub(super) fn take(&mut self, graph: &Graph, node: Node) {
        let bound = Bound::of(&self.path, graph);
        let (mut units, mut count) = (0_i128, 0_u64);
        let cost = Walker::new(graph, u64::MAX).select(&bound, node, &mut |view| {
            if let Some(Value::Num(number)) = Value::coerce(view, Type::Num) {
                // No event is so large that 2^32 numbers of less than 2^90 units are in it.
                units += number.units();
                count += 1;
            }
        });
        let (block, place) = (node as usize / BLOCK, node as usize % BLOCK);
        if block >= self.blocks.len() {
            self.blocks.resize_with(block + 1, Block::new);
        }
        if let (Ok(units), Ok(count), Ok(cost)) =
            (i64::try_from(units), u8::try_from(count), u8::try_from(cost))
        {
            let block = &mut self.blocks[block];
            (block.units[place], block.counts[place], block.costs[place]) = (units, count, cost);
        }
    }

    /// Adds up the totals of the events in a set, and hands on those that have to be looked at.
    pub(crate) fn over(&self, set: &Bits, mut look_at: impl FnMut(Node)) -> Total {
        let mut total = Total::default();
        for ((index, word), first) in set.words().iter().enumerate().zip((0_u32..).step_by(BLOCK)) {
            let block = self.blocks.get(index).unwrap_or(&EMPTY);
            for place in ones(*word) {
                let index = place as usize;
                let cost = block.costs[index];
                if cost == 0 {
                    look_at(first + place);
                    continue;
                }
                total.units += i128::from(block.units[index]);
                total.count += u64::from(block.counts[index]);
                total.cost += u64::from(cost);
            }
        }
        total
    }

    pub(super) fn shrink(&mut self) {
        self.blocks.shrink_to_fit();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Block>()
    }
}
