//! What the numbers that a path finds in each event come to: for sums and means over very many events.
//!
//! Like a column (`columns`), a total answers what looking at the event would, with the same cost, and an event that
//! does not fit is looked at as if there were no totals. Five bytes an event, in blocks of 64 beside the words of a set
//! of nodes: a sum over a set reads little memory, and that from front to back.

use super::{Graph, Node, own_path::OwnPath};
use crate::{
    bits::{Bits, ones},
    selector::Path,
    value::{Type, Value},
    walk::Walker,
};

const BLOCK: usize = 64;

/// The totals of one path.
#[derive(Debug)]
pub(crate) struct Totals {
    path: OwnPath,
    blocks: Vec<Block>,
    /// How many numbers there are in an event, and what it costs to find them: few pairs, and many events of each.
    shapes: Vec<Shape>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    count: u32,
    cost: u32,
}

/// The shape of an event that has to be looked at: finding anything costs something.
const ODD: Shape = Shape { count: 0, cost: 0 };

/// The totals of 64 nodes that stand beside each other.
#[derive(Debug)]
struct Block {
    /// In units of 10^-9, without the zeros that all of them end in.
    mantissas: [i32; BLOCK],
    /// How many zeros those are.
    zeros: u8,
    /// The place of each node's shape.
    shapes: [u8; BLOCK],
}

static EMPTY: Block = Block::new();

/// The most zeros that a block leaves out.
const ZEROS_MAX: u8 = 18;

const fn power_of_ten(zeros: u8) -> i64 {
    10_i64.pow(zeros as u32)
}

impl Block {
    const fn new() -> Self {
        Self { mantissas: [0; BLOCK], zeros: ZEROS_MAX, shapes: [0; BLOCK] }
    }

    /// Puts a number of units in. `None` if it does not fit in beside the others; then nothing is changed.
    fn put(&mut self, place: usize, units: i64) -> Option<()> {
        let mut zeros = self.zeros;
        while units % power_of_ten(zeros) != 0 {
            zeros -= 1;
        }
        let mantissa = i32::try_from(units / power_of_ten(zeros)).ok()?;
        if zeros < self.zeros {
            let factor = power_of_ten(self.zeros - zeros);
            let mut longer = [0; BLOCK];
            for (longer, short) in longer.iter_mut().zip(self.mantissas) {
                *longer = i32::try_from(i64::from(short).checked_mul(factor)?).ok()?;
            }
            (self.mantissas, self.zeros) = (longer, zeros);
        }
        self.mantissas[place] = mantissa;
        Some(())
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
    pub(super) fn new(path: Path, graph: &Graph) -> Self {
        Self { path: OwnPath::new(path, graph), blocks: Vec::new(), shapes: vec![ODD] }
    }

    pub(super) fn is_of(&self, path: &Path) -> bool {
        self.path.is(path)
    }

    /// Takes the total of an event.
    pub(super) fn take(&mut self, graph: &Graph, node: Node) {
        let (mut units, mut count) = (0_i128, 0_u64);
        let cost = Walker::new(graph, u64::MAX).select(self.path.bound(graph), node, &mut |view| {
            if let Some(Value::Num(number)) = Value::coerce(view, Type::Num) {
                // No event is so large that 2^32 numbers of less than 2^90 units are in it.
                units += number.units();
                count += 1;
            }
        });
        let index = node as usize / BLOCK;
        if index >= self.blocks.len() {
            self.blocks.resize_with(index + 1, Block::new);
        }
        // What does not fit in stays odd.
        let (Ok(units), Some(shape)) = (i64::try_from(units), self.shape(count, cost)) else { return };
        let (block, place) = (&mut self.blocks[index], node as usize % BLOCK);
        if block.put(place, units).is_some() {
            block.shapes[place] = shape;
        }
    }

    /// Returns the place of a shape. `None` if it is odd, or one too many.
    fn shape(&mut self, count: u64, cost: u64) -> Option<u8> {
        let shape = Shape { count: u32::try_from(count).ok()?, cost: u32::try_from(cost).ok()? };
        let known = self.shapes.iter().position(|it| *it == shape);
        let place = u8::try_from(known.unwrap_or(self.shapes.len())).ok().filter(|_| shape != ODD)?;
        if known.is_none() {
            self.shapes.push(shape);
        }
        Some(place)
    }

    /// Adds up the totals of the events in a set, and hands on those that have to be looked at.
    pub(crate) fn over(&self, set: &Bits, mut look_at: impl FnMut(Node)) -> Total {
        let mut total = Total::default();
        for ((index, word), first) in set.words().iter().enumerate().zip((0_u32..).step_by(BLOCK)) {
            let block = self.blocks.get(index).unwrap_or(&EMPTY);
            let mut mantissas = 0;
            for place in ones(*word) {
                let index = place as usize;
                let shape = self.shapes[usize::from(block.shapes[index])];
                // What an odd one has here is zero.
                mantissas += i64::from(block.mantissas[index]);
                total.count += u64::from(shape.count);
                total.cost += u64::from(shape.cost);
                if shape.cost == 0 {
                    look_at(first + place);
                }
            }
            total.units += i128::from(mantissas) * i128::from(power_of_ten(block.zeros));
        }
        total
    }

    pub(super) fn shrink(&mut self) {
        self.blocks.shrink_to_fit();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Block>() + self.shapes.capacity() * size_of::<Shape>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_block_gives_back_what_it_took_and_leaves_the_rest_alone(
            numbers in prop::collection::vec((-3_000_000_000_i64..3_000_000_000, 0_u8..12), 1..BLOCK),
        ) {
            let (mut block, mut taken) = (Block::new(), [0; BLOCK]);
            for (place, (mantissa, zeros)) in numbers.into_iter().enumerate() {
                let units = mantissa.saturating_mul(power_of_ten(zeros));
                if block.put(place, units).is_some() {
                    taken[place] = units;
                }
                let held = block.mantissas.map(|it| i64::from(it) * power_of_ten(block.zeros));
                prop_assert_eq!(held, taken);
            }
        }
    }

    #[test]
    fn numbers_of_a_kind_fit_and_one_that_is_not_makes_no_other_odd() {
        let mut block = Block::new();
        // Cents, then one of nine places, then more cents, and one that is too large.
        assert_eq!(block.put(0, 99_999_990_000_000), Some(()));
        assert_eq!(block.put(1, 1), None);
        assert_eq!(block.put(2, 120_000_000), Some(()));
        assert_eq!(block.put(3, i64::MAX), None);
        assert_eq!((block.mantissas[..4].to_vec(), block.zeros), (vec![9_999_999, 0, 12, 0], 7));
    }
}
